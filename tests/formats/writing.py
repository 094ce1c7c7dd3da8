"""Rows written out as files, for tests to read back."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime

from application.ports.formats import PostRow, UserRow


def as_ndjson(rows: Iterable[PostRow | UserRow]) -> bytes:
    return b"".join(as_object(row) + b"\n" for row in rows)


def as_json_array(rows: Iterable[PostRow | UserRow], *, between: bytes = b",\n") -> bytes:
    return b"[" + between.join(map(as_object, rows)) + b"]\n"


def as_object(row: PostRow | UserRow) -> bytes:
    return json.dumps(fields_of(row), default=_text, ensure_ascii=False).encode()


def fields_of(row: PostRow | UserRow) -> dict[str, object]:
    """Without `details`, which is no column."""
    return {name: value for name, value in asdict(row).items() if name != "details"}


def as_csv(rows: Iterable[PostRow | UserRow], columns: Sequence[str], *, delimiter: str = ",") -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(columns)
    for row in rows:
        values = asdict(row)
        writer.writerow(_cell(values[column]) for column in columns)
    return out.getvalue().encode()


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(value)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return "|".join(value)
    return value.isoformat() if isinstance(value, datetime) else str(value)
