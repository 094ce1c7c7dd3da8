import asyncio
import gc
from collections.abc import AsyncIterator

import pytest
from pydantic_core import Url

from domain.errors import Unavailable
from infrastructure.queue.arq import QUEUE, TASK, ArqQueue, connect, from_json, to_json
from tests.workers.wire import wire_to

TIMEOUT_S = 1.0
BOUND_S = 10.0


async def opened(url: str | None) -> ArqQueue:
    queue = ArqQueue(None if url is None else Url(url), timeout_s=TIMEOUT_S)
    await queue.open()
    return queue


async def test_a_wake_is_a_job_of_arq_and_each_try_another(redis_url: str) -> None:
    queue = await opened(redis_url)
    for _ in range(2):
        await queue.wake("a.topic", "a key")
    await queue.close()

    redis = connect(Url(redis_url))
    jobs = await redis.queued_jobs(queue_name=QUEUE)
    await redis.aclose()
    assert [(job.function, list(job.args)) for job in jobs] == [(TASK, ["a.topic", "a key"])] * 2


async def test_it_answers_pings(redis_url: str) -> None:
    queue = await opened(redis_url)
    await queue.ping()
    await queue.close()


async def test_without_a_url_it_says_what_to_set() -> None:
    queue = await opened(None)
    with pytest.raises(Unavailable, match="BYLINE_REDIS_URL"):
        await queue.ping()
    await queue.close()


async def test_it_is_there_again_when_redis_is(redis_url: str) -> None:
    async with wire_to(redis_url) as wire:
        queue = await opened(wire.url)
        await queue.ping()
        await wire.cut()
        for _ in range(2):
            with pytest.raises(Unavailable, match="Redis"):
                await queue.wake("a.topic", "a key")
        await wire.mend()
        await queue.wake("a.topic", "a key")
        await queue.close()


async def test_a_redis_that_does_not_answer_is_not_waited_for() -> None:
    stalled = asyncio.Event()

    async def stall(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await stalled.wait()
        writer.close()

    server = await asyncio.start_server(stall, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    queue = ArqQueue(Url(f"redis://127.0.0.1:{port}/0"), timeout_s=0.05)
    await queue.open()
    async with asyncio.timeout(10):
        with pytest.raises(Unavailable):
            await queue.ping()
    await queue.close()
    stalled.set()
    server.close()
    await server.wait_closed()


async def test_what_is_closed_is_away(redis_url: str) -> None:
    queue = await opened(redis_url)
    await queue.close()
    await queue.close()
    with pytest.raises(Unavailable):
        await queue.ping()


async def wakes_under_way(url: str) -> AsyncIterator[tuple[int, ArqQueue, asyncio.Task[None]]]:
    """Each as many turns of the loop after it began, which is told too."""
    for turns in range(40):
        queue = await opened(url)
        waking = asyncio.create_task(queue.wake("a.topic", "a key"))
        for _ in range(turns):
            await asyncio.sleep(0)
        yield turns, queue, waking


async def test_who_is_cancelled_while_waking_is_cancelled(redis_url: str) -> None:
    async for _, queue, waking in wakes_under_way(redis_url):
        at_work = waking.cancel()
        await asyncio.wait([waking], timeout=BOUND_S)
        assert waking.cancelled() is at_work
        await queue.close()


async def test_closing_in_the_middle_of_a_wake_leaves_no_connection(redis_url: str) -> None:
    async for turns, queue, waking in wakes_under_way(redis_url):
        await queue.close()
        await asyncio.wait([waking], timeout=BOUND_S)
        assert turns == 0 or waking.exception() is None
    gc.collect()  # an unclosed connection would warn here


def test_the_result_of_a_job_may_be_an_exception() -> None:
    assert from_json(to_json({"r": ValueError("no")})) == {"r": "ValueError('no')"}
