"""What a person does with the file of the rows that failed: corrects each, by what it says of it."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from domain.imports import ImportFormat

Row = dict[str, Any]
Entry = dict[str, Any]

_LACKING: Mapping[str, Callable[[Row], Row]] = {
    "title": lambda row: row | {"title": "Mended"},
    "author": lambda row: row | {"author": "author-0"},
    "views": lambda row: row | {"views": 0},
    "tags": lambda row: row | {"tags": ["news"]},
    # What nobody needs is taken out.
    **{
        name: lambda row, name=name: row | {name: None}
        for name in ("slug", "status", "published_at", "excerpt", "type")
    },
    "titel": lambda row: {name: value for name, value in row.items() if name != "titel"},
}


def mended(file: bytes, form: ImportFormat, missing: Iterator[str], *, source: str) -> bytes:
    """`missing` are the external ids of the rows that are not here yet and that no row of the file names, in order:
    what is past mending is written anew from a backup."""
    entries = _read(file, form)
    kept = [entry | {"row": _mended(entry, missing, source)} for entry in entries if entry["code"] != "truncated"]
    if form is ImportFormat.NDJSON:
        return b"".join(json.dumps(entry).encode() + b"\n" for entry in kept)
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(kept[0]))
    writer.writeheader()
    writer.writerows(entry | {"row": json.dumps(entry["row"])} for entry in kept)
    return out.getvalue().encode()


def named_in(file: bytes, form: ImportFormat) -> set[str]:
    """The external ids of its rows, where they stand for themselves."""
    return {
        row["external_id"]
        for entry in _read(file, form)
        if isinstance(row := _taken_apart(entry), dict) and entry["code"] != "duplicate"
    }


def _read(file: bytes, form: ImportFormat) -> list[Entry]:
    if form is ImportFormat.NDJSON:
        return [json.loads(line) for line in file.splitlines()]
    return list(csv.DictReader(io.StringIO(file.decode(), newline="")))


def _mended(entry: Entry, missing: Iterator[str], source: str) -> Row:
    row = _taken_apart(entry)
    if not isinstance(row, dict):
        return {"title": "Mended", "author": "author-0", "source": source, "external_id": next(missing)}
    if entry["code"] == "duplicate":
        return row | {"external_id": next(missing)}
    return _LACKING[entry["field"]](row) if entry["field"] else row


def _taken_apart(entry: Entry) -> Any:
    """The row, its text where that is not JSON. What was no UTF-8 is shown as `\\xff`, and stands for a `-`."""
    row = entry["row"]
    if isinstance(row, str):
        try:
            row = json.loads(re.sub(r"\\+xff", "-", row))
        except ValueError:
            return row
    if isinstance(row, dict):
        row = {name: re.sub(r"\\+xff", "-", value) if isinstance(value, str) else value for name, value in row.items()}
        return row if row.get("external_id") else None
    return row
