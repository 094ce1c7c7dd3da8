"""What a row of each kind is made of, and how the words of a file become its values. Shared by the formats."""

import re
from collections.abc import Mapping
from dataclasses import MISSING, fields
from datetime import datetime
from enum import StrEnum

from application.ports.formats import PostRow, UserRow
from domain.errors import InvalidValue
from domain.imports import ImportKind
from domain.posts import ContentFormat, PostStatus, PostType

BOM = b"\xef\xbb\xbf"

# How much of a row that is longer than the limit a row error shows, in bytes.
SHOWN_OF_OVERLONG = 1_000

ROW_TYPES: Mapping[ImportKind, type[PostRow | UserRow]] = {ImportKind.POSTS: PostRow, ImportKind.USERS: UserRow}

CHOICES: Mapping[str, type[StrEnum]] = {"content_format": ContentFormat, "type": PostType, "status": PostStatus}

_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,20}")


def field_names(kind: ImportKind) -> tuple[str, ...]:
    return tuple(field.name for field in fields(ROW_TYPES[kind]))


def required_names(kind: ImportKind) -> tuple[str, ...]:
    return tuple(field.name for field in fields(ROW_TYPES[kind]) if field.default is MISSING)


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


def choice(text: str, field: str) -> StrEnum:
    """Raises InvalidValue."""
    try:
        return CHOICES[field](text)
    except ValueError:
        raise InvalidValue(field, one_of(field), code="bad_value") from None


def one_of(field: str) -> str:
    return f"It must be one of {', '.join(CHOICES[field])}."
