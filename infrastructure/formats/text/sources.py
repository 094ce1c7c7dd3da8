"""What stands between a stored file and the reader of a text format: its text as UTF-8, whatever it was before."""

import codecs
from collections.abc import Callable, Iterator
from typing import BinaryIO

from application.ports.formats import FileShape, ReadLimits, Record, RowProblem
from domain.imports import Checkpoint
from infrastructure.formats.rows import BOM, SHOWN_OF_OVERLONG
from infrastructure.formats.text.encoding import SAMPLE_BYTES, UTF_8, encoding_of
from infrastructure.formats.unpacking import Unpacked

BLOCK_BYTES = 96 * 1024
"""Less than what malloc asks the kernel for, and gives back, each time."""

# What stands for bytes that their encoding does not know: no UTF-8, so that the row fails alone.
_BAD_BYTE = "\udcff"
_BAD = "byline.bad"
codecs.register_error(_BAD, lambda error: (_BAD_BYTE, error.end))  # type: ignore[attr-defined, unused-ignore]


class Text:
    """Blocks of UTF-8 (but for bytes that are none), at most once from `skip_to` on; `head` is how it begins, `sample`
    the same as it was before.

    Offsets are bytes of this text, which begins after a byte order mark. Where the stored file is cut off or
    damaged, the text ends, and `damage` says why. Raises TooLarge and InvalidValue past the limits.
    """

    def __init__(self, file: BinaryIO, limits: ReadLimits) -> None:
        self._unpacked = Unpacked(file, limits)
        sample = bytearray()
        while len(sample) < SAMPLE_BYTES and (piece := self._unpacked.read(SAMPLE_BYTES - len(sample))):
            sample += piece
        self.sample = head = bytes(sample)
        self.encoding = encoding_of(head)
        self._is_utf_8 = self.encoding == UTF_8
        if not self._is_utf_8:
            self._decoder = codecs.getincrementaldecoder(self.encoding)(_BAD)
            head = self._as_utf_8(head, final=False)
        self._mark_bytes = len(BOM) if self._is_utf_8 and head.startswith(BOM) else 0
        head = head[self._mark_bytes :]
        self.head = head
        self._next: bytes | None = head
        self._from, self._to = 0, 0
        self._stored_from, self._stored_to = 0, 0
        self.taken = 0
        """Up to where its reader has read records."""

    @property
    def is_compressed(self) -> bool:
        return not self._unpacked.is_plain

    @property
    def damage(self) -> RowProblem | None:
        return self._unpacked.damage

    @property
    def offset(self) -> int:
        """Of the next block."""
        return self._to

    def skip_to(self, offset: int) -> None:
        """Beyond its end there is nothing."""
        if self._unpacked.is_plain and self._is_utf_8:
            self._unpacked.seek(offset + self._mark_bytes)
            self._next = None
            self._to = offset
            return
        while self._to < offset and (block := self.block()):
            if self._to > offset:
                self._stored_to = self.stored(offset)
                self._next = block[len(block) - (self._to - offset) :]
                self._to = offset

    def block(self) -> bytes:
        """The next one; empty at the end."""
        self._from, self._stored_from = self._to, self._stored_to
        if self._next is not None:
            block, self._next = self._next, None
        else:
            block = b""
        if not block:
            block = self._read()
        self._to += len(block)
        self._stored_to = max(self._unpacked.bytes_read, self._stored_to)
        return block

    def stored(self, offset: int) -> int:
        """About how much of the stored file the text up to `offset` took, which lies in the last block or before."""
        if self._unpacked.is_plain and self._is_utf_8:
            return offset + self._mark_bytes
        if offset >= self._to:
            return self._stored_to
        if offset <= self._from:
            return self._stored_from
        taken = self._stored_to - self._stored_from
        return self._stored_from + taken * (offset - self._from) // (self._to - self._from)

    def __iter__(self) -> Iterator[bytes]:
        while block := self.block():
            yield block

    def _read(self) -> bytes:
        while piece := self._unpacked.read(BLOCK_BYTES):
            if self._is_utf_8:
                return piece
            if text := self._as_utf_8(piece, final=False):
                return text
        return b"" if self._is_utf_8 else self._as_utf_8(b"", final=True)

    def _as_utf_8(self, piece: bytes, *, final: bool) -> bytes:
        return self._decoder.decode(piece, final).encode(errors="surrogateescape")


class TextReading:
    """A `Reading` of a text format: `records` reads them from a text and says with `Text.taken` how far they reach."""

    def __init__(
        self,
        file: BinaryIO,
        shape: FileShape,
        start: Checkpoint,
        records: Callable[[Text, FileShape, Checkpoint], Iterator[Record]],
    ) -> None:
        self._file = file
        self._shape = shape
        self._start = start
        self._records = records
        self._text: Text | None = None
        self._bytes_read = start.bytes_read

    def __iter__(self) -> Iterator[Record]:
        self._text = Text(self._file, self._shape.limits)
        return self._records(self._text, self._shape, self._start)

    @property
    def bytes_read(self) -> int:
        if self._text is not None:
            self._bytes_read = max(self._bytes_read, self._text.stored(self._text.taken))
        return self._bytes_read


def damage(line: int, place: int, offset: int, problem: RowProblem, partial: bytes) -> Record:
    """The last record of a text that was cut off: it begins at `offset`, and ends beyond the text."""
    shown = partial[:SHOWN_OF_OVERLONG]
    return Record(line, place, offset + len(partial) + 1, line + 1, problem, shown)
