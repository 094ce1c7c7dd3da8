"""The arq tasks, and the arq worker that runs them for as long as Redis is there."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from socket import gethostname
from typing import Any

import structlog
from arq.connections import ArqRedis
from arq.worker import Worker, func
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

Wake = Callable[[str, str], Awaitable[None]]

# An idle worker asks this often: 25 ms of latency on the average, and half a percent of a core.
_POLL_S = 0.05
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0
# How often the sign of life is renewed; it outlives the worker by a second more.
_SIGN_OF_LIFE_S = 10


async def wake(ctx: Mapping[str, Any], topic: str, key: str) -> None:
    """Whoever runs jobs of `topic` may look at `key`. It lasts no longer than that: jobs do not live in arq's tasks."""
    wakes: Mapping[str, Wake] = ctx["wakes"]
    if topic in wakes:
        await wakes[topic](topic, key)
    else:
        log.warning("wake_of_unknown_topic", topic=topic)


async def listen(connect: Callable[[], ArqRedis], wakes: Mapping[str, Wake], *, task: str, stop: asyncio.Event) -> None:
    """Until `stop` is set. An arq worker dies with its connection, so another takes its place when Redis is back.

    A key in Redis, `byline:worker:` and the name of this host, stands for as long as wake-ups are heard here.
    """
    stopping = asyncio.create_task(stop.wait())
    pause = 0.0
    try:
        while not stop.is_set():
            redis = connect()
            answered = asyncio.Event()
            working = asyncio.create_task(_work(redis, wakes, task, answered))
            try:
                await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
            finally:
                await _end(working)
                with suppress(RedisError, OSError):
                    await redis.aclose()
            if answered.is_set():
                pause = 0.0
            if not working.cancelled() and isinstance(error := working.exception(), RedisError | OSError):
                pause = min(max(2 * pause, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
                log.warning("redis_is_away", reason=str(error), next_try_in_s=pause)
                await asyncio.wait([stopping], timeout=pause)
            elif not working.cancelled():
                working.result()
    finally:
        stopping.cancel()


async def _work(redis: ArqRedis, wakes: Mapping[str, Wake], task: str, answered: asyncio.Event) -> None:
    await redis.ping()
    answered.set()
    log.info("redis_is_there")
    worker = Worker(
        functions=[func(wake, name=task)],
        redis_pool=redis,
        queue_name=None,
        ctx={"wakes": wakes},
        handle_signals=False,
        poll_delay=_POLL_S,
        max_jobs=100,
        job_timeout=30,
        health_check_interval=_SIGN_OF_LIFE_S,
        health_check_key=f"byline:worker:{gethostname()}",
        keep_result=0,
        job_serializer=redis.job_serializer,
        job_deserializer=redis.job_deserializer,
    )
    try:
        await worker.async_run()
    finally:
        for running in worker.tasks.values():
            running.cancel()
        await asyncio.gather(*worker.tasks.values(), return_exceptions=True)


async def _end(task: asyncio.Task[None]) -> None:
    """redis-py now and then swallows a cancellation (its timeouts of 0 s take it for their own), and arq polls on."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.1)
