"""What operators see of the cache, and have forgotten. tests/http/test_cache.py has the rest."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import replace

import pytest

from application.cache_control import CacheStats, ForgetPages, Forgettable
from application.caching.forgetting import Forgetting
from application.caching.keys import PageKey
from application.caching.pages import CachedPages
from application.caching.reading import ReadThrough
from application.pages import ListPage, Page
from domain.actors import Actor, Role
from domain.errors import InvalidValue, NotAllowed, NotFound
from domain.ids import PostId
from domain.posts import Post, PostStatus, Slug, post_ref
from domain.users import User
from infrastructure.cache.host import LocalHostTokens
from infrastructure.cache.memory import MemoryCache
from infrastructure.memory.pages import MemoryPages
from infrastructure.memory.store import MemoryStore
from tests.application.house import House
from tests.builders import CountingIds, FixedClock, a_post, a_profile, a_writing, an_actor
from tests.caching.shown import keys_of

TAGS = ("red", "blue")


class Site:
    """A house whose pages are read through a cache; what is changed in its store without a use case is changed behind
    the service's back. Ann has two posts, Bob none."""

    ann: User
    bob: User
    post: Post
    other: Post

    def __init__(self) -> None:
        cache = MemoryCache()
        self.house = House(MemoryStore(Forgetting(cache, LocalHostTokens(), FixedClock(), CountingIds())))
        self.source = MemoryPages(self.house.store)
        self.pages = CachedPages(self.source, ReadThrough(cache, ttl_s=3600))
        self.forget = ForgetPages(self.house.store.begin)

    async def open(self) -> None:
        self.ann, self.bob = await self.house.a_member("ann"), await self.house.a_member("bob")
        self.post = a_post(
            author=self.ann.id, slug="one", writing=a_writing(tags=("red",)), status=PostStatus.PUBLISHED
        )
        self.other = a_post(author=self.ann.id, slug="two", status=PostStatus.PUBLISHED)
        async with self.house.store.begin() as work:
            await work.posts.add(self.post)
            await work.posts.add(self.other)
            await work.commit()

    async def warmed(self) -> list[PageKey]:
        """All that strangers are shown, and it is kept."""
        keys = keys_of(self.house.store, TAGS)
        for key in keys:
            await self.pages.read(key)
        return keys

    async def stale(self, keys: Iterable[PageKey]) -> list[str]:
        """What is shown otherwise than it is. Each is looked at once: then it is loaded."""
        return [key.text for key in keys if await self._cached(key) != await self._stored(key)]

    async def _cached(self, key: PageKey) -> Page | ListPage | None:
        try:
            return (await self.pages.read(key))[0]
        except NotFound:
            return None

    async def _stored(self, key: PageKey) -> Page | ListPage | None:
        try:
            return await key.read(self.source)
        except NotFound:
            return None

    async def change_post(self, **changes: object) -> None:
        async with self.house.store.begin() as work:
            await work.posts.save(replace(await work.posts.lock(self.post.id), **changes))  # type: ignore[arg-type]
            await work.commit()

    async def delete_post(self) -> None:
        async with self.house.store.begin() as work:
            await work.posts.delete(self.post.id)
            await work.commit()

    async def delete_ann(self) -> None:
        """With her posts."""
        async with self.house.store.begin() as work:
            await work.posts.delete_by_author(self.ann.id)
            await work.accounts.delete_of(self.ann.id)
            await work.users.delete(self.ann.id)
            await work.commit()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    await site.open()
    yield site
    await site.house.close()


async def test_without_forgetting_what_was_changed_behind_the_services_back_stays(site: Site) -> None:
    keys = await site.warmed()
    assert await site.stale(keys) == []
    await site.house.saved(site.ann, profile=a_profile("Another Name"))
    assert {"post/one", f"post/{site.post.id}", "posts?", f"user/{site.ann.id}"} <= set(await site.stale(keys))


async def test_a_user_with_another_name_is_forgotten_on_every_page_that_shows_it(site: Site, operator: Actor) -> None:
    keys = await site.warmed()
    await site.house.saved(site.ann, profile=a_profile("Another Name"))
    await site.forget(Forgettable(users=(site.ann.id,)), actor=operator)
    assert await site.stale(keys) == []


async def test_a_user_who_is_gone_is_forgotten_with_their_posts(site: Site, operator: Actor) -> None:
    keys = await site.warmed()
    await site.delete_ann()
    await site.forget(Forgettable(users=(site.ann.id,)), actor=operator)
    assert await site.stale(keys) == []


async def test_a_user_without_posts_is_forgotten_and_no_posts_are(site: Site, operator: Actor) -> None:
    keys = await site.warmed()
    await site.house.saved(site.bob, profile=a_profile("Another Name"))
    await site.forget(Forgettable(users=(site.bob.id,)), actor=operator)
    kept = {key.text for key in keys if (await site.pages.read(key))[1]}
    assert {"post/one", "posts?", f"user/{site.ann.id}"} <= kept
    assert await site.stale(keys) == []


@pytest.mark.parametrize("by_slug", [False, True])
async def test_a_post_that_was_changed_is_forgotten_wherever_it_is(
    site: Site, operator: Actor, *, by_slug: bool
) -> None:
    keys = await site.warmed()
    await site.change_post(writing=a_writing("Another title", tags=("red",)))
    await site.forget(Forgettable((named(site.post, by_slug=by_slug),)), actor=operator)
    kept = {key.text for key in keys if (await site.pages.read(key))[1]}
    assert {"post/two", f"user/{site.bob.id}"} <= kept
    assert await site.stale(keys) == []


@pytest.mark.parametrize("by_slug", [False, True])
async def test_a_post_that_is_gone_is_forgotten_wherever_it_was(site: Site, operator: Actor, *, by_slug: bool) -> None:
    keys = await site.warmed()
    await site.delete_post()
    await site.forget(Forgettable((named(site.post, by_slug=by_slug),)), actor=operator)
    assert await site.stale(keys) == []


async def test_where_a_post_was_before_its_slug_and_tags_were_changed_all_is_to_be_forgotten(
    site: Site, operator: Actor
) -> None:
    keys = await site.warmed()
    await site.change_post(slug=Slug("elsewhere"), writing=a_writing(tags=("blue",)))
    await site.forget(Forgettable((site.post.id,)), actor=operator)
    assert {"post/one", "posts?tag=red"} <= set(await site.stale(keys))
    await site.change_post(slug=Slug("nowhere"), writing=a_writing(tags=("red",)))
    await site.forget(Forgettable(), actor=operator)
    assert await site.stale(keys) == []


def named(post: Post, *, by_slug: bool) -> PostId | Slug:
    return post.slug if by_slug else post.id


async def test_only_operators_see_and_forget(house: House) -> None:
    cache, ann = MemoryCache(), an_actor(Role.AUTHOR)
    for refused in (
        CacheStats(cache, ReadThrough(cache, ttl_s=60))(actor=ann),
        ForgetPages(house.store.begin)(Forgettable(), actor=ann),
    ):
        with pytest.raises(NotAllowed):
            await refused


async def test_figures_are_of_the_moment(operator: Actor) -> None:
    cache = MemoryCache()
    read = ReadThrough(cache, ttl_s=60)
    figures = await CacheStats(cache, read)(actor=operator)
    await read("a key", ["all"], _load)
    assert (figures.reads.loads, read.counts.loads) == (0, 1)


async def test_a_draft_that_is_named_is_forgotten_too(house: House, operator: Actor) -> None:
    author = await house.a_member("ann")
    draft = await house.a_post_of(author, slug="a-draft")
    forget = ForgetPages(house.store.begin)
    by_id = await forget(Forgettable((draft.id,)), actor=operator)
    assert by_id == await forget(Forgettable((draft.slug,)), actor=operator)
    assert {f"post:{draft.id}", "slug:a-draft", f"posts:by:{author.id}"} <= set(by_id)


def test_a_post_is_named_by_id_or_slug() -> None:
    post = a_post()
    assert post_ref(str(post.id)) == post.id
    assert post_ref("on-tides") == Slug("on-tides")
    with pytest.raises(InvalidValue):
        post_ref("No slug")


async def _load() -> bytes:
    return b""
