"""The shared cache: entries, and tokens of tags that were never set before, in memory and in Redis alike."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest
from redis.asyncio import Redis

from application.ports.cache import Look, SharedCache
from infrastructure.cache.host import LocalHostTokens
from infrastructure.cache.memory import MemoryCache
from infrastructure.cache.push import ForgottenListener
from infrastructure.cache.redis import RedisCache
from tests.cache.pipes import until

TAGS = ("post:1", "all")
HOUR_S = 3600.0


@dataclass
class Clock:
    at: float = 1_800_000_000.0

    def now(self) -> float:
        return self.at


@dataclass
class Site:
    """Two processes of it, `cache` and `another`; and `elsewhere`, the tokens of another host."""

    cache: SharedCache
    another: SharedCache
    elsewhere: LocalHostTokens
    flush: Callable[[], Awaitable[None]]
    clock: Clock


@pytest.fixture
def memory_site() -> Site:
    clock, elsewhere = Clock(), LocalHostTokens()
    cache = MemoryCache(others=(elsewhere,), now=clock.now)

    async def flush() -> None:
        cache.flush()

    return Site(cache, cache, elsewhere, flush, clock)


@pytest.fixture
async def redis_site(redis_url: str) -> AsyncIterator[Site]:
    clock, elsewhere = Clock(), LocalHostTokens()
    listener = ForgottenListener(redis_url, elsewhere)
    caches = [RedisCache(redis_url, host_id="here", deadline_s=5.0, now=clock.now) for _ in range(2)]
    await listener.open()
    await until(lambda: elsewhere.trusted_until > 0.0)
    redis = Redis.from_url(redis_url)
    for cache in caches:
        await cache.open()

    async def flush() -> None:
        await redis.flushdb()

    yield Site(caches[0], caches[1], elsewhere, flush, clock)
    for cache in caches:
        await cache.close()
    await listener.close()
    await redis.aclose()


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.servers)])
def either(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def site(either: str, request: pytest.FixtureRequest) -> Site:
    chosen: Site = request.getfixturevalue(f"{either}_site")
    return chosen


async def test_what_was_never_stored_is_not_there(site: Site) -> None:
    assert await site.cache.look("post/1", TAGS) == Look(None, (None, None))
    assert await site.cache.look("post/1", ()) == Look(None, ())


async def test_an_entry_is_there_with_the_tokens_of_its_tags(site: Site) -> None:
    tokens = await site.cache.tokens(TAGS)
    site.cache.store("post/1", b"\x00\xff entry", ttl_s=60)
    assert await site.cache.look("post/1", TAGS) == Look(b"\x00\xff entry", tokens)
    assert await site.another.look("post/1", TAGS) == Look(b"\x00\xff entry", tokens)


async def test_a_key_is_no_tag(site: Site) -> None:
    site.cache.store("all", b"entry", ttl_s=60)
    assert await site.cache.look("none", ("all",)) == Look(None, (None,))


async def test_a_token_is_set_only_where_there_is_none(site: Site) -> None:
    (first,) = await site.cache.tokens(("all",))
    both = await site.another.tokens(TAGS)
    assert both[1] == first
    assert await site.cache.tokens(TAGS) == both
    assert {len(token) for token in both} == {8}


async def test_all_who_ask_at_once_get_the_same_tokens(site: Site) -> None:
    asked = await asyncio.gather(*(cache.tokens(TAGS) for cache in (site.cache, site.another) * 20))
    assert len(set(asked)) == 1


async def test_what_is_forgotten_gets_a_token_that_was_never_there(site: Site) -> None:
    seen: set[bytes | None] = set(await site.cache.tokens(TAGS))
    for _ in range(20):
        await site.cache.forget(TAGS)
        seen |= set((await site.another.look("post/1", TAGS)).tokens)
    assert None not in seen
    assert len(seen) == 2 + 20 * 2


async def test_only_what_is_named_is_forgotten(site: Site) -> None:
    before = await site.cache.tokens(TAGS)
    await site.cache.forget({"all"})
    after = await site.cache.tokens(TAGS)
    assert after[0] == before[0]
    assert after[1] != before[1]


async def test_many_tags_are_forgotten_and_no_tags_too(site: Site) -> None:
    tags = [f"post:{number}" for number in range(500)]
    before = await site.cache.tokens(tags)
    await site.cache.forget(frozenset(tags))
    await site.cache.forget(())
    assert not set(before) & set(await site.cache.tokens(tags))


async def test_a_look_sees_all_of_a_forgetting_or_nothing(site: Site) -> None:
    await site.cache.tokens(TAGS)
    partners: dict[bytes | None, set[bytes | None]] = {}

    async def read() -> None:
        for _ in range(300):
            one, other = (await site.another.look("post/1", TAGS)).tokens
            partners.setdefault(one, set()).add(other)

    async def write() -> None:
        for _ in range(100):
            await site.cache.forget(TAGS)

    await asyncio.gather(read(), read(), write())
    assert {len(seen) for seen in partners.values()} == {1}


async def test_other_hosts_are_told(site: Site) -> None:
    slots = site.elsewhere.slots((*TAGS, "post:2"))
    before = [site.elsewhere.table[slot] for slot in slots]
    await site.cache.forget(TAGS)
    await until(lambda: site.elsewhere.table[slots[0]] != before[0] and site.elsewhere.table[slots[1]] != before[1])
    assert site.elsewhere.table[slots[2]] == before[2]


async def test_when_everything_vanishes_no_token_comes_back(site: Site) -> None:
    before = await site.cache.tokens(TAGS)
    site.cache.store("post/1", b"entry", ttl_s=60)
    await site.cache.look("post/1", ())
    await site.flush()
    assert await site.cache.look("post/1", TAGS) == Look(None, (None, None))
    assert not set(before) & set(await site.cache.tokens(TAGS))


async def test_an_entry_ends(site: Site) -> None:
    site.cache.store("post/1", b"entry", ttl_s=0.001)
    site.clock.at += 1
    async with asyncio.timeout(10):
        while (await site.cache.look("post/1", ())).entry is not None:  # noqa: ASYNC110 -- Redis tells nobody
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("key", ["", "posts?tag=" + "x" * 5000, "post/ü\ud800", "post/a b\r\n"])
async def test_any_text_is_a_key_and_a_tag(site: Site, key: str) -> None:
    tokens = await site.cache.tokens((key, key + "+"))
    assert len(set(tokens)) == 2
    site.cache.store(key, b"entry", ttl_s=60)
    assert await site.cache.look(key, (key, key + "+")) == Look(b"entry", tokens)
    assert (await site.cache.look(key + "+", ())).entry is None


async def test_what_was_read_most_comes_first(site: Site) -> None:
    await site.cache.note_reads({"post/1": 5, "post/2": 7, "post/3": 1})
    await site.another.note_reads({"post/1": 5})
    assert await site.cache.most_read(10) == ["post/1", "post/2", "post/3"]
    assert await site.cache.most_read(2) == ["post/1", "post/2"]
    assert await site.cache.most_read(0) == []


async def test_any_text_is_noted_as_read(site: Site) -> None:
    await site.cache.note_reads({"post/ü\ud800": 1})
    assert await site.cache.most_read(1) == ["post/ü\ud800"]


async def test_reads_of_the_hour_before_count_and_older_ones_do_not(site: Site) -> None:
    await site.cache.note_reads({"post/1": 5, "post/2": 4})
    site.clock.at += HOUR_S
    await site.cache.note_reads({"post/2": 2, "post/3": 1})
    assert await site.cache.most_read(10) == ["post/2", "post/1", "post/3"]
    site.clock.at += HOUR_S
    assert await site.cache.most_read(10) == ["post/2", "post/3"]
    site.clock.at += HOUR_S
    assert await site.cache.most_read(10) == []


async def test_stats_tell_of_memory_keys_hits_and_misses(site: Site) -> None:
    site.cache.store("post/1", b"entry", ttl_s=60)
    await site.cache.look("post/1", ())
    stats = await site.cache.stats()
    assert stats["connected"] == 1
    assert stats["keys"] == 1
    assert {"memory_bytes", "memory_limit_bytes", "hits", "misses", "evicted_keys"} <= set(stats)
