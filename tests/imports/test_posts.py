"""Importing posts: what becomes of each kind of row."""

import json
from collections.abc import Mapping
from dataclasses import astuple
from datetime import UTC, datetime

import pytest

from domain.import_options import ImportFormat, OnConflict
from domain.imports import ImportState, Tally
from domain.posts import PostStatus
from tests.builders import NOON, a_post
from tests.imports.places import Place


def lines(*rows: Mapping[str, object]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def titled(title: str, **values: object) -> dict[str, object]:
    return {"title": title, "author": "ann", **values}


async def test_a_row_brings_all_that_it_says(place: Place) -> None:
    at = datetime(2020, 5, 1, 12, tzinfo=UTC)
    row = {
        "title": " Grüße ",
        "slug": "greetings",
        "content": "<p>Hi</p>",
        "content_format": "html",
        "excerpt": "Hi",
        "tags": ["a", "b", "a"],
        "type": "page",
        "status": "draft",
        "published_at": "2020-05-01T14:00:00+02:00",
        "views": 7,
        "author": "BOB@example.com",
        "source": "old",
        "external_id": "17",
    }
    job = await place.imported(lines(row))
    assert (job.state, job.tally) == (ImportState.SUCCEEDED, Tally(created=1))
    (post,) = await place.posts()
    assert astuple(post) == (
        *("greetings", "Grüße", "<p>Hi</p>", "html", "Hi", ("a", "b"), "page", "draft", at, NOON, 7, "bob"),
        *("old", "17", NOON, 1),
    )


async def test_html_is_cleaned_and_markdown_left_alone(place: Place) -> None:
    evil = '<p onclick="x()">Hi<script>alert(1)</script></p>'
    rows = [titled("A", slug="a", content=evil, content_format="html"), titled("B", slug="b", content=evil)]
    for on_conflict in (OnConflict.SKIP, OnConflict.UPDATE):
        await place.imported(lines(*rows), on_conflict=on_conflict)
        assert [post.content for post in await place.posts()] == ["<p>Hi</p>", evil]


async def test_csv_brings_the_same(place: Place) -> None:
    file = b'title,author,tags,content,views\nOne,ann,a|b,"x\ny",7\nTwo,Bob,,,\n'
    job = await place.imported(file, form=ImportFormat.CSV)
    assert (job.state, job.tally, job.bytes_done) == (ImportState.SUCCEEDED, Tally(created=2), len(file))
    one, two = await place.posts()
    assert (one.title, one.tags, one.content, one.views, one.author) == ("One", ("a", "b"), "x\ny", 7, "ann")
    assert (two.title, two.tags, two.content, two.views, two.author) == ("Two", (), "", 0, "bob")


@pytest.mark.parametrize(
    ("status", "published_at", "expected"),
    [
        (None, None, (PostStatus.DRAFT, None)),
        (None, "2020-05-01", (PostStatus.PUBLISHED, datetime(2020, 5, 1, tzinfo=UTC))),
        ("published", None, (PostStatus.PUBLISHED, NOON)),
        ("draft", "2020-05-01", (PostStatus.DRAFT, datetime(2020, 5, 1, tzinfo=UTC))),
    ],
)
async def test_what_a_row_leaves_open_about_publishing(
    place: Place, status: str | None, published_at: str | None, expected: tuple[PostStatus, datetime | None]
) -> None:
    await place.imported(lines(titled("T", status=status, published_at=published_at)))
    (post,) = await place.posts()
    assert (post.status, post.published_at) == expected


@pytest.mark.parametrize(
    ("values", "field", "code"),
    [
        ({"title": " "}, "title", "too_short"),
        ({"title": "T" * 301}, "title", "too_long"),
        ({"title": "a\x00b"}, "title", "bad_character"),
        ({"content": "a\x00b"}, "content", "bad_character"),
        ({"excerpt": "E" * 2001}, "excerpt", "too_long"),
        ({"tags": ["T" * 61]}, "tags", "too_long"),
        ({"slug": "No Slug"}, "slug", "bad_slug"),
        ({"published_at": "0001-01-01T00:00:00Z"}, "published_at", "out_of_range"),
        ({"views": -1}, "views", "out_of_range"),
        ({"views": 2**63}, "views", "out_of_range"),
        ({"author": "nobody"}, "author", "unknown_author"),
        ({"author": ""}, "author", "missing"),
        ({"author": None}, "author", "missing"),
        ({"author": "a\x00b"}, "author", "unknown_author"),
        ({"source": "S" * 201}, "source", "too_long"),
        ({"external_id": "E" * 401}, "external_id", "too_long"),
        ({"external_id": "a\x00b"}, "external_id", "bad_character"),
        ({"\x00" * 200: 1}, "\N{REPLACEMENT CHARACTER}" * 100, "unknown_field"),
    ],
)
async def test_a_bad_row_fails_alone(place: Place, values: dict[str, object], field: str | None, code: str) -> None:
    bad = titled("Bad") | values
    job = await place.imported(lines(titled("Before"), bad, titled("After")))
    assert (job.state, job.tally) == (ImportState.COMPLETED_WITH_ERRORS, Tally(created=2, failed=1))
    (error,) = await place.errors(job.id)
    assert (error.line, error.field, error.code) == (2, field, code)
    assert error.message
    assert error.row == bad
    assert [post.title for post in await place.posts()] == ["After", "Before"]


async def test_half_of_a_surrogate_pair_fails_and_is_shown_as_its_escape(place: Place) -> None:
    job = await place.imported(lines(titled("T", content="\ud800")))
    (error,) = await place.errors(job.id)
    assert (error.field, error.code) == (None, "bad_json")
    assert error.row == titled("T", content="\\ud800")


async def test_bytes_that_are_no_row_are_shown_as_text(place: Place) -> None:
    job = await place.imported(b'{"title":"T\xff"}\n{"title": NaN}\n[1]\n')
    assert [error.row for error in await place.errors(job.id)] == ['{"title":"T\\xff"}', '{"title": NaN}', "[1]"]
    assert job.tally == Tally(failed=3)


async def test_the_same_file_twice_makes_nothing_twice(place: Place) -> None:
    file = lines(
        titled("By external id", source="old", external_id="1"),
        titled("By external id alone", external_id="1"),
        titled("By slug", slug="by-its-slug"),
        titled("By slug, with a source", slug="by-its-other-slug", source="old"),
        titled("By its place"),
        titled("By its place, with a source", source="old"),
    )
    first = await place.imported(file)
    before = await place.posts()
    second = await place.imported(file)
    assert (first.tally, second.tally) == (Tally(created=6), Tally(skipped=6))
    assert second.state is ImportState.SUCCEEDED
    assert await place.posts() == before


async def test_the_same_place_of_another_file_is_another_row(place: Place) -> None:
    await place.imported(lines(titled("One")))
    assert (await place.imported(lines(titled("Two")))).tally == Tally(created=1)


@pytest.mark.parametrize("between", [0, 20])
async def test_a_row_that_repeats_another_of_its_file_fails(place: Place, between: int) -> None:
    others = [titled(f"Other {number}") for number in range(between)]
    job = await place.imported(
        lines(
            titled("A", source="old", external_id="1"),
            titled("B", slug="one"),
            *others,
            titled("C", source="old", external_id="1"),
            titled("D", slug="one"),
            titled("E", slug="one", external_id="2"),
        )
    )
    assert job.tally == Tally(created=2 + between, failed=3)
    assert await place.refusals(job.id) == [
        (3 + between, "external_id", "duplicate"),
        (4 + between, "slug", "duplicate"),
        (5 + between, "slug", "duplicate"),
    ]


async def test_a_row_after_a_failed_one_with_the_same_identity_is_imported(place: Place) -> None:
    job = await place.imported(
        lines(
            titled("A", author="nobody", source="old", external_id="1", slug="one"),
            titled("B", source="old", external_id="1", slug="one"),
        )
    )
    assert await place.refusals(job.id) == [(1, "author", "unknown_author")]
    assert [post.title for post in await place.posts()] == ["B"]


async def test_a_slug_that_another_post_has_is_refused_to_a_row_that_is_not_that_post(place: Place) -> None:
    async with place.begin() as work:
        author = (await work.users.stored_by_login({"ann"}))["ann"].id
        await work.posts.add(a_post("Here before", slug="taken", author=author))
        await work.commit()
    job = await place.imported(
        lines(titled("A", slug="taken", source="old", external_id="1"), titled("B", slug="taken"))
    )
    assert job.tally == Tally(skipped=1, failed=1)
    assert await place.refusals(job.id) == [(1, "slug", "slug_taken")]


@pytest.mark.parametrize("chunk_rows", [2, 1000])
async def test_slugs_of_titles_give_way_to_each_other_and_to_those_that_rows_name(
    place: Place, chunk_rows: int
) -> None:
    async with place.begin() as work:
        author = (await work.users.stored_by_login({"ann"}))["ann"].id
        await work.posts.add(a_post("Here before", slug="hello", author=author))
        await work.posts.add(a_post("Here before", slug="hello-3", author=author))
        await work.commit()
    job = await place.upload(
        lines(*[titled("Hello")] * 3, titled("Hello 2"), titled("Named", slug="world"), titled("World"))
    )
    job = await place.run_import(chunk_rows=chunk_rows)(job.id)
    assert job.tally == Tally(created=6)
    slugs = [post.slug for post in await place.posts()]
    assert len(set(slugs)) == 8
    assert {"hello", "hello-2", "hello-3", "hello-4", "world", "world-2"} <= set(slugs)


@pytest.mark.parametrize("chunk_rows", [1, 1000])
async def test_a_named_slug_that_the_title_of_an_earlier_row_took_is_a_duplicate(place: Place, chunk_rows: int) -> None:
    job = await place.imported(lines(titled("World"), titled("Named", slug="world")), chunk_rows=chunk_rows)
    assert await place.refusals(job.id) == [(2, "slug", "duplicate")]
    assert [(post.slug, post.title) for post in await place.posts()] == [("world", "World")]


async def test_twenty_posts_of_one_title_all_find_a_slug(place: Place) -> None:
    assert (await place.imported(lines(*[titled("Same")] * 20))).tally == Tally(created=20)
    assert len({post.slug for post in await place.posts()}) == 20


async def test_titles_of_any_script_find_a_slug(place: Place) -> None:
    await place.imported(lines(titled("東京"), titled("?!"), titled("0" * 32)))
    slugs = [post.slug for post in await place.posts()]
    assert "dong-jing" in slugs
    assert all(slug for slug in slugs)
