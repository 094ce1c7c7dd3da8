from functools import partial

import pytest

from application.ports.formats import PostRow, UserRow
from domain.errors import InvalidValue
from domain.import_options import ImportKind
from infrastructure.formats.text.csv import read_csv
from tests.formats.reading import assert_resumes_at_every_record, message, problem
from tests.formats.reading import read as read_file

read = partial(read_file, read_csv)


@pytest.mark.parametrize("delimiter", [b",", b";", b"\t", b"|"])
def test_the_header_says_what_parts_the_cells(delimiter: bytes) -> None:
    file = b'author,title,tags\na,T,"x|y"\n'.replace(b",", delimiter)
    assert read(file)[0].parsed == PostRow("T", "a", tags=("x", "y"))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "^", "~", " ", "§"])
@pytest.mark.parametrize("told", ["sep={}\n", "SEP={}\r\n", '"sep={}"\r\n', "\ufeffsep={}\n"])
def test_a_first_line_of_excel_names_what_parts_the_cells_and_is_no_row(told: str, delimiter: str) -> None:
    head = told.format(delimiter) + "author,title,content\n".replace(",", delimiter)
    file = (head + 'a,T,"x\ny"\nb,,\nc,V,\n'.replace(",", delimiter)).encode()
    good, bad, last = records = read(file)
    assert good.parsed == PostRow("T", "a", content="x\ny")
    assert problem(bad) == (5, "title", "missing")
    assert [(record.line, record.place, record.end_line) for record in records] == [(3, 3, 5), (5, 5, 6), (6, 6, 7)]
    assert last.end == len(file.removeprefix(b"\xef\xbb\xbf"))
    assert_resumes_at_every_record(read_csv, file)


def test_what_excel_is_told_counts_though_other_delimiters_seem_to_fit_better() -> None:
    assert read(b'sep=;\ntitle;author\n"T,a";b\n')[0].parsed == PostRow("T,a", "b")
    with pytest.raises(InvalidValue, match="There is no column 'title,author'"):
        read(b"sep=;\ntitle,author\nT,a\n")


@pytest.mark.parametrize("line", [b"sep=", b"sep=;;", b"sep='", b'sep="', b"step=;", b"sep=;,title"])
def test_another_first_line_is_the_header(line: bytes) -> None:
    with pytest.raises(InvalidValue) as refused:
        read(line + b"\ntitle,author\nT,a\n")
    assert refused.value.code == "unknown_column"


@pytest.mark.parametrize("file", [b"sep=;", b"sep=;\n", b"sep=;\r\n"])
def test_a_file_that_says_only_what_parts_its_cells_lacks_its_header(file: bytes) -> None:
    with pytest.raises(InvalidValue, match="lacks the column 'title'"):
        read(file)


def test_empty_cells_are_absent_and_the_row_is_shown_as_it_came() -> None:
    record = read(b"title,author,slug,content,views\nT,a,,,\n")[0]
    assert record.parsed == PostRow("T", "a")
    assert record.raw == {"title": "T", "author": "a", "slug": "", "content": "", "views": ""}


def test_lines_are_those_of_the_text_where_cells_hold_line_breaks() -> None:
    records = read(b'title,author,content\nT,a,"one\r\ntwo\n\nfour"\n\nU,b,x\n')
    assert [(record.line, record.end_line) for record in records] == [(2, 6), (7, 8)]
    assert records[0].parsed == PostRow("T", "a", content="one\r\ntwo\n\nfour")


def test_rows_without_a_filled_cell_are_passed_over() -> None:
    assert [record.line for record in read(b"title,author\n\n,\nT,a\n,\n")] == [4]


@pytest.mark.parametrize(
    ("row", "field", "code"),
    [
        (b"T", None, "wrong_width"),
        (b"T,a,,,,,", None, "wrong_width"),
        (b",a,,,", "title", "missing"),
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
    file = b"title,author,views,status,published_at\nT,a,,,\n" + row + b'\nT,"a",,,\n'
    before, bad, after = read(file, longest=200)
    assert problem(bad) == (3, field, code)
    assert before.parsed == after.parsed == PostRow("T", "a")
    assert (before.line, after.line) == (2, 4)


def test_a_quote_that_nobody_closes_costs_one_row() -> None:
    rows = b"".join(b"T%d,a\n" % number for number in range(100))
    opened, *others = read(b'title,author\n"oh,a\n' + rows, longest=200)
    assert problem(opened) == (2, None, "too_long")
    assert opened.raw == b'"oh,a'
    assert "Reading went on in line 3." in message(opened)
    assert [record.parsed for record in others] == [PostRow(f"T{number}", "a") for number in range(100)]


def test_a_quote_open_at_the_end_of_the_file_costs_one_row() -> None:
    first, opened, last = read(b'title,author\nS,a\n"oh,a\nT,a', longest=200)
    assert problem(opened) == (3, None, "bad_csv")
    assert (first.parsed, last.parsed) == (PostRow("S", "a"), PostRow("T", "a"))


@pytest.mark.parametrize(
    ("header", "code", "words"),
    [
        (b"\n", "missing_column", "title"),
        (b"author\n", "missing_column", "title"),
        (b"title,author,titel\n", "unknown_column", "titel"),
        (b"title,author,\n", "unknown_column", "''"),
        (b"titel,author\n", "unknown_column", "It may be meant for 'title': --map titel=title says so."),
        (b"title,author,titel\n", "unknown_column", "'titel'. --map titel= leaves it out. The columns"),
        (b"headline,author\n", "unknown_column", "If it is meant for 'title', --map headline=title says so;"),
        (b" Top line ,author\n", "unknown_column", "--map 'Top line=title' says so; --map 'Top line=' leaves it out."),
        (b"title,colour\n", "unknown_column", "'colour'. --map colour= leaves it out. The columns"),
        (b"headline,Title,author\n", "unknown_column", "'headline'. --map headline= leaves it out. The columns"),
        (b"title,author,\n", "unknown_column", "There is no column ''. The columns"),
        (b"title,author,Views,views\n", "repeated_column", "views"),
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


def test_names_of_columns_are_compared_without_case_and_blanks_around_them() -> None:
    record = read(b" Title ,AUTHOR\nT,a\n")[0]
    assert record.parsed == PostRow("T", "a")
    assert record.raw == {"title": "T", "author": "a"}


def test_a_column_stands_for_the_field_that_it_is_mapped_to_or_for_none() -> None:
    columns = {"headline": "title", "Junk": ""}
    record = read(b"Headline,junk,author\nT,x,a\n", columns=columns)[0]
    assert record.parsed == PostRow("T", "a")
    assert record.raw == {"title": "T", "author": "a"}


@pytest.mark.parametrize(
    ("columns", "code", "words"),
    [
        ({"headline": "titel"}, "unknown_column", "There is no field 'titel'"),
        ({"headline": "title", "name": "title"}, "repeated_column", "title"),
        ({"headline": "", "name": "author"}, "missing_column", "title"),
        ({"headline": "title"}, "unknown_column", "There is no column 'name'"),
        ({"headline": "title", "name": "details"}, "unknown_column", "There is no field 'details'"),
    ],
)
def test_columns_must_be_mapped_to_fields_each_once(columns: dict[str, str], code: str, words: str) -> None:
    with pytest.raises(InvalidValue, match=words) as refused:
        read(b"headline,name\nT,a\n", columns=columns)
    assert refused.value.code == code


@pytest.mark.parametrize(
    "file",
    [
        b"'title','author'\n'it''s','a'\n'U, V','b'\n",
        b"title;author\n'it''s';'a'\n'U, V';'b'\n",
        b'"title","author"\n"it\'s","a"\n"U, V","b"\n',
    ],
)
def test_cells_are_quoted_as_most_lines_quote_them(file: bytes) -> None:
    assert [record.parsed for record in read(file)] == [PostRow("it's", "a"), PostRow("U, V", "b")]


def test_an_apostrophe_is_no_quote_where_others_are() -> None:
    file = b"title,author,content\n'tis,a,'x'\n\"T\",b,'y'\n"
    assert [record.parsed for record in read(file)] == [
        PostRow("'tis", "a", content="'x'"),
        PostRow("T", "b", content="'y'"),
    ]


def test_damage_before_many_rows_costs_one_row_each() -> None:
    good = b'"T",a\n' * 50
    records = read(b"title,author\n" + (b'"oh"no,a\n' + good) * 40)
    bad = [record for record in records if not isinstance(record.parsed, PostRow)]
    assert [problem(record) for record in bad] == [(2 + 51 * n, None, "bad_csv") for n in range(40)]
    assert len(records) == 51 * 40


def test_bad_bytes_spoil_only_their_own_record_whatever_blocks_it_lies_in() -> None:
    row = b'T,a,"' + b"x" * 30_000 + b"\n" + b"y" * 30_000 + b'"\n'
    file = b"title,author,content\n" + row * 20 + row.replace(b"x", b"\xff", 1) + row * 20
    records = read(file)
    assert [problem(record) for record in records if not isinstance(record.parsed, PostRow)] == [
        (42, None, "bad_encoding")
    ]
    assert len(records) == 41


def test_an_empty_file_lacks_its_header() -> None:
    with pytest.raises(InvalidValue, match="lacks the column 'title'"):
        read(b"")


def test_users_are_read() -> None:
    file = b"username,email,display_name,role,password,password_hash\nann,ann@example.com,Ann,,secret,$2b$x\n"
    assert read(file, ImportKind.USERS)[0].parsed == UserRow(
        "ann", "ann@example.com", display_name="Ann", password="secret", password_hash="$2b$x"
    )
    assert problem(read(b"username,email\nann,\n", ImportKind.USERS)[0]) == (2, "email", "missing")
