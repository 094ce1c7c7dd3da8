"""Rows in COPY's binary format (PostgreSQL, COPY, Binary Format), written in plain Python.

asyncpg writes it too, and takes three times as long for a row of posts: here what many rows have in common is encoded
once, and a row is but joined together. Numbers are big-endian; a field is its length, then its value.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from struct import Struct
from typing import Final
from uuid import UUID

BEGIN: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
"""No flags, no extension of the header."""
END: Final = b"\xff\xff"
NULL: Final = b"\xff\xff\xff\xff"

UUID_LENGTH: Final = b"\0\0\0\x10"
INSTANT_LENGTH: Final = b"\0\0\0\x08"

_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_TEXT_OID: Final = 25

count: Final = Struct(">h").pack
"""Of the fields of a row, with which it begins."""
length: Final = Struct(">i").pack
_int4: Final = Struct(">ii").pack
_int8: Final = Struct(">iq").pack
_array: Final = Struct(">iiiii").pack


def uuid_field(value: UUID | None) -> bytes:
    return NULL if value is None else UUID_LENGTH + value.bytes


def int4_field(value: int) -> bytes:
    return _int4(4, value)


def int8_field(value: int) -> bytes:
    return _int8(8, value)


def instant_field(value: datetime | None) -> bytes:
    """Microseconds since 2000."""
    return NULL if value is None else _int8(8, (value - _EPOCH) // _MICROSECOND)


def text_field(value: str | None) -> bytes:
    if value is None:
        return NULL
    encoded = value.encode()
    return length(len(encoded)) + encoded


def texts_field(values: Sequence[str]) -> bytes:
    """An array of one dimension without NULLs; of none where it is empty."""
    if not values:
        return _EMPTY
    items = b"".join(map(text_field, values))
    return length(20 + len(items)) + _array(1, 0, _TEXT_OID, len(values), 1) + items


_EMPTY: Final = length(12) + Struct(">iii").pack(0, 0, _TEXT_OID)
