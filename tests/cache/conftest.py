"""Caches in Redis: one through a pipe that can be broken, and one that is never in trouble."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from domain.errors import Unavailable
from infrastructure.cache import doubt
from infrastructure.cache.redis import RedisCache
from tests.cache.pipes import Pipe, piped

TAGS = ("post:1", "all")
DEADLINE_S = 0.25


@pytest.fixture(autouse=True)
def _doubts_pass_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doubt, "DOUBT_S", 1.5)


@pytest.fixture
async def pipe(redis_url: str) -> AsyncIterator[Pipe]:
    async with piped(redis_url) as pipe:
        yield pipe


@pytest.fixture
async def cache(pipe: Pipe) -> AsyncIterator[RedisCache]:
    """Through the pipe."""
    cache = RedisCache(pipe.url, host_id="here", deadline_s=DEADLINE_S)
    await cache.open()
    yield cache
    await cache.close()


@pytest.fixture
async def another(redis_url: str) -> AsyncIterator[RedisCache]:
    """Of a process whose connection is never in trouble."""
    another = RedisCache(redis_url, host_id="there", deadline_s=5.0)
    await another.open()
    yield another
    await another.close()


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as redis:
        yield redis


def is_away_at_once(cache: RedisCache) -> bool:
    """Whether it raises before it waits for anything."""
    call = cache.look("post/1", TAGS)
    try:
        call.send(None).cancel()
    except Unavailable:
        return True
    finally:
        call.close()
    return False
