"""What a person does with the file of the rows that failed: corrects each, by what it says of it."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from benchmarks.make_archive import COLUMNS
from domain.import_options import ImportFormat, ImportKind

Row = dict[str, Any]
Entry = dict[str, Any]

_NOT_NEEDED = frozenset({"slug", "status", "published_at", "excerpt", "type"})
_RIGHT: Mapping[str, Callable[[Row], object]] = {
    "title": lambda _: "Mended",
    "author": lambda _: "author-0",
    "views": lambda row: type(row["views"])(0),
    "tags": lambda _: ["news"],
}


def mended(file: bytes, form: ImportFormat, missing: Iterator[str], *, source: str, left_out: int) -> bytes:
    """`missing` are the external ids of the rows that are not here yet and that no row of the file names, in order:
    what is past mending is written anew from a backup. The row of line `left_out` is nobody's."""
    kept = [
        entry | {"row": _mended(entry, missing, source)}
        for entry in _read(file, form)
        if int(entry["line"]) != left_out
    ]
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
        if (row := _taken_apart(entry)) is not None and entry["code"] != "duplicate"
    }


def _read(file: bytes, form: ImportFormat) -> list[Entry]:
    if form is ImportFormat.NDJSON:
        return [json.loads(line) for line in file.splitlines()]
    return list(csv.DictReader(io.StringIO(file.decode(), newline="")))


def _mended(entry: Entry, missing: Iterator[str], source: str) -> Row:
    row, field = _taken_apart(entry), entry["field"]
    if row is None:
        return {"title": "Mended", "author": "author-0", "source": source, "external_id": next(missing)}
    if entry["code"] == "duplicate":
        return row | {"external_id": next(missing)}
    if entry["code"] == "unknown_field":
        return {name: value for name, value in row.items() if name != field}
    if not field:
        return row
    return row | {field: None if field in _NOT_NEEDED else _RIGHT[field](row)}


def _taken_apart(entry: Entry) -> Row | None:
    """None, where it is past mending. What was no UTF-8 is shown as `\\xff`, and stands for a `-`."""
    row = entry["row"]
    if isinstance(row, str):
        text = row.replace("\\xff", "-")
        try:
            row = json.loads(text)
        except ValueError:
            cells = next(csv.reader([text]))
            columns = COLUMNS[ImportKind.POSTS]
            row = dict(zip(columns, cells, strict=True)) if len(cells) == len(columns) else None
    return row if isinstance(row, dict) and row.get("external_id") else None
