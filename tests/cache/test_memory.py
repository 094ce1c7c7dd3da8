"""The cache in memory: what it does when it is full or away; and the one that is none."""

import pytest

from application.ports.cache import Look, SharedCache
from domain.errors import Unavailable
from infrastructure.cache.memory import MemoryCache
from infrastructure.cache.none import NoCache


async def test_what_was_used_least_lately_goes_when_it_is_full() -> None:
    cache = MemoryCache(max_bytes=10_000)
    for number in range(4):
        cache.store(f"post/{number}", bytes(2_000), ttl_s=60)
    await cache.look("post/0", ())
    cache.store("post/4", bytes(2_000), ttl_s=60)
    there = [number for number in range(5) if (await cache.look(f"post/{number}", ())).entry is not None]
    assert there == [0, 2, 3, 4]
    stats = await cache.stats()
    assert stats["evicted_keys"] == 1
    assert 8_000 <= int(stats["memory_bytes"]) <= 10_000


async def test_what_is_too_large_for_it_is_not_kept() -> None:
    cache = MemoryCache(max_bytes=1_000)
    cache.store("post/1", bytes(2_000), ttl_s=60)
    assert await cache.look("post/1", ()) == Look(None, ())
    assert (await cache.stats())["memory_bytes"] == 0


async def test_a_page_or_a_token_may_be_taken_from_it() -> None:
    cache = MemoryCache()
    (token,) = await cache.tokens(("all",))
    cache.store("post/1", b"entry", ttl_s=60)
    cache.evict("post/1")
    assert await cache.look("post/1", ("all",)) == Look(None, (token,))
    cache.evict_tag("all")
    assert await cache.look("post/1", ("all",)) == Look(None, (None,))


async def test_a_tag_whose_token_ended_gets_one_that_no_entry_has() -> None:
    at = [0.0]
    cache = MemoryCache(token_ttl_s=600, now=lambda: at[0])
    old = await cache.tokens(("post:1", "all"))
    at[0] = 601.0
    assert await cache.look("post/1", ("post:1", "all")) == Look(None, (None, old[1]))
    assert (await cache.tokens(("post:1",)))[0] != old[0]


async def test_what_could_not_be_forgotten_is_before_anything_else_is_read() -> None:
    cache = MemoryCache()
    old = await cache.tokens(("post:1", "all"))
    cache.away = True
    for call in (cache.look("post/1", ()), cache.tokens(("all",)), cache.forget({"post:1"})):
        with pytest.raises(Unavailable):
            await call
    cache.store("post/1", b"entry", ttl_s=60)
    cache.away = False
    look = await cache.look("post/1", ("post:1", "all"))
    assert look.entry is None
    assert look.tokens[0] != old[0]
    assert look.tokens[1] == old[1]


async def test_where_there_is_no_cache_nothing_is_found_and_forgetting_is_done() -> None:
    cache: SharedCache = NoCache()
    cache.store("post/1", b"entry", ttl_s=60)
    await cache.forget({"all"})
    await cache.note_reads({"post/1": 1})
    assert await cache.most_read(1) == []
    with pytest.raises(Unavailable):
        await cache.look("post/1", ())
    with pytest.raises(Unavailable):
        await cache.tokens(("all",))
