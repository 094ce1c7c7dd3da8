"""Posts: kept whole, unique, tied to their authors, and not lost in a race."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from domain.errors import ExternalIdTaken, PostNotFound, SlugTaken, StaleVersion, UserHasPosts, UserNotFound
from domain.posts import ContentFormat, Post, PostStatus, PostType, Slug
from domain.users import User
from tests.builders import NOON, a_post, a_user, a_writing
from tests.contract.adapters import Adapters
from tests.contract.texts import NASTY, NASTY_LINES, NASTY_TAGS


def a_full_post(author: User) -> Post:
    return a_post(
        author=author.id,
        writing=a_writing(
            NASTY.replace("\t", ""),
            content=NASTY_LINES,
            content_format=ContentFormat.HTML,
            excerpt=NASTY_LINES,
            tags=NASTY_TAGS,
            type=PostType.PAGE,
        ),
        published_at=datetime(1000, 1, 1, tzinfo=UTC),
        created_at=NOON + timedelta(microseconds=1),
        source=NASTY,
        external_id=NASTY,
    )


async def test_a_post_is_kept_whole(adapters: Adapters, ann: User) -> None:
    posts = [a_full_post(ann), a_post(author=ann.id), a_post(author=ann.id, writing=a_writing(content="", excerpt=""))]
    await adapters.keep(*posts)
    for post in posts:
        assert await adapters.post(post.id) == post


async def test_an_unknown_post_is_not_found(adapters: Adapters) -> None:
    nothing = a_post()
    async with adapters.begin() as work:
        with pytest.raises(PostNotFound):
            await work.posts.get(nothing.id)
        with pytest.raises(PostNotFound):
            await work.posts.lock(nothing.id)
        await work.posts.delete(nothing.id)


async def test_a_save_counts_the_version_up(adapters: Adapters, ann: User) -> None:
    post = a_post(author=ann.id, source="blog", external_id="1")
    full = a_full_post(ann)
    await adapters.keep(post)
    changed = replace(
        post,
        slug=Slug("other"),
        writing=full.writing,
        status=PostStatus.PUBLISHED,
        published_at=NOON,
        updated_at=NOON + timedelta(1),
    )
    async with adapters.begin() as work:
        saved = await work.posts.save(changed)
        await work.commit()
    assert saved == replace(changed, version=2)
    assert await adapters.post(post.id) == saved


async def test_a_stale_copy_cannot_be_saved(adapters: Adapters, ann: User) -> None:
    post = a_post(author=ann.id)
    await adapters.keep(post)
    await adapters.save(replace(post, writing=a_writing("First")))
    with pytest.raises(StaleVersion) as refused:
        await adapters.save(replace(post, writing=a_writing("Second")))
    assert refused.value.current == 2
    assert (await adapters.post(post.id)).writing.title == "First"


async def test_of_copies_saved_at_once_one_is_kept(adapters: Adapters, ann: User) -> None:
    post = a_post(author=ann.id)
    await adapters.keep(post)
    outcomes = await asyncio.gather(
        *(adapters.save(replace(post, writing=a_writing(f"{number}"))) for number in range(6)), return_exceptions=True
    )
    assert outcomes.count(None) == 1
    assert sum(isinstance(outcome, StaleVersion) for outcome in outcomes) == 5
    assert (await adapters.post(post.id)).version == 2


async def test_a_copy_of_what_was_deleted_cannot_be_saved(adapters: Adapters, ann: User) -> None:
    post = a_post(author=ann.id)
    await adapters.keep(post)
    async with adapters.begin() as work:
        await work.posts.delete(post.id)
        await work.commit()
    with pytest.raises(StaleVersion) as refused:
        await adapters.save(post)
    assert refused.value.current is None


async def test_slugs_are_unique(adapters: Adapters, ann: User) -> None:
    post, other = a_post(author=ann.id, slug="one"), a_post(author=ann.id, slug="other")
    await adapters.keep(post, other)
    with pytest.raises(SlugTaken, match="one"):
        await adapters.keep(a_post(author=ann.id, slug="one"))
    with pytest.raises(SlugTaken, match="one"):
        await adapters.save(replace(other, slug=Slug("one")))
    async with adapters.begin() as work:
        assert await work.posts.slugs_taken(["one", "other", "free"]) == {"one", "other"}
        assert await work.posts.slugs_taken([]) == set()


async def test_of_many_that_take_one_slug_at_once_one_has_it(adapters: Adapters, ann: User) -> None:
    posts = [a_post(author=ann.id, slug="one") for _ in range(6)]
    outcomes = await asyncio.gather(*(adapters.keep(post) for post in posts), return_exceptions=True)
    assert outcomes.count(None) == 1
    assert sum(isinstance(outcome, SlugTaken) for outcome in outcomes) == 5


async def test_a_slug_is_free_again_when_it_is_given_up(adapters: Adapters, ann: User) -> None:
    post = a_post(author=ann.id, slug="one")
    await adapters.keep(post)
    await adapters.save(replace(post, slug=Slug("two")))
    await adapters.keep(a_post(author=ann.id, slug="one"))
    async with adapters.begin() as work:
        await work.posts.delete(post.id)
        await work.posts.add(a_post(author=ann.id, slug="two"))
        await work.commit()


async def test_a_slug_that_is_being_given_up_is_waited_for(adapters: Adapters, ann: User) -> None:
    post = a_post(author=ann.id, slug="one")
    await adapters.keep(post)
    async with adapters.begin() as work:
        await work.posts.delete(post.id)
        waiting = asyncio.create_task(adapters.keep(a_post(author=ann.id, slug="one")))
        for _ in range(5):
            await work.users.get(ann.id)
        assert not waiting.done()
        await work.commit()
    await waiting


async def test_a_source_has_each_external_id_once(adapters: Adapters, ann: User) -> None:
    await adapters.keep(
        a_post(author=ann.id, source="blog", external_id="1"),
        a_post(author=ann.id, source="blog", external_id="2"),
        a_post(author=ann.id, source="Blog", external_id="1"),
        a_post(author=ann.id, source="blog"),
        a_post(author=ann.id, source="blog"),
        a_post(author=ann.id, external_id="1"),
        a_post(author=ann.id, external_id="1"),
    )
    with pytest.raises(ExternalIdTaken):
        await adapters.keep(a_post(author=ann.id, source="blog", external_id="1"))


async def test_an_external_id_is_free_again_when_its_post_is_deleted(adapters: Adapters, ann: User) -> None:
    post = a_post(author=ann.id, source="blog", external_id="1")
    await adapters.keep(post)
    async with adapters.begin() as work:
        await work.posts.delete(post.id)
        await work.posts.add(a_post(author=ann.id, source="blog", external_id="1"))
        await work.commit()
    async with adapters.begin() as work:
        assert len(await work.posts.stored_by_external_id([("blog", "1")])) == 1


async def test_an_author_must_exist(adapters: Adapters) -> None:
    nobody = a_user()
    with pytest.raises(UserNotFound, match=str(nobody.id)):
        await adapters.keep(a_post(author=nobody.id))


@pytest.mark.parametrize("is_committed", [True, False])
async def test_who_is_being_deleted_cannot_be_written_for(adapters: Adapters, ann: User, is_committed: bool) -> None:
    post = a_post(author=ann.id)
    async with adapters.begin() as work:
        await work.users.delete(ann.id)
        waiting = asyncio.create_task(adapters.keep(post))
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


@pytest.mark.parametrize("is_committed", [True, False])
async def test_who_is_being_written_for_cannot_be_deleted(adapters: Adapters, ann: User, is_committed: bool) -> None:
    async def delete() -> None:
        async with adapters.begin() as work:
            await work.users.delete(ann.id)
            await work.commit()

    async with adapters.begin() as work:
        await work.posts.add(a_post(author=ann.id))
        waiting = asyncio.create_task(delete())
        for _ in range(5):
            await work.posts.slugs_taken(["any"])
        assert not waiting.done()
        if is_committed:
            await work.commit()
    if is_committed:
        with pytest.raises(UserHasPosts):
            await waiting
    else:
        await waiting
        with pytest.raises(UserNotFound):
            await adapters.user(ann.id)


async def test_a_locked_author_can_still_be_written_for(adapters: Adapters, ann: User) -> None:
    post = a_post(author=ann.id)
    async with adapters.begin() as work:
        await work.users.save(await work.users.lock(ann.id))
        await adapters.keep(post)
        await work.commit()
    assert await adapters.post(post.id) == post


async def test_posts_are_deleted_by_author(adapters: Adapters, ann: User) -> None:
    bob = a_user("bob")
    kept = a_post(author=bob.id)
    await adapters.keep(bob, kept, *(a_post(author=ann.id) for _ in range(3)))
    async with adapters.begin() as work:
        assert await work.posts.exist_by_author(ann.id)
        assert await work.posts.delete_by_author(ann.id) == 3
        assert not await work.posts.exist_by_author(ann.id)
        assert await work.posts.delete_by_author(ann.id) == 0
        assert await work.posts.exist_by_author(bob.id)
        await work.commit()
    assert await adapters.post(kept.id) == kept
