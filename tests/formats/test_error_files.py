"""Rows that failed, written as a file, mended, and read again."""

import csv
import io
import json
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from application.importing.row_errors import row_error
from application.ports.formats import PostRow, ReadLimits, Record, RowProblem, UserRow
from domain.errors import InvalidValue
from domain.import_options import ImportFormat, ImportKind
from domain.imports import RowError
from infrastructure.formats.readers import FormatReaders
from infrastructure.formats.rows import field_names
from tests.formats.reading import after, message, problem, read, rows
from tests.formats.strategies import characters, posts, users
from tests.formats.writing import as_csv, as_ndjson

POSTS, USERS = ImportKind.POSTS, ImportKind.USERS
FORMS = (ImportFormat.CSV, ImportFormat.NDJSON)
PROBLEM = RowProblem("title", "refused", "=not 'this' time")


def written(errors: list[RowError], form: ImportFormat) -> bytes:
    write = FormatReaders().error_writer(form)
    return write.head + b"".join(write([error]) for error in errors)


def failed(records: list[Record], kind: ImportKind) -> list[RowError]:
    return [row_error(record, PROBLEM, kind) for record in records]


def read_again(file: bytes, form: ImportFormat, kind: ImportKind = POSTS) -> list[Record]:
    assert not file or FormatReaders().recognise(io.BytesIO(file), file_name=None, limits=ReadLimits(1_000)) is form
    return read(FormatReaders().reader(form), file, kind, longest=1_000_000)


def error_of(row: dict[str, object] | str | None) -> RowError:
    return RowError(1, "title", "refused", "It is refused.", row, 1)


@given(st.lists(posts, max_size=5), st.sampled_from(FORMS), st.sampled_from(FORMS))
def test_posts_read_back_equal_from_the_file_of_their_errors(
    found: list[PostRow], form: ImportFormat, errors_form: ImportFormat
) -> None:
    file = as_csv(found, field_names(POSTS)) if form is ImportFormat.CSV else as_ndjson(found)
    errors = written(failed(read(FormatReaders().reader(form), file), POSTS), errors_form)
    records = read_again(errors, errors_form)
    assert rows(records) == found
    for place, record in enumerate(records, 1):
        assert read(FormatReaders().reader(errors_form), errors, start=after(record)) == records[place:]


@given(st.lists(users, max_size=5), st.sampled_from(FORMS), st.sampled_from(FORMS))
def test_users_read_back_equal_but_for_secrets_from_the_file_of_their_errors(
    found: list[UserRow], form: ImportFormat, errors_form: ImportFormat
) -> None:
    file = as_csv(found, field_names(USERS)) if form is ImportFormat.CSV else as_ndjson(found)
    errors = failed(read(FormatReaders().reader(form), file, USERS), USERS)
    masked = [user for user in found if user.password or user.password_hash]
    again = rows(read_again(written(errors, errors_form), errors_form, USERS))
    assert [row for row in again if isinstance(row, UserRow)] == [user for user in found if user not in masked]
    assert {row.code for row in again if isinstance(row, RowProblem)} <= {"masked"}
    mended = [
        replace(error, row={**error.row, "password": user.password, "password_hash": user.password_hash})
        for error, user in zip(errors, found, strict=True)
        if isinstance(error.row, dict)
    ]
    assert rows(read_again(written(mended, errors_form), errors_form, USERS)) == found


@given(st.dictionaries(st.text(characters, max_size=5), st.text(characters)), st.text(characters), st.text(characters))
def test_no_cell_of_the_csv_begins_as_a_formula_and_each_can_be_undone(
    row: dict[str, str], text: str, name: str
) -> None:
    errors = [RowError(1, name, "code", text, row), RowError(2, None, "=code", text, text)]
    cells = list(csv.reader(io.StringIO(written(errors, ImportFormat.CSV).decode(), newline="")))[1:]
    assert not [cell for line in cells for cell in line if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    undone = [[cell.removeprefix("'") for cell in line] for line in cells]
    assert [cell.replace(";", ",") for cell in undone[0][:4]] == [
        "1",
        name.replace(";", ","),
        "code",
        text.replace(";", ","),
    ]
    assert json.loads(undone[0][4]) == row
    assert undone[1][:3] == ["2", "", "=code"]
    assert json.loads(undone[1][4]) == text


def test_no_formula_stands_after_a_semicolon_either() -> None:
    title, content = 'T;=cmd|" /C calc"!A0', "a; b;+1;\t@x"
    file = written([error_of({"title": title, "content": content})], ImportFormat.CSV)
    assert b";=" not in file
    assert b";+" not in file
    assert rows(read_again(file, ImportFormat.CSV)) == [PostRow(title, content=content)]


def test_nor_after_one_in_a_row_kept_as_text_or_in_what_is_told_of_it() -> None:
    text = '"a";=cmd;\n "@x"; b'
    errors = [RowError(1, "a;=b", "code", 'It is "c;+1".', text), error_of('"; =a"'), error_of('{"title": "a;=b"}')]
    file = written(errors, ImportFormat.CSV)
    assert not re.search(rb""";[\s"']*[=+@-]""", file)
    assert b'1,"a,=b",code' in file
    broken, a_text, mended = read_again(file, ImportFormat.CSV)
    assert (broken.raw, a_text.raw) == (text.encode(), b'"; =a"')
    assert mended.parsed == PostRow("a;=b")


@pytest.mark.parametrize("row", ['{"title":"T"}', json.dumps('{"title":"T"}')])
def test_a_text_is_mended_with_or_without_the_quotes_of_json_around_it(row: str) -> None:
    cell = row.replace('"', '""')
    file = f'line,field,code,message,row\n1,,c,m,"{cell}"\n'.encode()
    assert rows(read_again(file, ImportFormat.CSV)) == [PostRow("T")]


@pytest.mark.parametrize("form", FORMS)
def test_lines_are_those_of_the_error_file(form: ImportFormat) -> None:
    file = written([error_of({"title": "T"}), error_of({"title": 7})], form)
    first = 2 if form is ImportFormat.CSV else 1
    good, bad = read_again(file, form)
    assert (good.line, good.place) == (first, first)
    assert problem(bad) == (first + 1, "title", "wrong_type")
    assert bad.raw == {"title": 7}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("row", "code", "words"),
    [
        (None, "no_row", "not shown here"),
        ("a,b,c", "bad_json", "not valid JSON"),
        ("=a", "bad_json", "not valid JSON"),
        ('{"title": "T"', "bad_json", "truncated"),
        ("[1]", "wrong_type", "array"),
        ({}, "missing", "required"),
        ({"titel": "T"}, "unknown_field", "--map titel=title"),
        ({"title": "T", "views": "many"}, "wrong_type", "whole number"),
        ({"title": "T", "views": "many", "tags": ["x"]}, "wrong_type", "type int"),
        ({"title": "T", "status": "live", "slug": ""}, "bad_value", "draft"),
    ],
)
def test_a_row_that_was_not_mended_fails_again_and_says_why(
    form: ImportFormat, row: dict[str, object] | str | None, code: str, words: str
) -> None:
    (record,) = read_again(written([error_of(row)], form), form)
    assert isinstance(record.parsed, RowProblem)
    assert record.parsed.code == code
    assert words in message(record)


@pytest.mark.parametrize("form", FORMS)
def test_the_text_of_a_broken_object_can_be_mended_where_it_stands(form: ImportFormat) -> None:
    file = written([error_of('{"title": "T"'), error_of('{"title": "T", "views": 3}')], form)
    broken, mended = read_again(file, form)
    assert isinstance(broken.parsed, RowProblem)
    assert mended.parsed == PostRow("T", views=3)


@pytest.mark.parametrize("form", FORMS)
def test_a_row_that_was_cut_is_not_taken_for_whole(form: ImportFormat) -> None:
    found = [PostRow("T", content="x" * 900_000)]
    file = as_csv(found, field_names(POSTS)) if form is ImportFormat.CSV else as_ndjson(found)
    records = read(FormatReaders().reader(form), file, longest=1_000_000)
    (cut,) = read_again(written(failed(records, POSTS), form), form)
    assert isinstance(cut.parsed, RowProblem)
    assert (cut.parsed.field, cut.parsed.code) == ("content", "cut")


def test_empty_cells_of_a_csv_are_absent_in_the_file_of_its_errors_too() -> None:
    record = read(FormatReaders().reader(ImportFormat.CSV), b"title,author,content,tags\nT,,,\n")
    for form in FORMS:
        assert rows(read_again(written(failed(record, POSTS), form), form)) == [PostRow("T")]


@pytest.mark.parametrize("form", FORMS)
def test_names_are_mapped_in_error_files_too(form: ImportFormat) -> None:
    errors = [
        error_of({"headline": "T", "views": 3}),
        error_of({"headline": "U", "slug": ""}),
        error_of({"title": "V"}),
    ]
    shape_columns = {"headline": "title"}
    found = read(FormatReaders().reader(form), written(errors, form), columns=shape_columns)
    assert rows(found) == [PostRow("T", views=3), PostRow("U"), PostRow("V")]


def test_the_columns_of_an_error_file_may_stand_in_any_order() -> None:
    file = b'row,code,line,Message,field\n"{""title"":""T""}",c,1,m,f\n'
    assert rows(read_again(file, ImportFormat.CSV)) == [PostRow("T")]


def test_errors_of_a_broken_line_show_the_row_and_not_the_error_around_it() -> None:
    (record,) = read_again(written([error_of({"title": "T", "views": -0.5})], ImportFormat.NDJSON), ImportFormat.NDJSON)
    assert record.raw == {"title": "T", "views": -0.5}


def test_other_formats_have_no_error_files() -> None:
    with pytest.raises(InvalidValue, match="CSV or NDJSON"):
        FormatReaders().error_writer(ImportFormat.WXR)
