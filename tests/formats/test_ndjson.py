import io
from datetime import UTC, datetime

import pytest

from application.ports.formats import PostRow, Record, RowProblem, UserRow
from domain.imports import Checkpoint, ImportKind
from domain.posts import ContentFormat, PostStatus, PostType
from infrastructure.formats.ndjson import read_ndjson

GOOD = b'{"title":"T","author":"a"}'


def read(file: bytes, kind: ImportKind = ImportKind.POSTS, longest: int = 200) -> list[Record]:
    return list(read_ndjson(io.BytesIO(file), kind, start=Checkpoint(), max_row_bytes=longest))


def test_every_field_is_read() -> None:
    row = (
        b'{"title":"T","author":"a","slug":"s","content":"c","content_format":"html","excerpt":"e","tags":["x","y"],'
        b'"type":"page","status":"draft","published_at":"2024-05-01T12:00:00Z","views":7,"source":"o",'
        b'"external_id":"9"}'
    )
    at = datetime(2024, 5, 1, 12, tzinfo=UTC)
    assert read(row, longest=1_000)[0].parsed == PostRow(
        "T", "a", "s", "c", ContentFormat.HTML, "e", ("x", "y"), PostType.PAGE, PostStatus.DRAFT, at, 7, "o", "9"
    )


def test_null_stands_for_absent() -> None:
    nulls = ",".join(
        f'"{name}":null' for name in ("slug", "content", "tags", "type", "status", "published_at", "views")
    )
    assert read(f'{{"title":"T","author":"a",{nulls}}}'.encode())[0].parsed == PostRow("T", "a")
    assert read(b'{"username":"u","email":"e","role":null,"password":null}', ImportKind.USERS)[0].parsed == UserRow(
        "u", "e"
    )


@pytest.mark.parametrize(
    ("line", "field", "code", "words"),
    [
        (b'{"title":"T"', None, "bad_json", "truncated"),
        (b'{"title":"T","author":"a"} x', None, "bad_json", "trailing"),
        (b"[1]", None, "wrong_type", "type object, and is of type array"),
        (b'{"title":7,"author":"a"}', "title", "wrong_type", "type str, and is of type int"),
        (b'{"title":null,"author":"a"}', "title", "wrong_type", "type str, and is of type null"),
        (b'{"title":"T"}', "author", "missing", "required"),
        (b'{"title":"T","author":"a","titel":"T"}', "titel", "unknown_field", "no such field"),
        (b'{"title":"T","author":"a","tags":"x"}', "tags", "wrong_type", "type array, and is of type str"),
        (b'{"title":"T","author":"a","tags":[1]}', "tags", "wrong_type", "type str, and is of type int"),
        (b'{"title":"T","author":"a","views":"7"}', "views", "wrong_type", "type int, and is of type str"),
        (b'{"title":"T","author":"a","status":"live"}', "status", "bad_value", "one of draft, published"),
        (b'{"title":"T","author":"a","type":3}', "type", "bad_value", "one of post, page"),
        (b'{"title":"T","author":"a","published_at":"May"}', "published_at", "bad_date", "ISO 8601"),
        (b'{"title":"\xff","author":"a"}', None, "bad_encoding", "UTF-8"),
        (b'{"title":"\\ud800","author":"a"}', None, "bad_json", "surrogate"),
        (b'{"title":"' + b"T" * 200 + b'","author":"a"}', None, "too_long", "200 bytes"),
    ],
)
def test_a_bad_line_is_a_problem_of_its_own_and_reading_goes_on(
    line: bytes, field: str | None, code: str, words: str
) -> None:
    before, bad, after = read(b"\n".join([GOOD, line, GOOD]))
    assert isinstance(bad.parsed, RowProblem)
    assert (bad.line, bad.parsed.field, bad.parsed.code) == (2, field, code)
    assert words in bad.parsed.message
    assert bad.raw == line[:201]
    assert before.parsed == after.parsed == PostRow("T", "a")
    assert after.line == 3


def test_a_line_as_long_as_the_limit_is_read() -> None:
    exact = b'{"title":"' + b"T" * (200 - 23) + b'","author":""}'
    assert len(exact) == 201
    longest, shorter = read(exact + b"\r\n" + exact.replace(b"T", b"", 1) + b"\r\n")
    assert isinstance(longest.parsed, RowProblem)
    assert isinstance(shorter.parsed, PostRow)


def test_blank_lines_are_passed_over_and_counted() -> None:
    assert [record.line for record in read(b"\r\n \n" + GOOD + b"\r\n\n" + GOOD + b"\n\n")] == [3, 5]


def test_a_byte_order_mark_and_a_missing_last_line_break_do_no_harm() -> None:
    records = read(b"\xef\xbb\xbf" + GOOD + b"\n" + GOOD)
    assert [record.parsed for record in records] == [PostRow("T", "a")] * 2
    assert records[-1].next.offset == 3 + 2 * len(GOOD) + 1


def test_an_empty_file_has_no_records() -> None:
    assert read(b"") == []
