"""CSV after RFC 4180, in UTF-8 with or without a byte order mark: a header, then a record a row, whose quoted cells may
hold line breaks. Cells are parted by commas, semicolons or tabs, whichever the header's are."""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

from application.ports.formats import PostRow, Record, RowProblem, UserRow
from domain.errors import InvalidValue
from domain.imports import Checkpoint, ImportKind
from infrastructure.formats.lines import read_line
from infrastructure.formats.rows import (
    BOM,
    CHOICES,
    ROW_TYPES,
    SHOWN_OF_OVERLONG,
    choice,
    field_names,
    instant,
    required_names,
    whole_number,
)

_DELIMITERS = ",;\t"

Convert = Callable[[str, str], object]

# Of the whole process, and 128 KiB unless told; what bounds a cell is `max_row_bytes`.
csv.field_size_limit(2**31 - 1)


def _parted_tags(cell: str, _field: str) -> tuple[str, ...]:
    return tuple(cell.split("|"))


_CONVERT: Mapping[str, Convert] = {
    "tags": _parted_tags,
    "views": whole_number,
    "published_at": instant,
    **dict.fromkeys(CHOICES, choice),
}


def read_csv(file: BinaryIO, kind: ImportKind, *, start: Checkpoint, max_row_bytes: int) -> Iterator[Record]:
    """A `Reader`. Empty cells are absent fields; rows without any cell filled are passed over.

    A record that breaks the quoting rules, or grows past `max_row_bytes`, is a problem of its first line, and reading
    goes on at the next line: a quote that nobody closed costs one row and not the rest of the file.
    """
    file.seek(0)
    columns, begin = _header(file, kind, max_row_bytes)
    lines = _Lines(file, start if start.offset else begin, max_row_bytes)
    while True:
        at = lines.here
        reader = csv.reader(lines, delimiter=columns.delimiter, strict=True)
        try:
            for cells in reader:
                if any(cells):
                    yield _record(columns, cells, lines, at)
                at = lines.here
                lines.begin_record()
        except (csv.Error, _TooLong) as error:
            shown = lines.skip_line_at(at)
            yield Record(at.line, lines.here, _damage(error, max_row_bytes), shown)
        else:
            return


class _Columns:
    """What the header names, and how a row is made of the cells below it."""

    def __init__(self, kind: ImportKind, names: Sequence[str], delimiter: str) -> None:
        self.names = names
        self.delimiter = delimiter
        self._convert = [_CONVERT.get(name) for name in names]
        self._required = required_names(kind)
        self._row_type = ROW_TYPES[kind]

    def row(self, cells: Sequence[str]) -> PostRow | UserRow | RowProblem:
        values: dict[str, Any] = {}
        try:
            for name, cell, convert in zip(self.names, cells, self._convert, strict=True):
                if cell:
                    values[name] = convert(cell, name) if convert else cell
        except InvalidValue as error:
            return RowProblem(error.field, error.code, error.message)
        for name in self._required:
            if name not in values:
                return RowProblem(name, "missing", "It is required.")
        return self._row_type(**values)


class _TooLong(Exception):
    pass


class _Lines:
    """The text lines that `csv.reader` asks for, one at a time: never further than the record that it is reading."""

    def __init__(self, file: BinaryIO, start: Checkpoint, max_row_bytes: int) -> None:
        self._file = file
        self._longest = max_row_bytes
        self._seek(start)

    @property
    def here(self) -> Checkpoint:
        return Checkpoint(self._offset, self._number)

    def begin_record(self) -> None:
        self._record_bytes = 0
        self.is_utf8 = True

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        raw = self._file.readline(self._longest + 3)
        if not raw:
            raise StopIteration
        self._offset += len(raw)
        self._number += 1
        self._record_bytes += len(raw)
        if self._record_bytes > self._longest + 2:
            raise _TooLong
        try:
            return raw.decode()
        except UnicodeDecodeError:
            self.is_utf8 = False
            return raw.decode(errors="surrogateescape")

    def bytes_since(self, start: Checkpoint) -> bytes:
        self._file.seek(start.offset)
        return self._file.read(self._offset - start.offset)

    def skip_line_at(self, start: Checkpoint) -> bytes:
        """The beginning of the line at `start`; the next line read is the one after it."""
        self._seek(start)
        line, taken = read_line(self._file, self._longest)
        self._offset += taken
        self._number += 1
        return line[:SHOWN_OF_OVERLONG]

    def _seek(self, to: Checkpoint) -> None:
        self._file.seek(to.offset)
        self._offset, self._number = to.offset, to.line
        self.begin_record()


def _record(columns: _Columns, cells: Sequence[str], lines: _Lines, at: Checkpoint) -> Record:
    if not lines.is_utf8:
        problem = RowProblem(None, "bad_encoding", "It is not UTF-8.")
    elif len(cells) != len(columns.names):
        message = f"It has {len(cells)} cells; the header names {len(columns.names)}."
        problem = RowProblem(None, "wrong_width", message)
    else:
        return Record(at.line, lines.here, columns.row(cells), dict(zip(columns.names, cells, strict=True)))
    return Record(at.line, lines.here, problem, lines.bytes_since(at).rstrip(b"\r\n"))


def _damage(error: csv.Error | _TooLong, max_row_bytes: int) -> RowProblem:
    if isinstance(error, _TooLong):
        return RowProblem(
            None, "too_long", f"It is longer than {max_row_bytes} bytes, or a quote is opened and never closed."
        )
    return RowProblem(None, "bad_csv", f"Its quotes are broken: {error}. Reading went on at the next line.")


def _header(file: BinaryIO, kind: ImportKind, longest: int) -> tuple[_Columns, Checkpoint]:
    """The columns, and where the first record begins. Raises InvalidValue."""
    line, taken = read_line(file, longest)
    try:
        text = line.removeprefix(BOM).decode()
    except UnicodeDecodeError:
        raise InvalidValue("file", "The header is not UTF-8.", code="bad_encoding") from None
    known = field_names(kind)

    def split(delimiter: str) -> list[str]:
        try:
            return [cell.strip() for cell in next(csv.reader([text], delimiter=delimiter), [])]
        except csv.Error as error:
            raise InvalidValue("file", f"The header cannot be read: {error}.", code="bad_header") from None

    delimiter = max(_DELIMITERS, key=lambda each: len(set(split(each)).intersection(known)))
    columns = split(delimiter)
    known_are = f"The columns of {kind} are: {', '.join(known)}."
    for position, column in enumerate(columns):
        if column not in known:
            raise InvalidValue("file", f"There is no column {column[:100]!r}. {known_are}", code="unknown_column")
        if column in columns[:position]:
            raise InvalidValue("file", f"The header names the column {column!r} twice.", code="repeated_column")
    for name in required_names(kind):
        if name not in columns:
            raise InvalidValue("file", f"The header lacks the column {name!r}. {known_are}", code="missing_column")
    return _Columns(kind, columns, delimiter), Checkpoint(taken, 2)
