"""A stored file as it was before it was compressed: gzip and zstd are looked through, told by their first bytes."""

import zlib
from io import SEEK_END
from typing import BinaryIO, Protocol

import zstandard

from application.ports.formats import ReadLimits, RowProblem, TooCompressed
from domain.errors import TooLarge

GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
_MAGIC_BYTES = 4

# One MiB of text may come of any few bytes: the ratio is judged beyond.
RATIO_FROM_BYTES = 1 << 20

_RAW_BLOCK = 64 * 1024
# Each four bytes of zstd may make a block of 128 KiB: so much at a time makes 32 MiB at most.
_ZSTD_BLOCK = 1024
_ZSTD_HEADER_MOST = 18
# Each reading of a file may take as much memory.
_ZSTD_WINDOW_MOST = 32 << 20
_TOO_LARGE_A_WINDOW = "requires too much memory"

_GZIP_LEAST = 18
# Deflate grows 1,032 times at most: a declared size beyond is none.
_DEFLATE_MOST = 1_100

_TRUNCATED = RowProblem(
    None, "truncated", "The file ends in the middle of its compressed data: what followed could not be read."
)
_DAMAGED = RowProblem(None, "bad_compression", "The compressed data is damaged here: what followed could not be read.")
_UNSURE = RowProblem(
    None,
    "bad_compression",
    "The compressed data does not agree with its checksum: something before here is damaged, and what followed"
    " could not be read.",
)
_WINDOW_TOO_LARGE = RowProblem(
    None,
    "window_too_large",
    "To decompress it needs a window of more than 32 MiB, as zstd --long and --ultra make it."
    " Compress it again without: what followed could not be read.",
)
_TRAILING = RowProblem(
    None, "bad_compression", "What follows the compressed data is neither gzip nor zstd: it could not be read."
)


def is_zstd(head: bytes) -> bool:
    """A frame, or one that is to be skipped, as parallel compressors begin with."""
    return head.startswith(ZSTD) or (head[1:_MAGIC_BYTES] == b"\x2a\x4d\x18" and 0x50 <= head[0] <= 0x5F)


class _Damage(Exception):
    """`salvaged` is what was decompressed before it."""

    def __init__(self, problem: RowProblem, salvaged: bytes = b"") -> None:
        self.problem = problem
        self.salvaged = salvaged


class _Unpacking(Protocol):
    @property
    def bytes_read(self) -> int: ...

    def read(self, size: int) -> bytes:
        """Some bytes, unless it has ended. Raises _Damage."""
        ...


class Unpacked:
    """All members and frames one after the other, in bounded memory.

    Where the data is cut off or damaged, everything before can be read, and then it ends: `damage` says why. Reading
    raises TooLarge and InvalidValue past the limits.
    """

    def __init__(self, file: BinaryIO, limits: ReadLimits) -> None:
        file.seek(0)
        head = file.read(_MAGIC_BYTES)
        file.seek(0)
        self._file = file
        self._limits = limits
        self._unpacking: _Unpacking = _Plain(file)
        self.is_plain = False
        if head.startswith(GZIP):
            self._unpacking = _Gzip(file)
        elif is_zstd(head):
            self._unpacking = _Zstd(file)
        else:
            self.is_plain = True
        self._position = 0
        self._rest = b""
        self.damage: RowProblem | None = None

    @property
    def bytes_read(self) -> int:
        """Of the stored file."""
        return self._unpacking.bytes_read

    def seek(self, offset: int) -> None:
        """Only where it `is_plain`."""
        self._file.seek(offset)
        self._position = offset

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes, and some unless it has ended."""
        if self._rest:
            piece, self._rest = self._rest[:size], self._rest[size:]
            return piece
        if self.damage is not None:
            return b""
        try:
            piece = self._unpacking.read(size)
        except _Damage as found:
            self.damage, piece = found.problem, found.salvaged
        self._position += len(piece)
        self._check()
        if len(piece) > size:
            piece, self._rest = piece[:size], piece[size:]
        return piece

    def readline(self, size: int, /) -> bytes:
        """Up to a line break, and no more than `size` bytes."""
        line = b""
        while len(line) < size and (piece := self.read(size - len(line))):
            kept, found, rest = piece.partition(b"\n")
            line += kept + found
            if found:
                self._rest = rest + self._rest
                break
        return line

    def _check(self) -> None:
        limits = self._limits
        if self._position > limits.max_text_bytes:
            raise TooLarge("The text of the file", limit_bytes=limits.max_text_bytes)
        if not self.is_plain and self._position > RATIO_FROM_BYTES:
            check_ratio(self._position, self._unpacking.bytes_read, limits)


def check_ratio(text_bytes: int, stored_bytes: int, limits: ReadLimits) -> None:
    """Raises TooCompressed."""
    if text_bytes > limits.max_ratio * stored_bytes:
        raise TooCompressed(max_ratio=limits.max_ratio)


def check_declared(file: BinaryIO, limits: ReadLimits) -> None:
    """What the file itself says of its size, decompressed. Raises TooLarge and TooCompressed past the limits."""
    size = file.seek(0, SEEK_END)
    file.seek(0)
    head = file.read(_ZSTD_HEADER_MOST)
    declared = 0
    if head.startswith(GZIP) and size > _GZIP_LEAST:
        # Of the last member alone, and modulo 4 GiB.
        file.seek(size - 4)
        declared = int.from_bytes(file.read(4), "little")
        if declared > size * _DEFLATE_MOST:
            declared = 0
    elif head.startswith(ZSTD):
        try:
            declared = max(zstandard.frame_content_size(head), 0)
        except zstandard.ZstdError:
            declared = 0
    file.seek(0)
    if declared > limits.max_text_bytes:
        raise TooLarge("The text of the file", limit_bytes=limits.max_text_bytes)
    if declared > RATIO_FROM_BYTES:
        check_ratio(declared, size, limits)


class _Plain:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    @property
    def bytes_read(self) -> int:
        return self._file.tell()

    def read(self, size: int) -> bytes:
        return self._file.read(size)


class _Gzip:
    """Members one after the other, with zeros between and after them, as tapes have it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._pending = b""
        self._read = 0
        self._member: zlib._Decompress | None = None

    @property
    def bytes_read(self) -> int:
        return self._read - len(self._pending)

    def read(self, size: int) -> bytes:
        while True:
            member = self._member or self._begin_member()
            if member is None:
                return b""
            at_end = not self._pending and not self._fill()
            piece = self._inflate(member, size)
            self._member = None if member.eof else member
            self._pending = member.unused_data if member.eof else member.unconsumed_tail
            if piece:
                return piece
            if at_end and self._member is not None:
                raise _Damage(_TRUNCATED)

    def _fill(self) -> bool:
        block = self._file.read(_RAW_BLOCK)
        self._read += len(block)
        self._pending += block
        return bool(block)

    def _begin_member(self) -> "zlib._Decompress | None":
        """None at the end. Raises _Damage."""
        while True:
            if self._read > len(self._pending):
                self._pending = self._pending.lstrip(b"\x00")
            if len(self._pending) >= len(GZIP) or not self._fill():
                break
        if not self._pending:
            return None
        if not self._pending.startswith(GZIP):
            raise _Damage(_TRUNCATED if self._pending == GZIP[:1] else _TRAILING)
        return zlib.decompressobj(wbits=31)

    def _inflate(self, member: "zlib._Decompress", size: int) -> bytes:
        """Raises _Damage, with every byte before it: zlib gives none of a call that it fails."""
        before = member.copy()
        try:
            return member.decompress(self._pending, size)
        except zlib.error as error:
            problem = _UNSURE if "check" in str(error) else _DAMAGED
        salvaged = bytearray()
        for place in range(len(self._pending)):
            try:
                salvaged += before.decompress(self._pending[place : place + 1])
            except zlib.error:
                break
        raise _Damage(problem, bytes(salvaged))


def _zstd_frame() -> "zstandard.ZstdDecompressionObj":
    return zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_MOST).decompressobj()


class _Zstd:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._pending = b""
        self._read = 0
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._frame_at = 0

    @property
    def bytes_read(self) -> int:
        return self._read - len(self._pending)

    def read(self, _size: int) -> bytes:
        while True:
            if not self._pending:
                self._pending = self._file.read(_ZSTD_BLOCK)
                self._read += len(self._pending)
            if not self._pending:
                if self._frame is not None:
                    raise _Damage(_TRUNCATED)
                return b""
            frame = self._frame or self._begin_frame()
            try:
                piece = frame.decompress(self._pending)
            except zstandard.ZstdError as error:
                if _TOO_LARGE_A_WINDOW in str(error):
                    raise _Damage(_WINDOW_TOO_LARGE) from None
                raise _Damage(_DAMAGED, self._salvaged()) from None
            self._frame = None if frame.eof else frame
            self._pending = frame.unused_data
            if piece:
                return piece

    def _begin_frame(self) -> "zstandard.ZstdDecompressionObj":
        """Raises _Damage."""
        while len(self._pending) < _MAGIC_BYTES and (more := self._file.read(_ZSTD_BLOCK)):
            self._read += len(more)
            self._pending += more
        if not is_zstd(self._pending):
            is_cut = len(self._pending) < _MAGIC_BYTES and ZSTD.startswith(self._pending)
            raise _Damage(_TRUNCATED if is_cut else _TRAILING)
        self._frame_at = self.bytes_read
        return _zstd_frame()

    def _salvaged(self) -> bytes:
        """What the damaged block holds before the damage: zstd gives none of a call that it fails, and cannot step
        back, so the frame is read again up to there."""
        bad_from = self.bytes_read
        self._file.seek(self._frame_at)
        again = _zstd_frame()
        salvaged = bytearray()
        try:
            for start in range(self._frame_at, bad_from, _ZSTD_BLOCK):
                again.decompress(self._file.read(min(_ZSTD_BLOCK, bad_from - start)))
            for _ in range(len(self._pending)):
                salvaged += again.decompress(self._file.read(1))
        except zstandard.ZstdError:
            pass
        self._file.seek(self._read)
        return bytes(salvaged)
