"""Posts by the thousand: added, found, locked and saved set-wise, as imports do."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from application.ports.repositories import Stored
from domain.errors import BylineError, ExternalIdTaken, SlugTaken, UserHasPosts, UserNotFound
from domain.posts import VIEWS_MAX, ContentFormat, PostStatus, PostType, Slug
from domain.users import User
from tests.builders import NOON, SECOND, a_job, a_post, a_user, a_writing, imported
from tests.contract.adapters import Adapters, packed
from tests.contract.test_posts import a_full_post
from tests.contract.texts import NASTY


async def test_many_posts_are_added_with_views_and_origin(adapters: Adapters, ann: User) -> None:
    job, at = a_job(), NOON + timedelta(microseconds=1)
    known = a_post(author=ann.id, slug="known", source="blog", external_id="known")
    full = replace(a_full_post(ann), slug=Slug("full"), created_at=at, updated_at=at)
    plain = a_post(author=ann.id, slug="plain", source="blog", external_id="1", created_at=at)
    latest = datetime(9998, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    empty = a_post(author=ann.id, writing=a_writing(content="", excerpt=""), published_at=latest, created_at=at)
    await adapters.keep(known)
    async with adapters.begin() as work:
        rows = [imported(full, VIEWS_MAX), imported(plain), imported(empty, 1)]
        await work.posts.add_many(adapters.pack(rows, origin=job.id, at=at))
        await work.commit()

    for post in (full, plain, empty):
        assert await adapters.post(post.id) == post
    async with adapters.begin() as work:
        assert await work.posts.stored_by_slug(["full", "plain", "known", "free"]) == {
            "full": Stored(full.id, job.id),
            "plain": Stored(plain.id, job.id),
            "known": Stored(known.id, None),
        }
        keys = [("blog", "1"), ("blog", "known"), ("blog", "2"), ("1", "blog"), (NASTY, NASTY)]
        found = {
            ("blog", "1"): Stored(plain.id, job.id),
            ("blog", "known"): Stored(known.id, None),
            (NASTY, NASTY): Stored(full.id, job.id),
        }
        assert await work.posts.stored_by_external_id(keys) == found
        of_many_sources = [*keys, *((f"blog-{number}", "1") for number in range(20))]
        assert await work.posts.stored_by_external_id(of_many_sources) == found
        assert await work.posts.stored_by_slug([]) == {}
        assert await work.posts.stored_by_external_id([]) == {}


async def test_thousands_of_posts_are_added_at_once(adapters: Adapters, ann: User) -> None:
    posts = [a_post(author=ann.id, writing=a_writing(content=f"{number} " * 100)) for number in range(2_000)]
    async with adapters.begin() as work:
        await work.posts.add_many(packed([imported(post) for post in posts]))
        await work.commit()
    async with adapters.begin() as work:
        assert await work.posts.lock_many([post.id for post in posts]) == sorted(posts, key=lambda post: post.id)


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [({"slug": "taken"}, SlugTaken), ({"source": "blog", "external_id": "1"}, ExternalIdTaken)],
)
@pytest.mark.parametrize("is_stored", [True, False])
async def test_of_many_posts_none_is_added_where_one_is_taken(
    adapters: Adapters, ann: User, fields: dict[str, str], refusal: type[BylineError], is_stored: bool
) -> None:
    first = a_post(author=ann.id, slug="taken", source="blog", external_id="1")
    fine = a_post(author=ann.id, slug="fine")
    alike = a_post(author=ann.id, **fields)  # type: ignore[arg-type]  # only texts are among them
    if is_stored:
        await adapters.keep(first)
    added = [fine, alike] if is_stored else [fine, first, alike]
    async with adapters.begin() as work:
        with pytest.raises(refusal):
            await work.posts.add_many(packed([imported(post) for post in added]))
    async with adapters.begin() as work:
        assert await work.posts.slugs_taken(["fine"]) == set()


async def test_many_posts_of_nobody_are_refused(adapters: Adapters, ann: User) -> None:
    nobody = a_user()
    rows = [imported(a_post(author=ann.id)), imported(a_post(author=nobody.id))]
    async with adapters.begin() as work:
        with pytest.raises(UserNotFound, match=str(nobody.id)):
            await work.posts.add_many(packed(rows))
        with pytest.raises(RuntimeError):
            await work.commit()


@pytest.mark.parametrize("is_committed", [True, False])
async def test_who_is_being_deleted_cannot_be_imported_for(adapters: Adapters, ann: User, is_committed: bool) -> None:
    post = a_post(author=ann.id)

    async def import_it() -> None:
        async with adapters.begin() as work:
            await work.posts.add_many(packed([imported(post)]))
            await work.commit()

    async with adapters.begin() as work:
        await work.users.delete(ann.id)
        waiting = asyncio.create_task(import_it())
        for _ in range(5):
            await work.posts.slugs_taken(["any"])
        assert not waiting.done()
        if is_committed:
            await work.commit()
    if is_committed:
        with pytest.raises(UserNotFound):
            await waiting
    else:
        await waiting
        assert await adapters.post(post.id) == post


async def test_who_is_imported_for_cannot_be_deleted_meanwhile(adapters: Adapters, ann: User) -> None:
    async def delete() -> None:
        async with adapters.begin() as work:
            await work.users.delete(ann.id)
            await work.commit()

    async with adapters.begin() as work:
        await work.posts.add_many(packed([imported(a_post(author=ann.id), 3)]))
        waiting = asyncio.create_task(delete())
        for _ in range(5):
            await work.posts.slugs_taken(["any"])
        assert not waiting.done()
        await work.commit()
    with pytest.raises(UserHasPosts):
        await waiting


async def test_a_locked_author_can_still_be_imported_for(adapters: Adapters, ann: User) -> None:
    post = a_post(author=ann.id)
    async with adapters.begin() as work:
        await work.users.save(await work.users.lock(ann.id))
        async with adapters.begin() as beside:
            await beside.posts.add_many(packed([imported(post)]))
            await beside.commit()
        await work.commit()
    assert await adapters.post(post.id) == post


async def test_what_follows_imported_posts_in_their_transaction_is_checked_as_ever(
    adapters: Adapters, ann: User
) -> None:
    async with adapters.begin() as work:
        await work.posts.add_many(packed([imported(a_post(author=ann.id), 3)]))
        with pytest.raises(UserNotFound):
            await work.posts.add(a_post())


async def test_a_saved_post_keeps_its_origin(adapters: Adapters, ann: User) -> None:
    job, post = a_job(), a_post(author=ann.id, slug="one")
    async with adapters.begin() as work:
        await work.posts.add_many(packed([imported(post)], origin=job.id))
        await work.posts.save(post)
        await work.posts.save_many([post])
        assert await work.posts.stored_by_slug(["one"]) == {"one": Stored(post.id, job.id)}
        await work.commit()


async def test_many_posts_are_locked_in_id_order_without_those_that_are_gone(adapters: Adapters, ann: User) -> None:
    posts = [a_post(author=ann.id) for _ in range(3)]
    await adapters.keep(*posts)
    async with adapters.begin() as work:
        ids = [post.id for post in reversed(posts)]
        assert await work.posts.lock_many([ids[0], *ids, a_post().id]) == posts
        assert await work.posts.lock_many([]) == []


async def test_many_posts_are_saved_with_the_next_version(adapters: Adapters, ann: User) -> None:
    bob = a_user("bob")
    posts = [a_post(author=ann.id, source="blog", external_id=f"{number}") for number in range(3)]
    await adapters.keep(bob, *posts)
    full = a_full_post(bob)
    first = replace(
        posts[0],
        author_id=bob.id,
        slug=Slug("first"),
        writing=full.writing,
        status=PostStatus.PUBLISHED,
        published_at=full.published_at,
        updated_at=NOON + SECOND,
    )
    second = replace(posts[1], writing=a_writing(content="", tags=()), updated_at=NOON + SECOND)
    kept_out = replace(second, created_at=NOON + SECOND, source="other", external_id=None)
    async with adapters.begin() as work:
        await work.posts.lock_many([post.id for post in posts])
        await work.posts.save_many([first, kept_out, a_post(author=ann.id)])
        await work.posts.save_many([])
        await work.commit()
    assert await adapters.post(first.id) == replace(first, version=2)
    assert await adapters.post(second.id) == replace(second, version=2)
    assert await adapters.post(posts[2].id) == posts[2]
    async with adapters.begin() as work:
        assert await work.posts.slugs_taken([posts[0].slug.value, "first"]) == {"first"}
        assert set(await work.posts.stored_by_external_id([("blog", "1"), ("other", "1")])) == {("blog", "1")}


async def test_many_posts_are_not_saved_where_one_takes_anothers_slug(adapters: Adapters, ann: User) -> None:
    one, other, third = (a_post(author=ann.id, slug=slug) for slug in ("one", "other", "third"))
    await adapters.keep(one, other, third)
    async with adapters.begin() as work:
        await work.posts.lock_many([one.id, other.id])
        with pytest.raises(SlugTaken, match="third"):
            await work.posts.save_many([replace(one, slug=Slug("free")), replace(other, slug=Slug("third"))])
    async with adapters.begin() as work:
        assert await work.posts.slugs_taken(["one", "free"]) == {"one"}


async def test_many_posts_are_not_saved_where_an_author_is_nobody(adapters: Adapters, ann: User) -> None:
    post, nobody = a_post(author=ann.id), a_user()
    await adapters.keep(post)
    async with adapters.begin() as work:
        with pytest.raises(UserNotFound, match=str(nobody.id)):
            await work.posts.save_many([replace(post, author_id=nobody.id)])


async def test_posts_saved_under_a_lock_are_saved_one_after_the_other(adapters: Adapters, ann: User) -> None:
    posts = [a_post("0", author=ann.id) for _ in range(3)]
    await adapters.keep(*posts)

    async def count_up(some: list[int]) -> None:
        async with adapters.begin() as work:
            locked = await work.posts.lock_many([posts[number].id for number in some])
            counted = [replace(post, writing=a_writing(str(int(post.writing.title) + 1))) for post in locked]
            await work.posts.save_many(counted)
            await work.commit()

    await asyncio.gather(*(count_up(some) for some in ([0, 1, 2], [2, 1, 0], [1, 2], [2, 1], [0])))
    for post, title in zip(posts, ("3", "4", "4"), strict=True):
        stored = await adapters.post(post.id)
        assert (stored.writing.title, stored.version) == (title, int(title) + 1)


@pytest.mark.parametrize("content_format", list(ContentFormat))
@pytest.mark.parametrize("post_type", list(PostType))
@pytest.mark.parametrize("status", list(PostStatus))
async def test_codes_are_kept_apart(
    adapters: Adapters, ann: User, content_format: ContentFormat, post_type: PostType, status: PostStatus
) -> None:
    writing = a_writing(content_format=content_format, type=post_type)
    post = a_post(author=ann.id, writing=writing, status=status)
    async with adapters.begin() as work:
        await work.posts.add_many(packed([imported(post)]))
        await work.commit()
    assert await adapters.post(post.id) == post
