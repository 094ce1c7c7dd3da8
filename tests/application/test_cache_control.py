"""What operators see of the cache, and have forgotten. tests/http/test_cache.py has the rest."""

import pytest

from application.cache_control import CacheStats, ForgetPages, Forgettable
from application.caching.reading import ReadThrough
from domain.actors import Actor, Role
from domain.errors import InvalidValue, NotAllowed
from domain.posts import Slug, post_ref
from infrastructure.cache.memory import MemoryCache
from tests.application.house import House
from tests.builders import a_post, an_actor


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
