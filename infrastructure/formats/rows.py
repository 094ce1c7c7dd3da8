"""What a row of each kind is made of, and how the words of a file become its values. Shared by the formats."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from datetime import datetime
from difflib import get_close_matches
from enum import StrEnum
from shlex import quote
from typing import TypeAlias

from application.importing.row_errors import MASK
from application.ports.formats import FileShape, PostRow, RowProblem, UserRow
from domain.errors import InvalidValue
from domain.import_options import ImportKind
from domain.posts import ContentFormat, PostStatus, PostType

Row: TypeAlias = PostRow | UserRow

BOM = b"\xef\xbb\xbf"

# How long a name is that a hint is given for: to compare it takes the square of its length.
HINTED_MAX = 100

# How much of a row that is longer than the limit a row error shows, in bytes.
SHOWN_OF_OVERLONG = 1_000

ROW_TYPES: Mapping[ImportKind, type[Row]] = {ImportKind.POSTS: PostRow, ImportKind.USERS: UserRow}

CHOICES: Mapping[str, type[StrEnum]] = {"content_format": ContentFormat, "type": PostType, "status": PostStatus}

_NO_COLUMNS = frozenset({"details"})
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,20}")


def field_names(kind: ImportKind) -> tuple[str, ...]:
    return tuple(field.name for field in fields(ROW_TYPES[kind]) if field.name not in _NO_COLUMNS)


def required_names(kind: ImportKind) -> tuple[str, ...]:
    return tuple(field.name for field in fields(ROW_TYPES[kind]) if field.default is MISSING)


def renamings(shape: FileShape) -> Mapping[str, str]:
    """The columns of `shape`, their names as they are compared: in small letters, without blanks around them. What
    stands for nothing (``) is to be passed over. Raises InvalidValue."""
    known = field_names(shape.kind)
    for field in shape.columns.values():
        if field and field not in known:
            raise InvalidValue(
                "columns", f"There is no field {field[:100]!r}. {fields_are(shape.kind)}", code="unknown_column"
            )
    return {compared(name): field for name, field in shape.columns.items()}


def compared(name: str) -> str:
    return name.strip().casefold()


def fields_are(kind: ImportKind) -> str:
    return f"The columns of {kind} are: {', '.join(field_names(kind))}."


def alike(name: str, known: Iterable[str]) -> str:
    """A sentence that offers the closest of `known`; empty where none is close."""
    if len(name) > HINTED_MAX:
        return ""
    close = get_close_matches(compared(name), list(known), n=1, cutoff=0.7)
    return f" It may be meant for {close[0]!r}: {mapping(name, close[0])} says so." if close else ""


def mapping(name: str, field: str) -> str:
    """The option of the command line by which a file's `name` stands for `field`."""
    return f"--map {quote(f'{name.strip()}={field}')}"


def instant(text: str, field: str) -> datetime:
    """Raises InvalidValue, unless it is ISO 8601; a date alone is its midnight."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise InvalidValue(
            field, "It must be a date and time such as 2024-05-01T12:00:00Z (ISO 8601).", code="bad_date"
        ) from None


def whole_number(text: str, field: str) -> int:
    """Raises InvalidValue."""
    if not _WHOLE_NUMBER.fullmatch(text):
        raise InvalidValue(field, "It must be a whole number.", code="wrong_type")
    return int(text)


def one_of(field: str) -> str:
    return f"It must be one of {', '.join(CHOICES[field])}."


def bad_choice(field: str) -> InvalidValue:
    return InvalidValue(field, one_of(field), code="bad_value")


def require_secrets(row: UserRow) -> UserRow:
    """Itself. Raises InvalidValue where a secret is masked, as the file of an import's errors has it."""
    for field, secret in (("password", row.password), ("password_hash", row.password_hash)):
        if secret == MASK:
            raise InvalidValue(
                field, f"It is masked here as {MASK}: give it again, or leave it out (null).", code="masked"
            )
    return row


def too_long(limit: int) -> RowProblem:
    return RowProblem(None, "too_long", f"It is longer than {limit} bytes.")


NOT_UTF_8 = RowProblem(None, "bad_encoding", "It is not UTF-8.")
