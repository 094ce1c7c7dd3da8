"""Files read from bytes."""

import io
from collections.abc import Mapping

from application.ports.formats import FileShape, PostRow, Reader, ReadLimits, Record, RowProblem, RowSkip, UserRow
from domain.import_options import ImportKind
from domain.imports import Checkpoint

MAX = 100_000
BEGINNING = Checkpoint()


def read(
    reader: Reader,
    file: bytes,
    kind: ImportKind = ImportKind.POSTS,
    *,
    longest: int = MAX,
    columns: Mapping[str, str] | None = None,
    start: Checkpoint = BEGINNING,
) -> list[Record]:
    shape = FileShape(kind, ReadLimits(longest), columns or {})
    return list(reader(io.BytesIO(file), shape, start=start))


def rows(records: list[Record]) -> list[PostRow | UserRow | RowProblem | RowSkip]:
    return [record.parsed for record in records]


def problem(record: Record) -> tuple[int, str | None, str]:
    assert isinstance(record.parsed, RowProblem), record.parsed
    return record.line, record.parsed.field, record.parsed.code


def message(record: Record) -> str:
    assert isinstance(record.parsed, RowProblem), record.parsed
    return record.parsed.message


def after(record: Record) -> Checkpoint:
    return Checkpoint(record.end, record.end_line)


def assert_resumes_at_every_record(reader: Reader, file: bytes, kind: ImportKind = ImportKind.POSTS) -> None:
    records = read(reader, file, kind)
    for place, record in enumerate(records, 1):
        assert read(reader, file, kind, start=after(record)) == records[place:]
