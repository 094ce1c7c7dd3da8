"""NDJSON: one JSON object a line."""

from collections.abc import Iterator
from typing import BinaryIO

from application.ports.formats import FileShape, Reading, Record
from domain.imports import Checkpoint
from infrastructure.formats.rows import SHOWN_OF_OVERLONG, too_long
from infrastructure.formats.text.lines import Lines
from infrastructure.formats.text.objects import Objects
from infrastructure.formats.text.sources import Text, TextReading, damage


def read_ndjson(file: BinaryIO, shape: FileShape, *, start: Checkpoint) -> Reading:
    """A `Reader`. Blank lines are passed over."""
    return TextReading(file, shape, start, _records)


def _records(text: Text, shape: FileShape, start: Checkpoint) -> Iterator[Record]:
    longest = shape.limits.max_row_bytes
    read = Objects(shape).read
    batches = Lines(text, start, longest=longest)
    offset, number = start.offset, start.line
    for lines, besides in batches:
        for line in lines:
            offset += len(line) + besides
            if len(line) > longest and len(line.removesuffix(b"\r")) > longest:
                text.taken = offset
                yield Record(
                    number, number, offset, number + 1, too_long(longest), line[: longest + 1][:SHOWN_OF_OVERLONG]
                )
            elif line and not line.isspace():
                parsed, raw = read(line)
                text.taken = offset
                yield Record(number, number, offset, number + 1, parsed, raw)
            number += 1
    if batches.is_damaged and text.damage is not None:
        text.taken = offset + len(batches.partial)
        yield damage(number, number, offset, text.damage, batches.partial)
