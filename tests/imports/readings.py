"""Formats whose readings are what a test says."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from application.ports.formats import FileShape, PostRow, Reader, Reading, Record, RowProblem, RowSkip, UserRow
from domain.import_options import ImportFormat
from domain.imports import Checkpoint
from infrastructure.formats.readers import FormatReaders

Parsed = PostRow | UserRow | RowProblem | RowSkip


@dataclass
class Given(FormatReaders):
    """Reads any file as `rows`, a byte each. `on_read` is called with the place of each before it is told."""

    rows: Sequence[Parsed]
    on_read: Callable[[int], None] = field(default=lambda place: None)

    def reader(self, name: ImportFormat) -> Reader:
        def read(file: BinaryIO, shape: FileShape, *, start: Checkpoint) -> Reading:
            return GivenReading(self, start.offset)

        return read


class GivenReading:
    def __init__(self, given: Given, offset: int) -> None:
        self._given = given
        self.bytes_read = offset

    def __iter__(self) -> Iterator[Record]:
        for place in range(self.bytes_read + 1, len(self._given.rows) + 1):
            self._given.on_read(place)
            self.bytes_read = place
            yield Record(place, place, place, place + 1, self._given.rows[place - 1], {"row": place})
