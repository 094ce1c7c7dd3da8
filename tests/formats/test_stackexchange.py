import gzip
from datetime import UTC, datetime

import pytest
from hypothesis import given

from application.ports.formats import AuthorRow, PostRow
from domain.errors import InvalidValue
from domain.import_options import ImportKind
from domain.posts import ContentFormat, PostStatus, PostType
from infrastructure.formats.archives import stackexchange
from infrastructure.formats.archives.stackexchange import read_stackexchange
from tests.formats.archives import (
    DATA,
    assert_a_mistake_of_ours_costs_its_record_alone,
    assert_damage_is_told,
    assert_resumes_at_every_record,
    breaks,
    damaged,
    posts,
    problems,
    read,
    skips,
)

WHOLE = (DATA / "posts.xml").read_bytes()


def the_post(**attributes: str) -> PostRow:
    given = {"Id": "1", "PostTypeId": "1", "CreationDate": "2020-01-01T00:00:00.000", "Title": "T"} | attributes
    row = "".join(f' {name}="{value}"' for name, value in given.items())
    (post,) = posts(read(read_stackexchange, f"<posts><row{row}/></posts>".encode()))
    return post


def test_a_question_is_read_with_all_that_the_dump_says_of_it() -> None:
    question = read(read_stackexchange, WHOLE)[0]
    assert question.line == 3
    assert question.parsed == PostRow(
        "Convert decimal to double in C#",
        "user-8",
        None,
        "<p>How? &amp; why\n</p>",
        ContentFormat.HTML,
        None,
        ("c#", "type-conversion"),
        PostType.POST,
        PostStatus.PUBLISHED,
        datetime(2008, 7, 31, 21, 42, 52, 667_000, UTC),
        70_000,
        "stackexchange",
        "4@2008-07-31T21:42:52.667",
        AuthorRow("user-8", None, ""),
    )


def test_an_answer_is_named_after_its_question_and_may_have_no_author() -> None:
    answer = posts(read(read_stackexchange, WHOLE))[1]
    assert (answer.title, answer.author, answer.details) == ("Answer 7 to question 4", None, None)
    assert (answer.tags, answer.views, answer.external_id) == ((), 0, "7@2008-07-31T22:17:57.883")


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("3", "orphaned_tag_wiki"),
        ("4", "tag_wiki_excerpt"),
        ("5", "tag_wiki"),
        ("6", "moderator_nomination"),
        ("7", "wiki_placeholder"),
        ("8", "privilege_wiki"),
        ("99", "other_type"),
        ("", "other_type"),
    ],
)
def test_what_is_neither_question_nor_answer_is_skipped_by_name(kind: str, reason: str) -> None:
    assert skips(read(read_stackexchange, f'<posts><row Id="1" PostTypeId="{kind}"/></posts>'.encode())) == [reason]


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("&lt;a&gt;", ("a",)),
        ("&lt;a&gt;&lt;c++&gt;", ("a", "c++")),
        ("|a|b|", ("a", "b")),
        ("|a|", ("a",)),
        ("", ()),
        ("&lt;&gt;", ()),
    ],
)
def test_tags_are_read_in_both_spellings(tags: str, expected: tuple[str, ...]) -> None:
    assert the_post(Tags=tags).tags == expected


def test_a_display_name_goes_with_an_id() -> None:
    assert the_post(OwnerUserId="5", OwnerDisplayName="Ada").details == AuthorRow("user-5", None, "Ada")
    assert the_post(OwnerDisplayName="Ada").details is None


@pytest.mark.parametrize(
    ("row", "field", "code"),
    [
        ('Id="1" PostTypeId="1" CreationDate="soon" Title="T"', "published_at", "bad_date"),
        ('Id="1" PostTypeId="1" Title="T"', "published_at", "bad_date"),
        ('PostTypeId="1" CreationDate="2020-01-01" Title="T"', "external_id", "missing"),
        ('Id="1" PostTypeId="1" CreationDate="2020-01-01" Title="T" ViewCount="many"', "views", "wrong_type"),
        ('Id="1" PostTypeId="1" CreationDate="2020-01-01" Title="T" Body="' + "x" * 3_000 + '"', None, "too_long"),
    ],
)
def test_a_bad_row_fails_alone_and_is_shown_as_a_row_that_can_be_mended(row: str, field: str, code: str) -> None:
    good = '<row Id="2" PostTypeId="1" CreationDate="2020-01-01" Title="Good"/>'
    records = read(read_stackexchange, f"<posts>\n<row {row}/>\n{good}</posts>".encode(), limit=2_000)
    assert problems(records) == [(2, field, code)]
    assert isinstance(records[0].raw, dict)
    assert records[0].raw["title"] == "T"
    assert [post.title for post in posts(records)] == ["Good"]


def test_the_same_post_is_known_again_in_a_later_dump_and_never_taken_for_another_sites() -> None:
    assert the_post(Score="1").external_id == the_post(Score="2", ViewCount="9").external_id
    assert the_post().external_id != the_post(CreationDate="2020-01-01T00:00:00.001").external_id


def test_users_are_in_another_file() -> None:
    with pytest.raises(InvalidValue) as refused:
        read(read_stackexchange, WHOLE, ImportKind.USERS)
    assert (refused.value.field, refused.value.code) == ("kind", "wrong_kind")


def test_a_dump_of_something_else_is_refused() -> None:
    with pytest.raises(InvalidValue) as refused:
        read(read_stackexchange, b"<comments><row/></comments>")
    assert refused.value.code == "wrong_format"


def test_a_compressed_dump_that_is_cut_off_is_read_up_to_there() -> None:
    row = '<row Id="%d" PostTypeId="1" CreationDate="2020-01-01" Title="T"/>\n'
    file = gzip.compress(("<posts>\n" + "".join(row % number for number in range(2_000)) + "</posts>").encode())
    assert len(posts(read(read_stackexchange, file))) == 2_000
    records = read(read_stackexchange, file[: len(file) // 2])
    read_whole = len(posts(records))
    assert 500 < read_whole < 1_500
    assert problems(records) == [(read_whole + 2, None, "truncated")]


def test_resuming_at_every_record_gives_the_rest() -> None:
    assert_resumes_at_every_record(read_stackexchange, WHOLE)


def test_a_mistake_of_ours_costs_its_record_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(stackexchange, "one_line", breaks)
    row = '<row Id="1" PostTypeId="1" CreationDate="2020-01-01" Title="%s"/>\n'
    file = "<posts>" + "".join(row % title for title in ("A", "Breaks", "B")) + "</posts>"
    assert_a_mistake_of_ours_costs_its_record_alone(read_stackexchange, file.encode(), caplog)


@given(damaged(WHOLE))
def test_no_damage_is_an_error_of_ours(file: bytes) -> None:
    assert_damage_is_told(read_stackexchange, file)
