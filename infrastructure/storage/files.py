"""Stored files in a folder of this host."""

import asyncio
import contextlib
import errno
import hashlib
import os
import re
import stat
from collections.abc import AsyncIterable, Callable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar

from application.ports.services import Blob
from domain.errors import BlobNotFound, InvalidValue, StorageFull, TooLarge

Result = TypeVar("Result")

# Written at a time: few hops to a thread, and little memory for each upload.
_PIECE = 1024 * 1024
_READ_AHEAD = 256 * 1024

_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

# No segment begins with a dot, so that no key climbs out of the folder or names a half-written file.
_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")


_PART = re.compile(r"\..+\.part")


class FileBlobs:
    """Under `data_dir`/files, a file a key. A key's `/` parts folders; other keys than names of these are refused.

    A file is written beside its place under a hidden name and renamed when it is whole and on the disk, so that a key
    names all of a file or nothing, whenever the power fails.
    """

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "files"

    async def write(self, key: str, chunks: AsyncIterable[bytes], *, limit: int) -> Blob:
        """Raises InvalidValue for what is no key."""
        upload = _Upload(self._path(key), limit)
        try:
            await _in_thread(upload.start)
            pending = bytearray()
            async for chunk in chunks:
                pending += chunk
                if len(pending) >= _PIECE:
                    await _in_thread(partial(upload.append, pending))
                    pending = bytearray()
            await _in_thread(partial(upload.finish, pending))
        except BaseException:
            await _in_thread(upload.discard)
            raise
        return Blob(key, upload.size, upload.sha256)

    def open(self, key: str) -> BinaryIO:
        try:
            return self._path(key).open("rb", buffering=_READ_AHEAD)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError, InvalidValue):
            raise BlobNotFound(key) from None

    async def delete(self, key: str) -> None:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, InvalidValue):
            await _in_thread(self._path(key).unlink)

    async def older_than(self, instant: datetime) -> list[str]:
        found = await _in_thread(partial(self._last_written_before, instant))
        keys = (path.relative_to(self._folder).as_posix() for path in found)
        return [key for key in keys if _KEY.fullmatch(key)]

    async def drop_unfinished(self, before: datetime) -> int:
        def drop() -> int:
            parts = [path for path in self._last_written_before(before) if _PART.fullmatch(path.name)]
            for part in parts:
                part.unlink(missing_ok=True)
            return len(parts)

        return await _in_thread(drop)

    def _last_written_before(self, instant: datetime) -> list[Path]:
        """Blocking."""
        found = []
        for path in self._folder.rglob("*"):
            with contextlib.suppress(FileNotFoundError):
                told = path.lstat()
                if stat.S_ISREG(told.st_mode) and told.st_mtime < instant.timestamp():
                    found.append(path)
        return found

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise InvalidValue("key", f"{key!r} cannot name a stored file.", code="bad_key")
        return self._folder / key


class _Upload:
    """A file on its way to `path`. Blocking. Its steps raise StorageFull."""

    def __init__(self, path: Path, limit: int) -> None:
        self._path = path
        self._part = path.with_name(f".{path.name}.part")
        self._limit = limit
        self._hash = hashlib.sha256()
        self._file: int | None = None
        self._is_in_place = False
        self.size = 0

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def start(self) -> None:
        with _space():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)

    def append(self, piece: bytes | bytearray) -> None:
        """Raises TooLarge."""
        self.size += len(piece)
        if self.size > self._limit:
            raise TooLarge("The file", limit_bytes=self._limit)
        self._hash.update(piece)
        rest = memoryview(piece)
        with _space():
            while rest:
                rest = rest[os.write(self._opened, rest) :]

    def finish(self, last: bytes | bytearray) -> None:
        """Raises TooLarge."""
        self.append(last)
        with _space():
            os.fsync(self._opened)
            self._close()
            self._part.replace(self._path)
            self._is_in_place = True
            _sync_folder(self._path.parent)

    def discard(self) -> None:
        with contextlib.suppress(OSError):
            self._close()
        self._part.unlink(missing_ok=True)
        if self._is_in_place:
            self._path.unlink(missing_ok=True)

    @property
    def _opened(self) -> int:
        if self._file is None:
            raise RuntimeError("The upload is not open.")
        return self._file

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            os.close(file)


def _sync_folder(folder: Path) -> None:
    """So that a rename within it outlives a power failure."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


@contextlib.contextmanager
def _space() -> Iterator[None]:
    """Raises StorageFull where the disk has no room."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise StorageFull from error
        raise


async def _in_thread(step: Callable[[], Result]) -> Result:
    """Waits for the thread also when cancelled: nobody may close a file that a thread still writes to."""
    running = asyncio.ensure_future(asyncio.to_thread(step))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await asyncio.shield(running)
        raise
