from functools import partial

import pytest

from application.ports.formats import PostRow, RowProblem, UserRow
from domain.errors import InvalidValue
from domain.import_options import ImportKind
from domain.imports import Checkpoint
from infrastructure.formats.text.json_array import read_json_array
from infrastructure.formats.text.json_scanning import ArraysOfObjects, Malformed, value_end
from tests.formats.reading import assert_resumes_at_every_record, message, problem, rows
from tests.formats.reading import read as read_file

GOOD = b'{"title":"T","author":"a"}'
ROW = PostRow("T", "a")

read = partial(read_file, read_json_array)


@pytest.mark.parametrize(
    "file",
    [
        b"[%s,%s]",
        b" [ %s , %s ] \n",
        b"[\n  %s,\n  %s\n]\n",
        b'{"posts":[%s,%s]}',
        b'{"meta":{"x":[1,{"posts":[]}]},"n":"]","posts":[%s,%s],"more":{"a":[{"b":1}]}}',
        b'{"users":[],"tags":["x"],"posts":[%s,%s],"comments":[],"n":[[{"x":1}],{"y":2}]}',
        b'{"none":[],"some":[%s,%s]}',
    ],
)
def test_elements_are_records_in_an_array_and_in_an_object_that_has_one(file: bytes) -> None:
    assert rows(read(file % (GOOD, GOOD))) == [ROW, ROW]


def test_of_several_arrays_the_one_named_like_the_kind_is_read() -> None:
    file = b'{"posts":[' + GOOD + b'],"users":[{"username":"u","email":"e"}]}'
    assert rows(read(file, ImportKind.USERS))[0] == UserRow("u", "e")


@pytest.mark.parametrize(
    ("file", "others"),
    [
        (b'{"posts":[%s],"pages":[\n%s,\n%s]}', ["pages"]),
        (b'{"a":[{"x":[{}]}],"b":"[{","posts": [%s] , "c\\"" : [ {}], "d":{"e":[{}]}, "f":[{}]}', ["a", 'c\\"', "f"]),
        (b'{"pages":[%s],"more":[%s]}', ["more"]),
        (b'{"posts":[],"pages":[%s]}', ["pages"]),
    ],
)
def test_other_arrays_of_objects_are_one_problem_that_names_them(file: bytes, others: list[str]) -> None:
    file = file.replace(b"%s", GOOD)
    *found, last = read(file)
    assert all(row == ROW for row in rows(found))
    assert problem(last) == (1, None, "more_arrays")
    assert f"were not: {', '.join(map(repr, others))}." in message(last)
    assert_resumes_at_every_record(read_json_array, file)


def test_other_arrays_are_told_wherever_blocks_end() -> None:
    text = rb'"x":"[{\\\"","a\"":[ {"b":[{}],"c":"]}\\"}],"d":[1,{}],"e":[{}]}'
    for size in range(1, len(text)):
        arrays = ArraysOfObjects()
        for at in range(0, len(text), size):
            arrays.feed(text[at : at + size])
        assert arrays.names == [r"a\"", "e"]


def test_places_are_numbers_and_lines_are_true() -> None:
    pretty = b'{\n  "title": "T",\n  "author": "a"\n}'
    records = read(b"[" + GOOD + b", " + GOOD + b",\n\n" + pretty + b",\n" + pretty + b"]")
    assert [(record.place, record.end, record.line) for record in records] == [
        (1, 1, 1),
        (2, 2, 1),
        (3, 3, 3),
        (4, 4, 7),
    ]
    assert rows(records) == [ROW] * 4


def test_names_are_mapped() -> None:
    assert rows(read(b'[{"headline":"T","by":"a"}]', columns={"headline": "title", "by": "author"})) == [ROW]


@pytest.mark.parametrize("empty", [b"[]", b" [\n]\n", b'{"posts":[]}'])
def test_an_empty_array_has_no_records(empty: bytes) -> None:
    assert read(empty) == []


@pytest.mark.parametrize("file", [b"", b"\n", b"7", b'"[{}]"', b"{}", b'{"a":{"b":[{"c":1}]}}', b'{"a":[1,2]}', b"{"])
def test_a_file_without_an_array_of_objects_is_none(file: bytes) -> None:
    with pytest.raises(InvalidValue, match="no JSON array") as refused:
        read(file)
    assert refused.value.code == "bad_format"


@pytest.mark.parametrize(
    ("element", "field", "code"),
    [
        (b"1", None, "wrong_type"),
        (b"null", None, "wrong_type"),
        (b'"text, {"', None, "wrong_type"),
        (b'[{"title":"T"},{"title":"U"}]', None, "wrong_type"),
        (b"{}", "title", "missing"),
        (b'{"title":7}', "title", "wrong_type"),
        (b'{"title":"T","x":[{"a":1},{"b":2}],"y":{"z":{}}}', "x", "unknown_field"),
        (b'{"title":"T","published_at":"May"}', "published_at", "bad_date"),
        (b'{"title":"\xff"}', None, "bad_encoding"),
        (b'{"title":"' + b"T" * 300 + b'"}', None, "too_long"),
    ],
)
@pytest.mark.parametrize("between", [b",", b",\n"])
def test_a_bad_element_is_a_problem_of_its_own(element: bytes, field: str | None, code: str, between: bytes) -> None:
    before, bad, after = read(b"[" + between.join([GOOD, element, GOOD]) + b"]", longest=300)
    assert rows([before, after]) == [ROW, ROW]
    assert problem(bad) == (1 + between.count(b"\n"), field, code)


@pytest.mark.parametrize(
    "element",
    [
        b'{"title":"T"',
        b'{"title":"T,"author":"a"}',
        b'{"title":T","author":"a"}',
        b'{title":"T","author":"a"}',
        b'{"title":"T","tags":["x"}',
        b'{"title":"T","author":}',
        b'"title":"T"}',
        b'{"title":"T"} garbage',
        b'{"title":"T","titel":"un',
        b'{"title":"T"]',
    ],
)
@pytest.mark.parametrize("between", [b",", b",\n"])
def test_a_damaged_element_is_one_problem_that_says_where_reading_went_on(element: bytes, between: bytes) -> None:
    file = b"[" + between.join([GOOD, element, GOOD, GOOD]) + b"]"
    before, bad, *others = read(file)
    assert rows([before, *others]) == [ROW] * 3
    assert (bad.line, bad.place) == (1 + between.count(b"\n"), 2)
    assert f"Reading went on in line {others[0].line}." in message(bad)
    assert_resumes_at_every_record(read_json_array, file)


def test_a_missing_comma_costs_nothing() -> None:
    assert rows(read(b"[" + b"\n".join([GOOD, GOOD]) + GOOD + b"]")) == [ROW] * 3


def test_two_damaged_elements_in_lines_of_their_own_are_two_problems() -> None:
    records = read(b"[\n" + GOOD + b',\n{"title":"cut o,\n[1, 2],\n' + GOOD + b"\n]\n")
    assert [(record.line, isinstance(record.parsed, PostRow)) for record in records] == [
        (2, True),
        (3, False),
        (4, False),
        (5, True),
    ]


@pytest.mark.parametrize("size", range(1, len(GOOD) + 10))
def test_an_array_that_is_cut_off_anywhere_is_one_problem_at_its_end(size: int) -> None:
    file = (b"[\n" + GOOD + b",\n" + GOOD + b",\n" + GOOD + b"\n]\n")[: 2 + len(GOOD) + 2 + size]
    first, *others = read(file)
    assert first.parsed == ROW
    *_, last = others
    assert isinstance(last.parsed, RowProblem)
    assert last.parsed.code == "truncated"
    assert rows(others[:-1]) == [ROW] * (1 if size >= len(GOOD) else 0)
    assert_resumes_at_every_record(read_json_array, file)


def test_what_follows_the_array_is_a_problem() -> None:
    first, trailing = read(b"[" + GOOD + b"]\n\n]")
    assert first.parsed == ROW
    assert problem(trailing) == (1, None, "bad_json")


def test_elements_are_the_same_wherever_blocks_end() -> None:
    rows_ = [GOOD, b"3", b'{"title":"an end, {","author":"a"}', b'{"title":"oh}', b'{"title":"T","tags":[],"x":[{}]}']
    elements = [rows_[number % 5] + b" " * (number % 7) for number in range(60_000)]
    records = read(b"[" + b",\n".join(elements) + b"]")
    assert [record.line for record in records] == list(range(1, 60_001))
    bad = [record.line for record in records if isinstance(record.parsed, RowProblem)]
    assert bad == [line for line in range(1, 60_001) if line % 5 in (2, 4, 0)]


def test_a_long_rest_after_the_array_is_no_element() -> None:
    file = b'{"posts":[' + GOOD + b'],"meta":"' + b"x" * 1_000 + b'"}'
    assert rows(read(file, longest=100)) == [ROW]


def test_reading_goes_on_after_a_checkpoint_of_so_many_records() -> None:
    file = b"[" + b",".join([GOOD] * 5) + b"]"
    assert [record.place for record in read(file, start=Checkpoint(3, 1))] == [4, 5]


@pytest.mark.parametrize(
    ("text", "end"),
    [
        (b'{"a":[1,{"b":"}"}]} x', 19),
        (b'"a\\"b",', 6),
        (b"12,", 2),
        (b"12]", 2),
        (b"12", None),
        (b'{"a":"b', None),
        (b'{"a":[{}', None),
    ],
)
def test_the_end_of_a_value_is_found_or_lies_beyond(text: bytes, end: int | None) -> None:
    assert value_end(text, 0) == end


@pytest.mark.parametrize("text", [b'{"a":"b",{"', b'{"a":"b"{', b'{"a":"b\n', b'{"a":[}', b"{]"])
def test_what_cannot_become_json_is_told_before_its_end(text: bytes) -> None:
    with pytest.raises(Malformed):
        value_end(text, 0)
