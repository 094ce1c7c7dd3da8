"""Archives to import, with as many bad rows as asked for: the first row is good, and equal plans make equal archives.

    python -m benchmarks.make_archive posts.ndjson --rows 100000 --bad 100

Posts are by `author-0` and its fellows, whom `--kind users` with the same `--authors` makes.
"""

import argparse
import csv
import io
import json
import random
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from domain.import_options import ImportFormat, ImportKind
from infrastructure.formats.rows import field_names

Row = dict[str, object]

_TEXT: Final = """
the of and to in is that for it as was with be by on not he his but at are this have from or had an they which one
harbour letter winter window garden river market engine village paper morning silver copper lantern bridge orchard
Überfluss naïve façade čaj Москва 東京 สวัสดี مرحبا
"""
WORDS: Final = _TEXT.split()
_ASCII_WORDS: Final = [word for word in WORDS if word.isascii()]
COLUMNS: Final[Mapping[ImportKind, list[str]]] = {kind: list(field_names(kind)) for kind in ImportKind}
FORMATS: Final = (ImportFormat.CSV, ImportFormat.NDJSON, ImportFormat.JSON)


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a bad row must be reported with."""

    line: int
    field: str | None
    code: str


@dataclass(frozen=True, slots=True)
class Plan:
    rows: int
    bad: int = 0
    kind: ImportKind = ImportKind.POSTS
    format: ImportFormat = ImportFormat.NDJSON
    seed: int = 1
    authors: int = 20
    row_bytes: int = 600
    """Of a post, about."""
    views: bool = True
    """Whether posts have any."""
    truncated: bool = False
    """The file ends in the middle of one more row."""


def archive(plan: Plan) -> Iterator[tuple[bytes, Refusal | None]]:
    """Pieces of the file, a record each, besides the header of a CSV and the brackets of a JSON array; each with what
    it must be refused for."""
    line = 1
    for piece, refused in _pieces(plan):
        yield piece, refused and Refusal(line, *refused)
        line += piece.count(b"\n")


def _pieces(plan: Plan) -> Iterator[tuple[bytes, tuple[str | None, str] | None]]:
    dice = random.Random(plan.seed)
    spoils = _SPOILS[plan.kind, plan.format]
    bad = {number: spoils[n % len(spoils)] for n, number in enumerate(dice.sample(range(1, plan.rows), plan.bad))}
    if plan.format is ImportFormat.CSV:
        yield _csv_line(COLUMNS[plan.kind]), None
    elif plan.format is ImportFormat.JSON:
        yield b"[\n", None
    make = _post if plan.kind is ImportKind.POSTS else _user
    first = make(plan, 0, random.Random(plan.seed))
    for number in range(plan.rows):
        row = make(plan, number, dice)
        is_last = number == plan.rows - 1 and not plan.truncated
        if number in bad:
            field, code, spoilt = bad[number]
            yield _ended(spoilt(row, first), plan.format, is_last=is_last), (field, code)
        else:
            yield _ended(_written(row, plan.format), plan.format, is_last=is_last), None
    if plan.truncated:
        yield _written(first, plan.format)[:20], (None, _OF_TRUNCATED[plan.format])
    elif plan.format is ImportFormat.JSON:
        yield b"]\n", None


_OF_TRUNCATED: Final[Mapping[ImportFormat, str]] = {
    ImportFormat.CSV: "wrong_width",
    ImportFormat.NDJSON: "bad_json",
    ImportFormat.JSON: "truncated",
}


def _ended(record: bytes, form: ImportFormat, *, is_last: bool) -> bytes:
    """With what parts it from the next one."""
    return record if form is not ImportFormat.JSON or is_last else record.removesuffix(b"\n") + b",\n"


def _post(plan: Plan, number: int, dice: random.Random) -> Row:
    title = " ".join(dice.choices(WORDS if number % 10 == 0 else _ASCII_WORDS, k=6))
    row: Row = {
        "title": f"{title} {number}",
        "author": f"author-{dice.randrange(plan.authors)}",
        "content": "",
        "tags": dice.sample(("news", "travel", "food", "code", "music"), 2),
        "published_at": f"20{dice.randrange(10, 26)}-0{dice.randrange(1, 10)}-{dice.randrange(10, 29)}T12:00:00Z",
        "views": dice.randrange(1000),
        "source": f"archive-{plan.seed}",
        "external_id": str(number),
    }
    if not plan.views:
        del row["views"]
    room = plan.row_bytes - len(json.dumps(row, ensure_ascii=False).encode())
    content = []
    while room > 0:
        content.append(dice.choice(WORDS) + ("\n\n" if dice.random() < 0.02 else " "))
        room -= len(content[-1].encode())
    row["content"] = "".join(content)
    return row


def _user(plan: Plan, number: int, _dice: random.Random) -> Row:
    name = f"author-{number}"
    return {
        "username": name,
        "email": f"{name}@{plan.seed}.example.com",
        "display_name": name.title(),
        "bio": "Writes.",
    }


def _written(row: Row, form: ImportFormat) -> bytes:
    if form is not ImportFormat.CSV:
        return json.dumps(row, ensure_ascii=False).encode() + b"\n"
    columns = COLUMNS[ImportKind.POSTS if "title" in row else ImportKind.USERS]
    return _csv_line(_cell(row.get(column)) for column in columns)


def _cell(value: object) -> str:
    if value is None:
        return ""
    return "|".join(value) if isinstance(value, list) else str(value)


def _csv_line(cells: Iterable[str]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue().encode()


Spoil = Callable[[Row, Row], bytes]
"""The record of a row, spoilt; with the file's first row."""


def _with(form: ImportFormat, **values: object) -> Spoil:
    return lambda row, _first: _written(row | values, form)


def _without(name: str) -> Spoil:
    return lambda row, _first: _written({key: value for key, value in row.items() if key != name}, ImportFormat.NDJSON)


def _repeating(form: ImportFormat, *names: str) -> Spoil:
    return lambda row, first: _written(row | {name: first[name] for name in names}, form)


def _replacing(old: bytes, new: bytes, form: ImportFormat) -> Spoil:
    return lambda row, _first: _written(row, form).replace(old, new, 1)


def _posts_in(form: ImportFormat) -> list[tuple[str | None, str, Spoil]]:
    return [
        ("title", "too_long", _with(form, title="T" * 301)),
        ("title", "bad_character", _with(form, title="a\x00b")),
        ("author", "unknown_author", _with(form, author="nobody")),
        ("slug", "bad_slug", _with(form, slug="No Slug")),
        ("status", "bad_value", _with(form, status="live")),
        ("published_at", "bad_date", _with(form, published_at="yesterday")),
        ("views", "out_of_range", _with(form, views=-1)),
        ("excerpt", "too_long", _with(form, excerpt="E" * 2_001)),
        ("type", "bad_value", _with(form, type="podcast")),
        ("external_id", "duplicate", _repeating(form, "source", "external_id")),
        (None, "bad_encoding", _replacing(b"archive-", b"archive\xff", form)),
    ]


def _users_in(form: ImportFormat) -> list[tuple[str | None, str, Spoil]]:
    return [
        ("username", "bad_username", _with(form, username="no name")),
        ("email", "bad_email", _with(form, email="nowhere")),
        ("username", "duplicate", _repeating(form, "username")),
        ("username", "duplicate", _repeating(form, "email")),
        ("website", "bad_url", _with(form, website="ftp://example.com")),
        ("password", "too_short", _with(form, password="short")),
        ("role", "bad_value", _with(form, role="king")),
    ]


_ONLY_JSON: list[tuple[str | None, str, Spoil]] = [
    (None, "bad_json", lambda row, _first: _written(row, ImportFormat.NDJSON)[:40] + b"\n"),
    (None, "wrong_type", lambda _row, _first: b"[1, 2]\n"),
    ("titel", "unknown_field", _with(ImportFormat.NDJSON, titel="")),
]
_ONLY_CSV: list[tuple[str | None, str, Spoil]] = [
    (None, "wrong_width", lambda _row, _first: b"a,b,c\n"),
    (None, "bad_csv", lambda _row, _first: b'"a"b,c\n'),
    (None, "bad_csv", lambda _row, _first: b'"never closed,c\n'),
]

_ONLY_POSTS_IN_JSON: list[tuple[str | None, str, Spoil]] = [
    ("title", "missing", _without("title")),
    ("title", "wrong_type", _with(ImportFormat.NDJSON, title=7)),
    ("tags", "wrong_type", _with(ImportFormat.NDJSON, tags="news")),
]
_ONLY_POSTS_IN_CSV: list[tuple[str | None, str, Spoil]] = [
    ("title", "missing", _with(ImportFormat.CSV, title="")),
    ("views", "wrong_type", _with(ImportFormat.CSV, views="many")),
]

_SPOILS: Mapping[tuple[ImportKind, ImportFormat], list[tuple[str | None, str, Spoil]]] = {
    (ImportKind.POSTS, ImportFormat.CSV): [*_posts_in(ImportFormat.CSV), *_ONLY_CSV, *_ONLY_POSTS_IN_CSV],
    (ImportKind.USERS, ImportFormat.CSV): [*_users_in(ImportFormat.CSV), *_ONLY_CSV],
    **{
        (ImportKind.POSTS, form): [*_posts_in(form), *_ONLY_JSON, *_ONLY_POSTS_IN_JSON]
        for form in (ImportFormat.NDJSON, ImportFormat.JSON)
    },
    **{(ImportKind.USERS, form): [*_users_in(form), *_ONLY_JSON] for form in (ImportFormat.NDJSON, ImportFormat.JSON)},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="where to; - is standard output")
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--bad", type=int, default=0, help="how many of them are bad")
    parser.add_argument("--kind", type=ImportKind, choices=list(ImportKind), default=ImportKind.POSTS)
    parser.add_argument("--format", type=ImportFormat, choices=FORMATS, default=ImportFormat.NDJSON)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--authors", type=int, default=20)
    parser.add_argument("--row-bytes", type=int, default=600, help="of a post, about")
    parser.add_argument("--views", action=argparse.BooleanOptionalAction, default=True, help="whether posts have any")
    parser.add_argument("--truncated", action="store_true", help="end in the middle of one more row")
    parser.add_argument("--expect", type=Path, help="where to write what each bad row must be refused for, as NDJSON")
    asked = vars(parser.parse_args())
    path, expect = asked.pop("file"), asked.pop("expect")
    with (
        nullcontext(sys.stdout.buffer) if path == Path("-") else path.open("wb") as out,
        nullcontext(None) if expect is None else expect.open("w") as expected,
    ):
        _write(archive(Plan(**asked)), out, expected)


def _write(records: Iterator[tuple[bytes, Refusal | None]], out: BinaryIO, expected: io.TextIOBase | None) -> None:
    for record, refusal in records:
        out.write(record)
        if refusal is not None and expected is not None:
            expected.write(json.dumps({"line": refusal.line, "field": refusal.field, "code": refusal.code}) + "\n")


if __name__ == "__main__":
    main()
