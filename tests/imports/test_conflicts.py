"""Rows that are here from before the job: skipped, updated or failed, as the job says."""

import json
from typing import Any

import pytest

from domain.import_options import ImportKind, OnConflict, Publish
from domain.imports import ImportJob, ImportState, Tally
from domain.posts import ContentFormat, PostStatus, PostType
from tests.builders import NOON, SECOND, a_post, a_writing
from tests.imports.places import Place
from tests.imports.test_posts import lines, titled

SKIP, UPDATE, FAIL = OnConflict.SKIP, OnConflict.UPDATE, OnConflict.FAIL
LATER = NOON + 60 * SECOND
BY_KEY, BY_SLUG, BY_PLACE = {"source": "old", "external_id": "1"}, {"slug": "named"}, {"author": "ann"}
EACH_IDENTITY = pytest.mark.parametrize("identity", [BY_KEY, BY_SLUG, BY_PLACE], ids=["key", "slug", "place"])


async def again(place: Place, *rows: dict[str, object], on_conflict: OnConflict, **options: Any) -> ImportJob:
    """The file of `rows`, a minute later."""
    place.clock.at = LATER
    return await place.imported(lines(*rows), on_conflict=on_conflict, **options)


async def reasons(place: Place, job: ImportJob) -> dict[str, int]:
    return dict((await place.job(job.id)).tally.reasons)


@EACH_IDENTITY
async def test_a_row_that_is_here_is_skipped_as_it_is(place: Place, identity: dict[str, object]) -> None:
    row = titled("T", **identity)
    await place.imported(lines(row))
    before = await place.everything()
    job = await again(place, row, on_conflict=SKIP)
    assert (job.state, job.tally, await reasons(place, job)) == (
        ImportState.SUCCEEDED,
        Tally(skipped=1),
        {"exists": 1},
    )
    assert await place.everything() == before


@EACH_IDENTITY
async def test_a_row_that_is_here_fails(place: Place, identity: dict[str, object]) -> None:
    row = titled("T", **identity)
    await place.imported(lines(row))
    before = await place.everything()
    job = await again(place, row, on_conflict=FAIL)
    assert (job.state, job.tally) == (ImportState.COMPLETED_WITH_ERRORS, Tally(failed=1))
    assert await place.refusals(job.id) == [(1, "slug" if identity is BY_SLUG else "external_id", "exists")]
    assert await place.everything() == before


@EACH_IDENTITY
async def test_a_row_that_is_here_as_it_says_is_unchanged(place: Place, identity: dict[str, object]) -> None:
    row = titled("T", content="Words.", tags=["a"], status="published", views=3, **identity)
    await place.imported(lines(row))
    before = await place.everything()
    job = await again(place, row, on_conflict=UPDATE)
    assert job.tally == Tally(unchanged=1)
    assert await place.everything() == before


@pytest.mark.parametrize("identity", [BY_KEY, BY_SLUG], ids=["key", "slug"])
async def test_an_update_brings_all_that_the_row_says(place: Place, identity: dict[str, object]) -> None:
    await place.imported(lines(titled("Old", content="Old.", tags=["old"], views=3, **identity)))
    new = {
        "title": "New",
        "author": "bob",
        "content": "<p>New</p>",
        "content_format": "html",
        "excerpt": "New",
        "tags": ["new"],
        "type": "page",
        "status": "published",
        "published_at": "2020-05-01T00:00:00Z",
        "views": 9,
    }
    job = await again(place, new | identity, on_conflict=UPDATE)
    assert job.tally == Tally(updated=1)
    (post,) = await place.posts()
    assert (post.title, post.author, post.content, post.content_format) == ("New", "bob", "<p>New</p>", "html")
    assert (post.excerpt, post.tags, post.type, post.status) == ("New", ("new",), "page", "published")
    assert post.published_at is not None
    assert post.published_at.year == 2020
    assert (post.created_at, post.updated_at, post.version) == (NOON, LATER, 2)
    # Views are counted here, and are nobody's edit.
    assert post.views == 3


async def test_an_update_leaves_what_the_row_does_not_say(place: Place) -> None:
    writing = a_writing(
        "Old", content="<p>x</p>", content_format=ContentFormat.HTML, excerpt="E", tags=("a",), type=PostType.PAGE
    )
    ann = await place.user_id("ann")
    post = a_post(author=ann, slug="mine", writing=writing, published_at=NOON - SECOND, source="old", external_id="1")
    await place.add_post(post)
    (before,) = await place.posts()
    job = await again(place, {"title": "New", **BY_KEY}, on_conflict=UPDATE)
    assert job.tally == Tally(updated=1)
    (after,) = await place.posts()
    assert (after.title, after.updated_at, after.version) == ("New", LATER, 2)
    kept = ("slug", "content", "content_format", "excerpt", "tags", "type", "status", "published_at", "author", "views")
    for name in (*kept, "created_at", "source", "external_id"):
        assert getattr(after, name) == getattr(before, name), name


async def test_an_update_that_says_nothing_of_a_tag_or_says_there_are_none(place: Place) -> None:
    await place.imported(lines(titled("T", tags=["a"], **BY_KEY)))
    assert (await again(place, titled("T", **BY_KEY), on_conflict=UPDATE)).tally == Tally(unchanged=1)
    assert (await again(place, titled("T", tags=[], **BY_KEY), on_conflict=UPDATE)).tally == Tally(updated=1)
    assert (await place.posts())[0].tags == ()


@pytest.mark.parametrize("status", [PostStatus.DRAFT, PostStatus.PUBLISHED])
async def test_an_update_neither_publishes_nor_unpublishes_unless_the_row_says_so(
    place: Place, status: PostStatus
) -> None:
    post = a_post("T", author=await place.user_id("ann"), slug="named", status=status)
    await place.add_post(post)
    await again(place, titled("New", slug="named", published_at="2020-05-01T00:00:00Z"), on_conflict=UPDATE)
    assert (await place.posts())[0].status == status
    other = next(each for each in PostStatus if each != status)
    await again(place, titled("New", slug="named", status=other), on_conflict=UPDATE)
    assert (await place.posts())[0].status == other


@pytest.mark.parametrize(
    ("publish", "expected"),
    [
        (Publish.KEEP, ["draft", "published", "published"]),
        (Publish.DRAFT, ["draft"] * 3),
        (Publish.ALL, ["published"] * 3),
    ],
)
@pytest.mark.parametrize("is_here", [False, True])
async def test_what_is_published_is_for_the_job_to_say(
    place: Place, publish: Publish, expected: list[str], is_here: bool
) -> None:
    rows = [
        titled("A", slug="a", status="draft"),
        titled("B", slug="b", status="published"),
        titled("C", slug="c", published_at="2020-05-01T00:00:00Z"),
    ]
    if is_here:
        await place.imported(lines(*rows))
    await again(place, *rows, on_conflict=UPDATE, publish=publish)
    posts = await place.posts()
    assert [post.status for post in posts] == expected
    assert all(post.published_at for post in posts if post.status == "published")


async def test_an_update_changes_the_slug_that_the_row_names(place: Place) -> None:
    await place.imported(lines(titled("T", slug="old", **BY_KEY)))
    job = await again(place, titled("T", slug="new", **BY_KEY), on_conflict=UPDATE)
    assert job.tally == Tally(updated=1)
    assert [(post.slug, post.version) for post in await place.posts()] == [("new", 2)]


@pytest.mark.parametrize("others", [0, 1], ids=["all here", "one new"])
async def test_an_update_to_a_slug_that_another_post_has_fails_alone(place: Place, others: int) -> None:
    await place.imported(lines(titled("T", slug="mine", **BY_KEY), titled("Other", slug="taken")))
    rows = [titled("New", slug="taken", **BY_KEY), *[titled("One more")] * others]
    job = await again(place, *rows, on_conflict=UPDATE)
    assert job.tally == Tally(created=others, failed=1)
    assert await place.refusals(job.id) == [(1, "slug", "slug_taken")]


@pytest.mark.parametrize("chunk_rows", [1, 2, 100])
@pytest.mark.parametrize("on_conflict", OnConflict)
async def test_of_two_rows_that_stand_for_one_post_the_second_is_a_duplicate(
    place: Place, on_conflict: OnConflict, chunk_rows: int
) -> None:
    """Whether or not it was here before, under whichever of its names."""
    await place.add_post(a_post("Old", author=await place.user_id("ann"), slug="here", source="old", external_id="1"))
    rows = [
        titled("A", **BY_KEY),
        titled("B", slug="here"),
        titled("C", **BY_KEY),
        titled("D", source="old", external_id="2"),
        titled("E", source="old", external_id="2"),
        titled("F", slug="made"),
        titled("G", slug="made"),
    ]
    job = await again(place, *rows, on_conflict=on_conflict, chunk_rows=chunk_rows)
    made = [(5, "external_id", "duplicate"), (7, "slug", "duplicate")]
    expected: dict[OnConflict, tuple[Tally, list[tuple[int, str, str]]]] = {
        SKIP: (Tally(created=2, skipped=3, failed=2), made),
        UPDATE: (
            Tally(created=2, updated=1, failed=4),
            [(2, "slug", "duplicate"), (3, "external_id", "duplicate"), *made],
        ),
        FAIL: (
            Tally(created=2, failed=5),
            [(1, "external_id", "exists"), (2, "slug", "exists"), (3, "external_id", "exists"), *made],
        ),
    }
    assert (job.tally, await place.refusals(job.id)) == expected[on_conflict]
    assert {post.title for post in await place.posts()} == {"A" if on_conflict is UPDATE else "Old", "D", "F"}


@pytest.mark.parametrize("chunk_rows", [1, 100])
async def test_a_slug_that_an_earlier_row_left_or_took_is_not_another_rows(place: Place, chunk_rows: int) -> None:
    await place.imported(lines(titled("A", slug="a", **BY_KEY), titled("B", slug="b", source="old", external_id="2")))
    rows = [
        titled("A", slug="moved", **BY_KEY),
        titled("Takes what A left", slug="a"),
        titled("Takes what A took", slug="moved"),
        titled("B", slug="a", source="old", external_id="2"),
        titled("Moved"),
    ]
    job = await again(place, *rows, on_conflict=UPDATE, chunk_rows=chunk_rows)
    assert job.tally == Tally(created=1, updated=1, failed=3)
    assert await place.refusals(job.id) == [(line, "slug", "duplicate") for line in (2, 3, 4)]
    assert {(post.slug, post.title) for post in await place.posts()} == {
        ("moved", "A"),
        ("b", "B"),
        ("moved-2", "Moved"),
    }


@pytest.mark.parametrize("on_conflict", OnConflict)
async def test_the_same_archive_twice_makes_nothing_twice(place: Place, on_conflict: OnConflict) -> None:
    rows = [
        *(titled(f"By key {number}", source="old", external_id=str(number)) for number in range(10)),
        *(titled(f"By slug {number}", slug=f"slug-{number}") for number in range(10)),
        *[titled("A draft without a slug")] * 10,
        titled("A", **BY_KEY, slug="again"),
        titled("", author="nobody"),
    ]
    first = await place.imported(lines(*rows), on_conflict=on_conflict)
    before = await place.everything()
    assert first.tally == Tally(created=30, failed=2)
    second = await again(place, *rows, on_conflict=on_conflict)
    expected = {
        SKIP: Tally(skipped=31, failed=1),
        # The last of them was refused for its key the first time: now it is the second to name it again.
        UPDATE: Tally(unchanged=30, failed=2),
        FAIL: Tally(failed=32),
    }
    assert second.tally == expected[on_conflict]
    assert await place.everything() == before


async def test_users_are_updated_in_what_they_show_and_never_in_how_they_sign_in(place: Place) -> None:
    (before, *_) = await place.users()
    row = {
        "username": "ANN",
        "email": "new@example.org",
        "bio": "New.",
        "website": "https://example.org/",
        "password": "correct horse",
    }
    place.clock.at = LATER
    job = await place.imported(json.dumps(row).encode(), kind=ImportKind.USERS, on_conflict=UPDATE)
    assert job.tally == Tally(updated=1)
    (after, *_) = await place.users()
    assert (after.bio, after.website, after.version) == ("New.", "https://example.org/", 2)
    assert (after.username, after.email, after.role, after.display_name, after.has_password) == (
        *(before.username, before.email, before.role, before.display_name, before.has_password),
    )
    again = await place.imported(json.dumps(row).encode(), kind=ImportKind.USERS, on_conflict=UPDATE)
    assert again.tally == Tally(unchanged=1)


@pytest.mark.parametrize("chunk_rows", [1, 100])
@pytest.mark.parametrize("on_conflict", OnConflict)
async def test_of_two_rows_that_stand_for_one_user_the_second_is_a_duplicate(
    place: Place, on_conflict: OnConflict, chunk_rows: int
) -> None:
    rows = [
        {"username": "ann", "email": "x@example.org", "bio": "1"},
        {"username": "other", "email": "ann@example.com", "bio": "2"},
        {"username": "cleo", "email": "cleo@example.org"},
        {"username": "CLEO", "email": "y@example.org"},
        {"username": "ann", "email": "bob@example.com"},
    ]
    job = await place.imported(lines(*rows), kind=ImportKind.USERS, on_conflict=on_conflict, chunk_rows=chunk_rows)
    duplicate, exists = "duplicate", "exists"
    expected = {
        SKIP: (Tally(created=1, skipped=3, failed=1), [(4, duplicate)]),
        UPDATE: (Tally(created=1, updated=1, failed=3), [(2, duplicate), (4, duplicate), (5, duplicate)]),
        FAIL: (Tally(created=1, failed=4), [(1, exists), (2, exists), (4, duplicate), (5, exists)]),
    }
    refused = [(line, code) for line, _, code in await place.refusals(job.id)]
    assert (job.tally, refused) == expected[on_conflict]
    assert (await place.users())[0].bio == ("1" if on_conflict is UPDATE else "")


async def test_an_update_does_not_choose_between_two_users(place: Place) -> None:
    row = {"username": "ann", "email": "bob@example.com", "bio": "x"}
    job = await place.imported(lines(row), kind=ImportKind.USERS, on_conflict=UPDATE)
    assert await place.refusals(job.id) == [(1, "email", "ambiguous")]
