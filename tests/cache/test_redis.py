"""The cache in Redis when Redis goes away, comes back, or is another one than before."""

import asyncio
import re
import time
from itertools import pairwise

import pytest
from redis.asyncio import Redis

from application.caching.tags import ALL
from application.ports.cache import Look
from domain.errors import Unavailable
from infrastructure.cache.doubt import DOUBT_S, Doubt
from infrastructure.cache.link import MISSED_AT_MOST
from infrastructure.cache.redis import RedisCache
from tests.cache.conftest import DEADLINE_S, TAGS, is_away_at_once
from tests.cache.pipes import PATIENCE_S, Pipe, once_there, until


async def break_down(pipe: Pipe, how: str) -> None:
    if how == "frozen":
        pipe.freeze()
    else:
        await pipe.cut()


async def mend(pipe: Pipe, how: str) -> None:
    if how == "frozen":
        pipe.thaw()
    else:
        await pipe.open()


async def test_it_connects_again_when_its_connection_is_killed(cache: RedisCache, redis: Redis) -> None:
    tokens = await once_there(lambda: cache.tokens(TAGS))
    for client in await redis.client_list():
        if client["name"] == "byline-cache":
            await redis.client_kill_filter(_id=client["id"])
    assert (await once_there(lambda: cache.look("post/1", TAGS))).tokens == tokens


@pytest.mark.parametrize("how", ["frozen", "cut"])
async def test_everything_raises_at_once_while_redis_is_away_and_works_when_it_is_back(
    cache: RedisCache, pipe: Pipe, how: str
) -> None:
    await once_there(lambda: cache.tokens(TAGS))
    await break_down(pipe, how)
    answers = await asyncio.gather(*(cache.look("post/1", TAGS) for _ in range(5)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {Unavailable}
    assert is_away_at_once(cache)
    for call in (cache.tokens(TAGS), cache.forget(TAGS), cache.note_reads({"post/1": 1}), cache.most_read(1)):
        with pytest.raises(Unavailable):
            await call
    cache.store("post/1", b"entry", ttl_s=60)
    assert (await cache.stats())["connected"] == 0
    await mend(pipe, how)
    assert (await once_there(lambda: cache.look("post/1", TAGS))).entry is None
    assert (await cache.stats())["connected"] == 1


async def test_it_opens_without_a_server_and_finds_it_later(pipe: Pipe) -> None:
    await pipe.cut()
    cache = RedisCache(pipe.url, host_id="here")
    await cache.open()
    assert is_away_at_once(cache)
    await pipe.open()
    await once_there(lambda: cache.tokens(TAGS))
    await cache.close()
    assert is_away_at_once(cache)


@pytest.mark.parametrize("how", ["frozen", "cut"])
async def test_what_could_not_be_forgotten_is_before_anything_else_is_read(
    cache: RedisCache, another: RedisCache, pipe: Pipe, how: str
) -> None:
    old = await once_there(lambda: cache.tokens(TAGS))
    await break_down(pipe, how)
    with pytest.raises(Unavailable):
        await cache.forget({"post:1"})
    assert is_away_at_once(cache)
    with pytest.raises(Unavailable):
        await cache.forget({"post:2"})
    # The commands that froze on their way come to nothing, so that only the new connection can have done it.
    pipe.cut_connections()
    assert (await another.look("post/1", TAGS)).tokens == old
    await mend(pipe, how)
    look = await once_there(lambda: cache.look("post/1", (*TAGS, "post:2")))
    assert look.tokens[0] != old[0]
    assert look.tokens[1] == old[1]
    assert look.tokens[2] is not None


async def test_whoever_was_only_cut_off_has_forgotten_when_it_says_so(
    cache: RedisCache, another: RedisCache, pipe: Pipe
) -> None:
    old = await once_there(lambda: cache.tokens(TAGS))
    pipe.cut_connections()
    await cache.forget({"post:1"})
    tokens = (await another.look("post/1", TAGS)).tokens
    assert tokens[0] != old[0]
    assert tokens[1] == old[1]


async def test_whoever_has_something_to_forget_finds_a_server_that_is_back_at_once(
    pipe: Pipe, another: RedisCache
) -> None:
    await pipe.cut()
    cache = RedisCache(pipe.url, host_id="here")
    await cache.open()
    old = await another.tokens(TAGS)
    await pipe.open()
    await cache.forget({"post:1"})
    assert (await another.look("post/1", TAGS)).tokens[0] != old[0]
    await cache.close()


async def test_while_redis_hangs_only_the_first_wait_to_forget_and_not_as_long_as_for_a_connection(pipe: Pipe) -> None:
    cache = RedisCache(pipe.url, host_id="here", deadline_s=DEADLINE_S, connect_s=3600.0)
    await cache.open()
    await once_there(lambda: cache.tokens(TAGS))
    pipe.freeze()
    async with asyncio.timeout(PATIENCE_S):
        for answer in await asyncio.gather(*(cache.forget({"post:1"}) for _ in range(3)), return_exceptions=True):
            assert isinstance(answer, Unavailable)
    forgetting = asyncio.create_task(cache.forget({"post:2"}))
    for _ in range(10):
        await asyncio.sleep(0)
    assert forgetting.done()
    assert isinstance(forgetting.exception(), Unavailable)
    assert pipe.accepted == 2
    pipe.thaw()
    await once_there(lambda: cache.look("post/1", TAGS))
    pipe.cut_connections()
    await cache.forget({"post:1"})
    await cache.close()


async def test_what_one_process_of_a_host_could_not_forget_no_other_reads(pipe: Pipe, redis_url: str) -> None:
    shared = Doubt()
    cut_off = RedisCache(pipe.url, host_id="here", deadline_s=DEADLINE_S, connect_s=DEADLINE_S, doubt=shared)
    other = RedisCache(redis_url, host_id="here", deadline_s=5.0, doubt=shared)
    await cut_off.open()
    await other.open()
    old = await other.tokens(TAGS)
    other.store("post/1", b"".join(old), ttl_s=60)
    assert (await other.look("post/1", TAGS)).tokens == old

    pipe.freeze()
    with pytest.raises(Unavailable):
        await cut_off.forget(TAGS)
    assert is_away_at_once(other)
    assert (await other.stats())["in_doubt"] == 1

    pipe.thaw()
    fresh = (await once_there(lambda: other.look("post/1", TAGS))).tokens
    assert not set(old) & set(fresh)
    await cut_off.close()
    await other.close()


async def test_doubt_lasts_for_as_long_as_something_is_missed(
    cache: RedisCache, pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    await once_there(lambda: cache.tokens(TAGS))
    await pipe.cut()
    with pytest.raises(Unavailable):
        await cache.forget(TAGS)
    arisen: list[float] = []
    monkeypatch.setattr(Doubt, "arise", lambda _: arisen.append(time.monotonic()))
    await until(lambda: len(arisen) >= 3)
    assert all(later - earlier < DOUBT_S / 2 for earlier, later in pairwise(arisen))
    await pipe.open()
    await until(lambda: cache._link.wire is not None)
    assert not cache._link.missed


async def test_whoever_ends_with_something_missed_leaves_its_host_in_doubt(pipe: Pipe) -> None:
    shared = Doubt()
    cache = RedisCache(pipe.url, host_id="here", deadline_s=DEADLINE_S, connect_s=DEADLINE_S, doubt=shared)
    await cache.open()
    await pipe.cut()
    with pytest.raises(Unavailable):
        await cache.forget(TAGS)
    shared._until[0] = 0.0  # it has passed meanwhile
    await cache.close()
    assert shared


async def test_a_connection_may_take_longer_than_a_command(pipe: Pipe) -> None:
    cache = RedisCache(pipe.url, host_id="here", deadline_s=0.02, connect_s=PATIENCE_S)
    pipe.freeze()
    opening = asyncio.create_task(cache.open())
    await until(lambda: pipe.accepted == 1)
    await asyncio.sleep(0.1)
    pipe.thaw()
    await opening
    assert not is_away_at_once(cache)
    pipe.freeze()
    async with asyncio.timeout(PATIENCE_S / 2):
        with pytest.raises(Unavailable):
            await cache.look("post/1", TAGS)
    await cache.close()


async def test_whoever_gives_up_forgetting_leaves_it_to_be_done(
    cache: RedisCache, another: RedisCache, pipe: Pipe
) -> None:
    old = await once_there(lambda: cache.tokens(TAGS))
    pipe.freeze()
    forgetting = asyncio.create_task(cache.forget(TAGS))
    await asyncio.sleep(0)
    forgetting.cancel()
    await until(lambda: is_away_at_once(cache))
    pipe.cut_connections()
    pipe.thaw()
    look = await once_there(lambda: cache.look("post/1", TAGS))
    assert not set(old) & set(look.tokens)


async def test_whoever_gives_up_forgetting_disturbs_nobody(another: RedisCache) -> None:
    old = await another.tokens(TAGS)
    forgetting = asyncio.create_task(another.forget(TAGS))
    looking = asyncio.create_task(another.look("post/1", TAGS))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    forgetting.cancel()
    await looking
    assert not set(old) & set((await another.look("post/1", TAGS)).tokens)


async def test_more_than_can_be_remembered_is_forgotten_as_all(cache: RedisCache, pipe: Pipe) -> None:
    old = await once_there(lambda: cache.tokens(TAGS))
    await pipe.cut()
    with pytest.raises(Unavailable):
        await cache.forget([f"post:{number}" for number in range(MISSED_AT_MOST + 1)])
    await pipe.open()
    look = await once_there(lambda: cache.look("post/1", TAGS))
    assert look.tokens[0] == old[0]
    assert look.tokens[1] != old[1]
    assert (await cache.stats())["missed"] == 0


def another_run_id(replies: bytes) -> bytes:
    return re.sub(rb"run_id:[0-9a-f]{8}", b"run_id:00000000", replies)


async def test_nothing_is_read_of_another_life_of_the_server(cache: RedisCache, pipe: Pipe) -> None:
    old = await once_there(lambda: cache.tokens(TAGS))
    cache.store("post/1", b"entry", ttl_s=60)
    assert await cache.look("post/1", TAGS) == Look(b"entry", old)
    pipe.rewrite = another_run_id
    pipe.cut_connections()
    await until(lambda: is_away_at_once(cache))
    look = await once_there(lambda: cache.look("post/1", TAGS))
    assert look.entry is None
    assert not set(old) & set(look.tokens)


async def test_a_server_that_comes_back_after_another_has_forgotten_everything(cache: RedisCache, pipe: Pipe) -> None:
    old = await once_there(lambda: cache.tokens((ALL,)))
    for rewrite in (another_run_id, lambda replies: replies):
        pipe.rewrite = rewrite
        pipe.cut_connections()
        await until(lambda: is_away_at_once(cache))
        look = await once_there(lambda: cache.look("post/1", (ALL,)))
        assert look.tokens not in ((None,), old)


@pytest.mark.parametrize(
    ("said", "instead"),
    [(b"\nrole:master", b"\nrole:slave "), (b"\nloading:0", b"\nloading:1")],
    ids=["replica", "loading"],
)
async def test_a_replica_and_a_server_that_is_loading_are_no_cache(
    cache: RedisCache, pipe: Pipe, said: bytes, instead: bytes
) -> None:
    await once_there(lambda: cache.tokens(TAGS))
    pipe.rewrite = lambda replies: replies.replace(said, instead)
    accepted = pipe.accepted
    pipe.cut_connections()
    await until(lambda: pipe.accepted >= accepted + 3)
    assert is_away_at_once(cache)
    pipe.rewrite = lambda replies: replies
    await once_there(lambda: cache.tokens(TAGS))


async def test_a_process_that_stood_still_longer_than_the_deadline_reads_what_came_meanwhile(
    cache: RedisCache, pipe: Pipe
) -> None:
    await once_there(lambda: cache.tokens(TAGS))
    looking = asyncio.create_task(cache.look("post/1", TAGS))
    loop = asyncio.get_running_loop()
    await asyncio.sleep(0)
    loop.call_soon(lambda: loop.call_soon(time.sleep, 1.2 * DEADLINE_S))
    assert None not in (await looking).tokens
