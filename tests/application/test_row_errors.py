"""What a row error shows of the row: no secret, and no more than is good to read."""

import json

import pytest

from application.importing.row_errors import ROW_SHOWN_MAX, row_error
from application.ports.formats import Record, RowProblem
from domain.import_options import ImportKind

PROBLEM = RowProblem("title", "too_long", "It is too long.")
SECRET = "correct horse"


def shown(raw: dict[str, object] | bytes, kind: ImportKind = ImportKind.POSTS) -> object:
    return row_error(Record(1, 1, 1, 2, PROBLEM, raw), PROBLEM, kind).row


def as_json(raw: object) -> bytes:
    return json.dumps(raw).encode()


@pytest.mark.parametrize("name", ["password", "Passwort", "pwd", "api_key", "apiKey", "X-Token", "client_secret"])
def test_secrets_are_masked_however_deep_they_lie(name: str) -> None:
    row = {"title": "T", "meta": [{name: SECRET, "deeper": {name: [SECRET]}, "author": "ann"}], name: {"a": SECRET}}
    assert shown(as_json(row)) == {
        "title": "T",
        "meta": [{name: "***", "deeper": {name: "***"}, "author": "ann"}],
        name: "***",
    }


def test_of_a_user_only_the_fields_that_byline_knows_are_shown() -> None:
    row = {
        "username": "ann",
        "email": "ann@example.org",
        "display_name": "Ann",
        "bio": {"pin": SECRET},
        "website": "https://example.org",
        "role": "author",
        "password": SECRET,
        "kennwort": SECRET,
        "absent": None,
        "Username": SECRET,
    }
    masked = dict.fromkeys(("password", "kennwort", "Username"), "***")
    assert shown(as_json(row), ImportKind.USERS) == row | masked | {"bio": {"pin": "***"}}


def test_what_no_json_or_no_utf8_holds_is_shown_as_text() -> None:
    row = shown(rb'{"title": "\ud800", "\udfff": ["\ud83d\ude00"], "views": 1e999, "rate": -1.5}')
    assert row == {"title": "\\ud800", "\\udfff": ["😀"], "views": "1e999", "rate": -1.5}


def test_a_broken_row_is_shown_unless_it_speaks_of_a_secret() -> None:
    assert shown(b'{"title": "x", "views": }') == '{"title": "x", "views": }'
    assert shown(b'{"title": "x", "password": "hunter2') is None


def test_a_row_that_is_small_enough_is_shown_as_it_came() -> None:
    row = {"title": "é" * 100, "content": "x" * (ROW_SHOWN_MAX - 1_000), "tags": ["a"] * 10}
    assert shown(as_json(row)) == row


def test_long_values_are_cut_with_a_mark_and_short_ones_left_alone() -> None:
    row = shown(as_json({"title": "T", "content": "é" * 10**6, "tags": ["t" * 10] * 10**5, "author": "ann"}))
    assert len(json.dumps(row)) <= ROW_SHOWN_MAX
    assert isinstance(row, dict)
    assert (row["title"], row["author"]) == ("T", "ann")
    assert row["content"].startswith("é" * 100)
    assert row["content"].endswith("é… (cut)")
    assert row["tags"].startswith('["tttttttttt", ')
    assert row["tags"].endswith("… (cut)")


@pytest.mark.parametrize(
    "raw",
    [
        as_json({"content": "x" * 10**6}),
        as_json({f"content {number}": "\N{GRINNING FACE}" * 10**5 for number in range(10)}),
        as_json({f"key {number}": number for number in range(10**5)}),
        as_json({"k" * 10**6: 1}),
        as_json({"a": [[["\x00"] * 1_000] * 100]}),
        b"no JSON " * 10**5,
        b"\xff" * 10**6,
    ],
    ids=["long", "many long", "many", "long key", "nested", "text", "bytes"],
)
def test_no_more_than_256_kib_is_kept_of_a_row(raw: bytes) -> None:
    kept = len(json.dumps(shown(raw)))
    assert ROW_SHOWN_MAX // 20 < kept <= ROW_SHOWN_MAX


@pytest.mark.parametrize("kind", ImportKind)
def test_a_row_too_deep_to_be_searched_for_secrets_is_none(kind: ImportKind) -> None:
    deep = b'{"bio":' * 900 + b'"' + SECRET.encode() + b'"' + b"}" * 900
    assert shown(deep, kind) is None
