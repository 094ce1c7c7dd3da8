import io
import json
import tracemalloc
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given

from application.ports.formats import AuthorRow, FileShape, PostRow, ReadLimits, RowProblem, UserRow
from domain.errors import InvalidValue, TooLarge
from domain.import_options import ImportKind
from domain.imports import Checkpoint
from domain.posts import ContentFormat, PostStatus, PostType
from infrastructure.formats.archives import ghost
from infrastructure.formats.archives.ghost import read_ghost
from infrastructure.formats.archives.records import Slugs
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
)

WHOLE = (DATA / "ghost.json").read_bytes()
UUID = "6f1c7a52-3f57-4d1c-9c37-0d5c7b1b1a11"


def an_export(*of_posts: dict[str, Any], **tables: list[dict[str, Any]]) -> bytes:
    return json.dumps({"meta": {}, "data": {"posts": of_posts, **tables}}).encode()


def the_post(**fields: Any) -> PostRow:
    (post,) = posts(
        read(read_ghost, an_export({"id": "1", "uuid": UUID, "title": "T", "status": "published"} | fields))
    )
    return post


def test_a_post_is_read_with_all_that_the_export_says_of_it() -> None:
    first = read(read_ghost, WHOLE)[0]
    assert (first.line, first.end_line) == (7, 10)
    assert first.parsed == PostRow(
        "Ελληνικά & 日本",
        "ada",
        "first",
        '<p>See <a href="/about/">us</a></p>',
        ContentFormat.HTML,
        "In short",
        ("News", "Engines"),
        PostType.POST,
        PostStatus.PUBLISHED,
        datetime(2016, 5, 4, 10, tzinfo=UTC),
        None,
        "ghost",
        UUID,
        AuthorRow("ada", "ada@example.com", "Ada L."),
    )


def test_a_page_without_an_author_and_html_is_read() -> None:
    page = posts(read(read_ghost, WHOLE))[1]
    assert (page.type, page.status, page.author, page.tags) == (PostType.PAGE, PostStatus.DRAFT, None, ())
    assert (page.content, page.published_at) == ("<p>Us</p>", None)


def test_of_users_each_is_a_record_and_needs_an_email_address() -> None:
    ada, guest = read(read_ghost, WHOLE, ImportKind.USERS)
    hashed = "$2a$10$abcdefghijklmnopqrstuuJ1kqHqPzYvJcWkXo0Q1r2s3t4u5v6w7"
    assert ada.parsed == UserRow("ada", "ada@example.com", "Ada L.", "Counts", password_hash=hashed)
    assert guest.parsed == RowProblem("email", "missing", "It is required.")
    assert hashed not in str(ada.raw)


@pytest.mark.parametrize("wrap", [lambda data: {"data": data}, lambda data: {"db": [{"data": data}]}])
def test_every_form_of_the_export_is_read(wrap: Any) -> None:
    data = {"posts": [{"title": "T", "uuid": UUID, "author_id": 1}], "users": [{"id": 1, "slug": "ada"}]}
    assert [(post.title, post.author) for post in posts(read(read_ghost, json.dumps(wrap(data)).encode()))] == [
        ("T", "ada")
    ]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, PostStatus.PUBLISHED),
        ({"visibility": "public"}, PostStatus.PUBLISHED),
        ({"visibility": "members"}, PostStatus.DRAFT),
        ({"visibility": "paid"}, PostStatus.DRAFT),
        ({"status": "draft"}, PostStatus.DRAFT),
        ({"status": "scheduled"}, PostStatus.DRAFT),
        ({"status": "sent"}, PostStatus.DRAFT),
    ],
)
def test_only_what_everybody_may_read_is_published(fields: dict[str, str], expected: PostStatus) -> None:
    assert the_post(**fields).status is expected


def test_a_page_is_told_in_both_spellings() -> None:
    assert the_post(type="page").type is the_post(page=True).type is the_post(page=1).type is PostType.PAGE
    assert the_post(page=0).type is the_post(type="post").type is PostType.POST


def test_a_post_is_known_by_its_random_id_and_one_that_only_counts_belongs_to_its_file() -> None:
    assert (the_post().source, the_post().external_id) == ("ghost", UUID)
    by_object_id = the_post(uuid=None, id="64b7f0a1c2d3e4f5a6b7c8d9")
    assert (by_object_id.source, by_object_id.external_id) == ("ghost", "64b7f0a1c2d3e4f5a6b7c8d9")
    by_number = the_post(uuid=None, id=3)
    assert (by_number.source, by_number.external_id) == (None, "3")


def test_an_empty_title_gets_a_placeholder_and_a_repeated_slug_is_left_out() -> None:
    rows = posts(read(read_ghost, an_export({"title": " ", "slug": "a"}, {"title": None, "slug": "a"})))
    assert [(row.title, row.slug) for row in rows] == [("Untitled", "a"), ("Untitled", None)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2020-01-02T03:04:05.000Z", datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2020-01-02 03:04:05", datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (1_577_934_245_000, datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (None, None),
    ],
)
def test_dates_are_read_in_all_spellings(value: object, expected: datetime | None) -> None:
    assert the_post(published_at=value).published_at == expected


@pytest.mark.parametrize("value", ["soon", 1e300, 10**18, True, [1], {"a": 1}])
def test_a_bad_date_is_a_problem_of_its_row(value: object) -> None:
    records = read(read_ghost, an_export({"title": "Bad", "published_at": value}, {"title": "Good"}))
    assert problems(records) == [(1, "published_at", "bad_date")]
    assert isinstance(records[0].raw, dict)
    assert records[0].raw["title"] == "Bad"
    assert [post.title for post in posts(records)] == ["Good"]


def test_a_post_past_the_limit_fails_alone() -> None:
    records = read(read_ghost, an_export({"html": "x" * 3_000}, {"title": "Good"}), limit=2_000)
    assert problems(records) == [(1, None, "too_long")]
    assert [post.title for post in posts(records)] == ["Good"]


def test_a_post_whose_mobiledoc_grows_without_bound_fails_alone() -> None:
    mobiledoc = json.dumps({"sections": [[10, 0]] * 2_000, "cards": [["html", {"html": "x" * 3_000}]]})
    records = read(read_ghost, an_export({"title": "Grows", "mobiledoc": mobiledoc}, {"title": "Good"}))
    assert problems(records) == [(1, "content", "too_long")]
    assert isinstance(records[0].raw, dict)
    assert records[0].raw["title"] == "Grows"
    assert [post.title for post in posts(records)] == ["Good"]


def test_a_text_of_many_times_the_limit_refuses_the_file() -> None:
    with pytest.raises(TooLarge):
        read(read_ghost, an_export({"html": "x" * 500_000}), limit=2_000)


@pytest.mark.parametrize(
    ("file", "code"),
    [
        (b"", "truncated"),
        (WHOLE[:-20], "truncated"),
        (WHOLE[: WHOLE.index(b'"tags":')], "truncated"),
        (WHOLE.replace(b'"About",', b'"About"'), "bad_json"),
        (WHOLE.replace("日".encode(), b"\xff"), "bad_json"),
        (b"[]", "wrong_format"),
        (b'{"posts": []}', "wrong_format"),
    ],
)
def test_damage_anywhere_refuses_the_file_before_any_row(file: bytes, code: str) -> None:
    reading = iter(read_ghost(io.BytesIO(file), FileShape(ImportKind.POSTS, ReadLimits(10_000)), start=Checkpoint()))
    with pytest.raises(InvalidValue) as refused:
        next(reading)
    assert (refused.value.field, refused.value.code) == ("file", code)


@pytest.mark.parametrize("deep", [b"[" * 2_000, b'{"a":' * 2_000, b'{"data": {"posts": [{"html": ' + b"[" * 2_000])
def test_what_is_nested_too_deep_refuses_the_file_in_little_memory(deep: bytes) -> None:
    with pytest.raises(InvalidValue) as refused:
        read(read_ghost, deep)
    assert (refused.value.field, refused.value.code) == ("file", "too_deep")
    assert peak_bytes(b'{"data": {"posts": []}, "deep": ' + b"[" * 95 + b"]" * 95 + b"}", 10_000) < 1_000_000


def test_only_what_is_in_the_tables_themselves_is_a_row() -> None:
    row = {"uuid": UUID, "title": "T", "data": {"posts": [{"title": "Inner"}]}}
    elsewhere = {"posts": {"item": row}, "data": {"posts": [row]}, "posts_meta": [row], "x" * 100: {"posts": [row]}}
    file = json.dumps({"posts": [row], "data": {"posts": [row, row], "more": elsewhere, "users": []}}).encode()
    assert [post.title for post in posts(read(read_ghost, file))] == ["T", "T"]


def test_resuming_at_every_record_gives_the_rest() -> None:
    assert_resumes_at_every_record(read_ghost, WHOLE)
    assert_resumes_at_every_record(read_ghost, WHOLE, ImportKind.USERS)


def test_a_mistake_of_ours_costs_its_record_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ghost, "one_line", breaks)
    file = an_export(
        *({"title": title} for title in ("A", "Breaks", "B")),
        users=[{"name": name, "slug": name, "email": "a@b.example"} for name in ("a", "b")],
    )
    assert_a_mistake_of_ours_costs_its_record_alone(read_ghost, file, caplog)
    caplog.clear()
    file = an_export(users=[{"name": name, "email": "a@b.example"} for name in ("a", "Breaks", "b")])
    assert_a_mistake_of_ours_costs_its_record_alone(read_ghost, file, caplog, ImportKind.USERS)


@given(damaged(WHOLE))
def test_no_damage_is_an_error_of_ours(file: bytes) -> None:
    assert_damage_is_told(read_ghost, file)


def peak_bytes(file: bytes, limit: int) -> int:
    tracemalloc.start()
    try:
        for _ in read_ghost(io.BytesIO(file), FileShape(ImportKind.POSTS, ReadLimits(limit)), start=Checkpoint()):
            pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_no_text_of_the_posts_is_kept() -> None:
    few, many = (
        an_export(*({"uuid": f"{n:032}", "html": "x" * 20_000} for n in range(number))) for number in (50, 1_000)
    )
    assert peak_bytes(many, 100_000) < peak_bytes(few, 100_000) * 2 + 500_000


def test_nothing_is_kept_of_what_a_post_has_beyond_the_limit() -> None:
    small, large = (an_export({f"field{n}": "x" * 1_000 for n in range(number)}) for number in (100, 5_000))
    assert peak_bytes(large, 50_000) < peak_bytes(small, 50_000) * 2 + 500_000


def test_little_is_kept_of_a_slug_however_long_it_is() -> None:
    slugs = Slugs()
    tracemalloc.start()
    try:
        for number in range(4_000):
            assert slugs.sound(f"{number}{'-long' * 15}")
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 4_000 * 100
    assert slugs.sound(f"7{'-long' * 15}") is None
