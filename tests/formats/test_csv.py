import io

import pytest

from application.ports.formats import PostRow, Record, RowProblem, UserRow
from domain.errors import InvalidValue
from domain.imports import Checkpoint, ImportKind
from infrastructure.formats.csv import read_csv


def read(file: bytes, kind: ImportKind = ImportKind.POSTS, longest: int = 200) -> list[Record]:
    return list(read_csv(io.BytesIO(file), kind, start=Checkpoint(), max_row_bytes=longest))


def problem(record: Record) -> tuple[int, str | None, str]:
    assert isinstance(record.parsed, RowProblem)
    return record.line, record.parsed.field, record.parsed.code


@pytest.mark.parametrize("delimiter", [b",", b";", b"\t"])
def test_the_header_says_what_parts_the_cells(delimiter: bytes) -> None:
    file = b"author,title,tags\na,T,x|y\n".replace(b",", delimiter)
    assert read(file)[0].parsed == PostRow("T", "a", tags=("x", "y"))


def test_empty_cells_are_absent_and_the_row_is_shown_as_it_came() -> None:
    record = read(b"title,author,slug,content,views\nT,a,,,\n")[0]
    assert record.parsed == PostRow("T", "a")
    assert record.raw == {"title": "T", "author": "a", "slug": "", "content": "", "views": ""}


def test_lines_are_those_of_the_text_where_cells_hold_line_breaks() -> None:
    records = read(b'title,author,content\nT,a,"one\r\ntwo\n\nfour"\n\nU,b,x\n')
    assert [(record.line, record.next.line) for record in records] == [(2, 6), (7, 8)]
    assert records[0].parsed == PostRow("T", "a", content="one\r\ntwo\n\nfour")


def test_rows_without_a_filled_cell_are_passed_over() -> None:
    assert [record.line for record in read(b"title,author\n\n,\nT,a\n,\n")] == [4]


@pytest.mark.parametrize(
    ("row", "field", "code"),
    [
        (b"T", None, "wrong_width"),
        (b"T,a,,,,,", None, "wrong_width"),
        (b",a,,,", "title", "missing"),
        (b"T,,,,", "author", "missing"),
        (b"T,a,x,,", "views", "wrong_type"),
        (b"T,a,1_000,,", "views", "wrong_type"),
        (b"T,a,,live,", "status", "bad_value"),
        (b"T,a,,,May", "published_at", "bad_date"),
        (b"\xff,a,,,", None, "bad_encoding"),
        (b'"T"x,a,,,', None, "bad_csv"),
        (b'"T,a,,,', None, "bad_csv"),
        (b"T" * 201 + b",a,,,", None, "too_long"),
    ],
)
def test_a_bad_row_is_a_problem_of_its_own_and_reading_goes_on(row: bytes, field: str | None, code: str) -> None:
    before, bad, after = read(b"title,author,views,status,published_at\nT,a,,,\n" + row + b'\nT,"a",,,\n')
    assert problem(bad) == (3, field, code)
    assert before.parsed == after.parsed == PostRow("T", "a")
    assert (before.line, after.line) == (2, 4)


def test_a_quote_that_nobody_closes_costs_one_row() -> None:
    rows = b"".join(b"T%d,a\n" % number for number in range(100))
    opened, *others = read(b'title,author\n"oh,a\n' + rows, longest=200)
    assert problem(opened) == (2, None, "too_long")
    assert opened.raw == b'"oh,a'
    assert [record.parsed for record in others] == [PostRow(f"T{number}", "a") for number in range(100)]


def test_a_quote_open_at_the_end_of_the_file_costs_one_row() -> None:
    first, opened, last = read(b'title,author\nS,a\n"oh,a\nT,a', longest=200)
    assert problem(opened) == (3, None, "bad_csv")
    assert (first.parsed, last.parsed) == (PostRow("S", "a"), PostRow("T", "a"))


@pytest.mark.parametrize(
    ("header", "code", "words"),
    [
        (b"\n", "missing_column", "title"),
        (b"title\n", "missing_column", "author"),
        (b"title,author,titel\n", "unknown_column", "titel"),
        (b"title,author,\n", "unknown_column", "''"),
        (b"Title,Author\n", "unknown_column", "Title"),
        (b"title,author,title\n", "repeated_column", "title"),
        (b"title,author,\xff\n", "bad_encoding", "UTF-8"),
        (b"title,author\rT,a\r", "bad_header", "new-line"),
        (b'{"title":"T","author":"a"}\n', "unknown_column", "The columns of posts are: title, author, slug"),
    ],
)
def test_a_file_without_a_sound_header_is_none(header: bytes, code: str, words: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        read(header + b"T,a\n")
    assert refused.value.code == code
    assert words in refused.value.message


def test_an_empty_file_lacks_its_header() -> None:
    with pytest.raises(InvalidValue, match="lacks the column 'title'"):
        read(b"")


def test_users_are_read() -> None:
    file = b"username,email,display_name,role,password\nann,ann@example.com,Ann,,secret\n"
    assert read(file, ImportKind.USERS)[0].parsed == UserRow(
        "ann", "ann@example.com", display_name="Ann", password="secret"
    )
