"""The files of rows that failed: `line field code message row`, to be mended and imported again.

`row` is the row as an object, or its text where it could not be taken apart; in CSV as the JSON of either. A cell of
CSV that a spreadsheet would run (beginning with = + - @, a tab or a carriage return) has a `'` before it, as has one
that begins with `'`: so the reader undoes it exactly. A spreadsheet that parts cells at `;` finds none to run either.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence

import msgspec

from domain.imports import RowError
from infrastructure.formats.text.objects import ENTRY_KEYS

_RUN = ("=", "+", "-", "@", "\t", "\r", "'")
# JSON has these only within its texts, and an escape for them.
_RUN_AFTER_SEMICOLON = re.compile(r""";(?=[\s"']*[=+\-@])""")


class CsvErrorWriter:
    """An `ErrorWriter`."""

    @property
    def head(self) -> bytes:
        return _csv([ENTRY_KEYS])

    def __call__(self, errors: Sequence[RowError]) -> bytes:
        return _csv([_harmless(cell) for cell in _cells(error)] for error in errors)


class NdjsonErrorWriter:
    """An `ErrorWriter`. No spreadsheet runs what it writes."""

    @property
    def head(self) -> bytes:
        return b""

    def __call__(self, errors: Sequence[RowError]) -> bytes:
        return b"".join(
            msgspec.json.encode(
                dict(zip(ENTRY_KEYS, (each.line, each.field, each.code, each.message, each.row), strict=True))
            )
            + b"\n"
            for each in errors
        )


def row_of(cell: str) -> str:
    """The JSON of a row's object, or the text of what is none, before the writer made it harmless."""
    cell = cell.removeprefix("'")
    if cell.startswith('"'):
        try:
            return msgspec.json.decode(cell, type=str)
        except (msgspec.MsgspecError, UnicodeError):
            pass
    return cell


def _harmless(cell: str) -> str:
    cell = _RUN_AFTER_SEMICOLON.sub(",", cell)
    return f"'{cell}" if cell.startswith(_RUN) else cell


def _cells(error: RowError) -> tuple[str, ...]:
    row = error.row
    shown = "" if row is None else _RUN_AFTER_SEMICOLON.sub(r"\\u003b", msgspec.json.encode(row).decode())
    return str(error.line), error.field or "", error.code, error.message, shown


def _csv(rows: Iterable[Sequence[str]]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    return out.getvalue().encode(errors="backslashreplace")
