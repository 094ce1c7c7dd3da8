from datetime import UTC, datetime
from functools import partial

import pytest

from application.ports.formats import PostRow, UserRow
from domain.errors import InvalidValue
from domain.import_options import ImportKind
from domain.posts import ContentFormat, PostStatus, PostType
from infrastructure.formats.text.ndjson import read_ndjson
from tests.formats.reading import message, problem
from tests.formats.reading import read as read_file

GOOD = b'{"title":"T","author":"a"}'

read = partial(read_file, read_ndjson)


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
        (b'{"author":"a"}', "title", "missing", "required"),
        (b'{"title":"T","author":"a","titel":"T"}', "titel", "unknown_field", "no such field"),
        (b'{"title":"T","Author":"a"}', "Author", "unknown_field", "--map Author=author"),
        (b'{"title":"T","details":null}', "details", "unknown_field", "no such field"),
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
    before, bad, after = read(b"\n".join([GOOD, line, GOOD]), longest=200)
    assert problem(bad) == (2, field, code)
    assert words in message(bad)
    assert bad.raw == line[:201]
    assert before.parsed == after.parsed == PostRow("T", "a")
    assert after.line == 3


def test_a_line_as_long_as_the_limit_is_read() -> None:
    exact = b'{"title":"' + b"T" * (200 - 23) + b'","author":""}'
    assert len(exact) == 201
    longest, shorter = read(exact + b"\r\n" + exact.replace(b"T", b"", 1) + b"\r\n", longest=200)
    assert problem(longest) == (1, None, "too_long")
    assert isinstance(shorter.parsed, PostRow)


def test_blank_lines_are_passed_over_and_counted() -> None:
    assert [record.line for record in read(b"\r\n \n" + GOOD + b"\r\n\n" + GOOD + b"\n\n")] == [3, 5]


def test_a_byte_order_mark_and_a_missing_last_line_break_do_no_harm() -> None:
    records = read(b"\xef\xbb\xbf" + GOOD + b"\n" + GOOD)
    assert [record.parsed for record in records] == [PostRow("T", "a")] * 2
    assert records[-1].end == 2 * len(GOOD) + 1


def test_a_last_line_that_is_cut_off_is_one_problem() -> None:
    whole, cut = read(GOOD + b"\n" + GOOD[:12])
    assert whole.parsed == PostRow("T", "a")
    assert problem(cut) == (2, None, "bad_json")


def test_a_name_stands_for_the_field_that_it_is_mapped_to_or_for_none() -> None:
    columns = {"headline": "title", "by": "author", "junk": ""}
    line = b'{"headline":"T","by":"a","junk":{"x":[1]},"views":3,"tags":["x"],"published_at":"2024-05-01"}'
    record = read(line + b"\n" + GOOD, columns=columns)[0]
    assert record.parsed == PostRow("T", "a", views=3, tags=("x",), published_at=datetime(2024, 5, 1))  # noqa: DTZ001
    assert isinstance(record.raw, dict)
    assert record.raw["title"] == "T"
    assert "junk" not in record.raw


@pytest.mark.parametrize(
    ("line", "field", "code"),
    [
        (b'{"headline":"T","title":"U"}', "title", "repeated"),
        (b'{"headline":7}', "title", "wrong_type"),
        (b'{"headline":"T","status":"live"}', "status", "bad_value"),
        (b'{"headline":"T","titel":1}', "titel", "unknown_field"),
        (b'{"headline":"T"', None, "bad_json"),
        (b"[1]", None, "wrong_type"),
        (b'{"headline":"\xff"}', None, "bad_encoding"),
    ],
)
def test_rows_under_mapped_names_fail_alone_too(line: bytes, field: str | None, code: str) -> None:
    bad, after = read(line + b"\n" + GOOD, columns={"headline": "title"})
    assert problem(bad) == (1, field, code)
    assert after.parsed == PostRow("T", "a")


def test_names_must_be_mapped_to_fields() -> None:
    with pytest.raises(InvalidValue, match="There is no field 'titel'"):
        read(GOOD, columns={"headline": "titel"})


def test_a_masked_secret_is_to_be_given_again() -> None:
    user = b'{"username":"u","email":"e","password":"***"}\n{"username":"u","email":"e","password_hash":"***"}'
    password, password_hash = read(user, ImportKind.USERS)
    assert problem(password) == (1, "password", "masked")
    assert problem(password_hash) == (2, "password_hash", "masked")


def test_an_empty_file_has_no_records() -> None:
    assert read(b"") == []
