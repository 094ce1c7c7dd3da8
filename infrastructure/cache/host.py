"""The tags' tokens in memory that the processes of a host share."""

import contextlib
import errno
import math
import mmap
import os
import stat
import struct
import zlib
from collections.abc import Collection, Sequence
from hashlib import blake2b
from pathlib import Path
from socket import gethostname

from infrastructure.cache.doubt import Doubt

SLOTS = 2**16
ID_BYTES = 8

_LAYOUT = b"BYLTOK01"
_HEADER_BYTES = 64
_DOUBT_AT = len(_LAYOUT) + ID_BYTES
_SLOT_BYTES = 8
_SIZE = _HEADER_BYTES + SLOTS * _SLOT_BYTES
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 -- what lies there is made exclusively, and only its owner's is used


class LocalHostTokens:
    """Of one process: a table in its own memory.

    A read or a store of one item of `table` is of one moment, in every process: CPython copies 8 aligned bytes at once
    (a memcpy of constant size, which compilers make one move), and such a move is atomic on the machines it runs on.

    Trusted for ever, unless a listener of other hosts sets `trusted_until` and `epoch`.
    """

    def __init__(self, memory: mmap.mmap | None = None) -> None:
        if memory is None:
            memory = mmap.mmap(-1, _SIZE)
            memory[:_HEADER_BYTES] = _header()
        self.trusted_until = math.inf
        self.epoch = 0
        self._memory = memory
        self.id = memory[len(_LAYOUT) : len(_LAYOUT) + ID_BYTES].hex()
        """Of the host, in all its processes."""
        self.table: memoryview[int] = memoryview(memory)[_HEADER_BYTES:_SIZE].cast("Q")
        self.doubt = Doubt(memoryview(memory)[_DOUBT_AT : _DOUBT_AT + _SLOT_BYTES].cast("d"))

    def slots(self, tags: Sequence[str]) -> tuple[int, ...]:
        return tuple(map(_slot, tags))

    def forget(self, tags: Collection[str]) -> None:
        fresh = struct.unpack(f"{len(tags)}Q", os.urandom(_SLOT_BYTES * len(tags)))
        for tag, token in zip(tags, fresh, strict=True):
            self.table[_slot(tag)] = token


class SharedHostTokens(LocalHostTokens):
    """Of all processes that name the same file. Its id is made with it: where it was removed and made again, those who
    have the new one are another host to those who have the old one, and hear of them as of any other."""

    def __init__(self, path: Path) -> None:
        """Raises OSError; PermissionError where it is somebody else's or open to others."""
        super().__init__(_mapped(path))


def host_tokens_path(data_dir: Path) -> Path:
    """In memory where the machine has a folder for that; the same for all processes with this data folder."""
    if _SHARED_MEMORY.is_dir() and os.access(_SHARED_MEMORY, os.W_OK | os.X_OK):
        named = blake2b(_LAYOUT + os.fsencode(data_dir.resolve()), digest_size=8).hexdigest()
        return _SHARED_MEMORY / f"byline-{os.geteuid()}-{named}"
    # Named by the host: a folder that several share, over a network, is no memory that they share.
    return data_dir / f"host_tokens-{gethostname()}"


def _slot(tag: str) -> int:
    return zlib.crc32(tag.encode("utf-8", "surrogatepass")) % SLOTS


def _header() -> bytes:
    return (_LAYOUT + os.urandom(ID_BYTES)).ljust(_HEADER_BYTES, b"\0")


def _mapped(path: Path) -> mmap.mmap:
    try:
        descriptor = _opened(path)
    except FileNotFoundError:
        _make(path)
        descriptor = _opened(path)
    try:
        return mmap.mmap(descriptor, _SIZE)
    finally:
        os.close(descriptor)


def _opened(path: Path) -> int:
    """Of a regular file of this user alone: whoever else could write to it could keep what is stale alive."""
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    status = os.fstat(descriptor)
    is_private = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077
    is_table = status.st_size == _SIZE and os.pread(descriptor, len(_LAYOUT), 0) == _LAYOUT
    if is_private and is_table:
        return descriptor
    os.close(descriptor)
    if not is_private:
        raise PermissionError(errno.EACCES, "It is not a file of this user alone", str(path))
    raise OSError(errno.EINVAL, "It is no table of tokens", str(path))


def _make(path: Path) -> None:
    """Whole or not at all; the first to come makes it for all. All of it is written: a store into a page for which
    there is no room left would end the process."""
    new = path.with_name(f"{path.name}.{os.urandom(8).hex()}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(_header().ljust(_SIZE, b"\0"))
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(new)
    finally:
        new.unlink()
