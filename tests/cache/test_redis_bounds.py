"""The cache in Redis where Redis refuses what is asked, and how long what is kept there lives."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from application.ports.cache import Look
from domain.errors import Unavailable
from infrastructure.cache.redis import RedisCache
from tests.cache.conftest import TAGS, is_away_at_once
from tests.cache.pipes import PATIENCE_S, of_user, once_there


@dataclass(frozen=True)
class Limited:
    """A cache whose user may do everything at first. What is forbidden is refused as by a server that is full, or a
    replica."""

    redis: Redis
    user: str
    cache: RedisCache

    async def change(self, *commands: str) -> None:
        await self.redis.acl_setuser(self.user, enabled=True, commands=commands)


@pytest.fixture
async def limited(redis_url: str, redis: Redis) -> AsyncIterator[Limited]:
    user, password = f"byline-{secrets.token_hex(4)}", secrets.token_hex(8)
    await redis.acl_setuser(
        user, enabled=True, passwords=[f"+{password}"], keys=["*"], channels=["*"], categories=["+@all"]
    )
    cache = RedisCache(of_user(redis_url, user, password), host_id="here", deadline_s=5.0)
    await cache.open()
    yield Limited(redis, user, cache)
    await cache.close()
    await redis.acl_deluser(user)


async def test_where_memory_is_full_tags_are_still_forgotten(limited: Limited, another: RedisCache) -> None:
    old = await limited.cache.tokens(TAGS)
    await limited.change("-set")
    assert (await limited.cache.look("post/1", TAGS)).tokens == old
    await limited.cache.forget(TAGS)
    assert (await another.look("post/1", TAGS)).tokens == (None, None)
    with pytest.raises(Unavailable):
        await limited.cache.tokens(TAGS)


async def test_what_is_refused_is_counted_and_the_first_of_each_kind_is_told(limited: Limited, redis: Redis) -> None:
    with capture_logs() as logs:
        await limited.cache.tokens(("users",))
        (name,) = await redis.keys("*:t:users")
        await redis.delete(name)
        await redis.zadd(name, {"member": 1})
        for _ in range(2):
            with pytest.raises(Unavailable):
                await limited.cache.tokens(("users",))
        await limited.change("-set")
        for _ in range(2):
            limited.cache.store("post/1", b"entry", ttl_s=60)
            with pytest.raises(Unavailable):
                await limited.cache.tokens(("all",))
    assert [(said["event"], said["log_level"], said["kind"]) for said in logs] == [
        ("cache_refused", "warning", "WRONGTYPE"),
        ("cache_refused", "warning", "NOPERM"),
    ]
    assert (await limited.cache.stats())["refused"] == 2 + 2 * 2


async def test_it_makes_do_without_what_is_refused_in_its_greeting(limited: Limited) -> None:
    await limited.change("-info", "-client")
    await limited.cache.close()
    with capture_logs() as logs:
        await limited.cache.open()
        await limited.cache.tokens(TAGS)
    assert [said["event"] for said in logs] == ["cache_connected"]


async def test_whoever_is_refused_to_forget_reads_nothing_until_it_is_done(limited: Limited) -> None:
    old = await limited.cache.tokens(TAGS)
    await limited.change("-set", "-unlink")
    with pytest.raises(Unavailable):
        await limited.cache.forget(TAGS)
    assert is_away_at_once(limited.cache)
    await limited.change("+set", "+unlink")
    look = await once_there(lambda: limited.cache.look("post/1", TAGS))
    assert not set(old) & set(look.tokens)


async def test_a_key_of_another_kind_is_a_cache_that_is_away(cache: RedisCache, redis: Redis) -> None:
    await once_there(lambda: cache.tokens(TAGS))
    (name,) = await redis.keys("*:t:post:1")
    await redis.delete(name)
    await redis.zadd(name, {"member": 1})
    with pytest.raises(Unavailable):
        await cache.tokens(TAGS)
    await cache.forget(TAGS)
    assert None not in await cache.tokens(TAGS)


async def test_a_wrong_password_is_a_cache_that_is_away(redis_url: str) -> None:
    cache = RedisCache(of_user(redis_url, "nobody", "wrong"), host_id="here")
    with capture_logs() as logs:
        await cache.open()
        assert is_away_at_once(cache)
        await cache.close()
    assert [(said["event"], said["reason"].split()[0]) for said in logs] == [("cache_away", "WRONGPASS")]


async def test_everything_that_is_stored_ends_by_itself(cache: RedisCache, redis: Redis) -> None:
    await once_there(lambda: cache.tokens(TAGS))
    await cache.forget({"all", "users"})
    cache.store("post/1", b"entry", ttl_s=60)
    await cache.note_reads({"post/1": 1})
    keys = await redis.keys()
    assert len(keys) == 5
    assert all([await redis.ttl(key) > 0 for key in keys])


async def test_tokens_that_strangers_multiply_live_for_minutes(cache: RedisCache, redis: Redis) -> None:
    tags = ("post:1", "slug:a", "user:1", "posts:tagged:x", "posts:by:1", "all", "posts", "users", "totals")

    async def long_lived() -> set[str]:
        return {tag for tag in tags if await redis.ttl((await redis.keys(f"*:t:{tag}"))[0]) > 600}

    await once_there(lambda: cache.tokens(tags))
    assert await long_lived() == {"all", "posts", "users", "totals"}
    await cache.forget(tags)
    assert await long_lived() == {"all", "posts", "users", "totals"}


async def test_a_tag_whose_token_ended_gets_one_that_no_entry_has(redis_url: str) -> None:
    cache = RedisCache(redis_url, host_id="here", deadline_s=5.0, token_ttl_s=1)
    await cache.open()
    old = await cache.tokens(("post:1",))
    cache.store("post/1", b"entry", ttl_s=600)

    async def ended() -> None:
        while (await cache.look("post/1", ("post:1",))).tokens != (None,):  # noqa: ASYNC110 -- Redis tells nobody
            await asyncio.sleep(0.02)

    await asyncio.wait_for(ended(), PATIENCE_S)
    fresh = await cache.tokens(("post:1",))
    assert fresh != old
    assert await cache.look("post/1", ("post:1",)) == Look(b"entry", fresh)
    await cache.close()


async def test_two_hours_of_reads_are_bounded(cache: RedisCache, redis: Redis) -> None:
    await once_there(lambda: cache.note_reads({"post/most": 2} | {f"post/{number}": 1 for number in range(10_100)}))
    (name,) = await redis.keys("*:reads:*")
    assert await redis.zcard(name) == 10_000
    assert await cache.most_read(1) == ["post/most"]
