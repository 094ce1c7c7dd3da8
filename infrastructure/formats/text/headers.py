"""The header of a CSV: which field each column stands for, and how a row is made of the cells below it."""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from application.ports.formats import FileShape
from domain.errors import InvalidValue
from domain.imports import Checkpoint
from infrastructure.formats.rows import (
    HINTED_MAX,
    alike,
    compared,
    field_names,
    fields_are,
    mapping,
    renamings,
    required_names,
)
from infrastructure.formats.text.cells import Cells, Named
from infrastructure.formats.text.dialects import DELIMITERS, Dialect, cells_of, dialect_of, told_delimiter
from infrastructure.formats.text.error_files import row_of
from infrastructure.formats.text.objects import ENTRY_KEYS, Objects, Read
from infrastructure.formats.text.sources import Text

_LOOKED_AT_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Header:
    """`first` is where the first record begins. `read` makes a row of `width` cells; it never raises."""

    dialect: Dialect
    width: int
    first: Checkpoint
    read: Callable[[list[str]], Read]

    @classmethod
    def of(cls, text: Text, shape: FileShape) -> "Header":
        """Raises InvalidValue, unless the columns are those of the kind, or those of an error file."""
        told, begin = told_delimiter(text.head)
        line, feed, _ = text.head[begin:].partition(b"\n")
        if text.damage is not None and not feed:
            raise InvalidValue("file", text.damage.message, code=text.damage.code)
        try:
            header = line.decode()
        except UnicodeDecodeError:
            raise InvalidValue("file", "The header is not UTF-8.", code="bad_encoding") from None
        end = begin + len(line) + len(feed)
        following = text.head[end : end + _LOOKED_AT_BYTES].decode(errors="replace")
        renamed = renamings(shape)
        known = {compared(name) for name in (*field_names(shape.kind), *renamed, *ENTRY_KEYS)}
        try:
            lines = [header, *following.split("\n")]
            dialect = dialect_of(lines, lambda name: compared(name) in known, told or DELIMITERS)
            columns = cells_of(header, dialect)
        except csv.Error as error:
            raise InvalidValue("file", f"The header cannot be read: {error}.", code="bad_header") from None
        first = Checkpoint(end, 3 if told else 2)
        entry = [compared(column) for column in columns]
        if sorted(entry) == sorted(ENTRY_KEYS):
            return cls(dialect, len(columns), first, _entries(shape, entry.index("row")))
        names = _names(shape, columns, renamed)
        return cls(dialect, len(names), first, _rows(shape, names))


def _rows(shape: FileShape, names: Sequence[str]) -> Callable[[list[str]], Read]:
    row = Cells(shape.kind, names).row
    return lambda cells: (row(cells), Named(names, cells))


def _entries(shape: FileShape, place: int) -> Callable[[list[str]], Read]:
    read_entry = Objects(shape).read_entry
    return lambda cells: read_entry(row_of(cells[place]) or None)


def _names(shape: FileShape, columns: Sequence[str], renamed: Mapping[str, str]) -> list[str]:
    """Of the fields, as the columns stand for them. Raises InvalidValue."""
    known = {compared(name): name for name in field_names(shape.kind)} | dict(renamed)
    names: list[str] = []
    for column in columns:
        field = known.get(compared(column))
        if field is None:
            named = {known.get(compared(each)) for each in columns}
            free = [name for name in field_names(shape.kind) if name not in named]
            lacking = [name for name in required_names(shape.kind) if name in free]
            told = f"There is no column {column[:100]!r}.{_meant(column, free, lacking)}"
            raise InvalidValue("file", f"{told} {fields_are(shape.kind)}", code="unknown_column")
        if field and field in names:
            raise InvalidValue("file", f"The header names the column {field!r} twice.", code="repeated_column")
        names.append(field)
    for name in required_names(shape.kind):
        if name not in names:
            told = f"The header lacks the column {name!r}."
            raise InvalidValue("file", f"{told} {fields_are(shape.kind)}", code="missing_column")
    return names


def _meant(column: str, free: Sequence[str], lacking: Sequence[str]) -> str:
    """What may be said of a column that nobody knows; empty where no option can name it. `free`: fields without one."""
    name = column.strip()
    if close := alike(name, free):
        return close
    if not name or not name.isprintable() or len(name) > HINTED_MAX:
        return ""
    left_out = f"{mapping(name, '')} leaves it out."
    if not lacking:
        return f" {left_out}"
    return f" If it is meant for {lacking[0]!r}, {mapping(name, lacking[0])} says so; {left_out}"
