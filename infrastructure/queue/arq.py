"""Wake-ups over arq, which keeps them in Redis."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Mapping
from typing import Any
from uuid import uuid4

from arq.connections import ArqRedis
from pydantic_core import Url
from redis.exceptions import RedisError

from domain.errors import Unavailable

QUEUE = "byline:wakes"
TASK = "wake"


def to_json(job: Mapping[str, Any]) -> bytes:
    """Of a job, and of its result, which may be an exception."""
    return json.dumps(job, default=repr).encode()


def from_json(job: bytes) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(job)
    return parsed


def connect(url: Url, **options: Any) -> ArqRedis:
    """Lazy: nothing is sent before the first command. `options` are those of redis-py's connections."""
    redis: ArqRedis = ArqRedis.from_url(str(url), **options)
    redis.default_queue_name = QUEUE
    redis.job_serializer = to_json
    redis.job_deserializer = from_json
    return redis


class ArqQueue:
    """Connects when it is first asked, and again whenever Redis is back. Nothing takes longer than `timeout_s`.

    Whoever is cancelled leaves the command alone: of such cancellations redis-py 5.3 swallowed one in five.
    """

    def __init__(self, redis_url: Url | None, *, timeout_s: float) -> None:
        self._url = redis_url
        self._timeout_s = timeout_s
        self._redis: ArqRedis | None = None
        self._commands: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        if self._url is not None and self._redis is None:
            self._redis = connect(
                self._url, socket_timeout=self._timeout_s, socket_connect_timeout=self._timeout_s, max_connections=50
            )

    async def close(self) -> None:
        redis, self._redis = self._redis, None
        if self._commands:
            await asyncio.wait(self._commands, timeout=self._timeout_s)
        if redis is not None:
            with contextlib.suppress(RedisError, OSError):
                await redis.aclose()

    async def ping(self) -> None:
        """Raises Unavailable."""
        redis = self._opened()
        await self._answer(redis.ping())

    async def wake(self, topic: str, key: str) -> None:
        redis = self._opened()
        await self._answer(redis.enqueue_job(TASK, topic, key, _job_id=f"{topic}:{key}:{uuid4().hex}"))

    def _opened(self) -> ArqRedis:
        if self._redis is None:
            raise Unavailable("Redis (no BYLINE_REDIS_URL is set)" if self._url is None else "Redis (closed)")
        return self._redis

    async def _answer(self, command: Awaitable[object]) -> None:
        running = asyncio.create_task(self._in_time(command))
        self._commands.add(running)
        running.add_done_callback(self._commands.discard)
        try:
            await asyncio.shield(running)
        except (RedisError, OSError, TimeoutError) as error:
            raise Unavailable("Redis") from error

    async def _in_time(self, command: Awaitable[object]) -> None:
        async with asyncio.timeout(self._timeout_s):
            await command
