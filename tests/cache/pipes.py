"""A pipe to Redis that tests freeze, cut and mend."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

from domain.errors import Unavailable

Answer = TypeVar("Answer")

HOST = "127.0.0.1"
PATIENCE_S = 20.0


class Pipe:
    """What is written to it goes to Redis, and back through `rewrite`."""

    def __init__(self, redis_url: str) -> None:
        self._parts = urlsplit(redis_url)
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._port = 0
        self.accepted = 0
        self.rewrite: Callable[[bytes], bytes] = lambda replies: replies

    @property
    def url(self) -> str:
        credentials, at, _ = self._parts.netloc.rpartition("@")
        return urlunsplit(self._parts._replace(netloc=f"{credentials}{at}{HOST}:{self._port}"))

    async def open(self) -> None:
        """Also after `cut`, at the same port."""
        self._server = await asyncio.start_server(self._serve, HOST, self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    def freeze(self) -> None:
        """Everybody may connect and write, and nothing comes back and nothing fails."""
        self._flowing.clear()

    def thaw(self) -> None:
        self._flowing.set()

    def cut_connections(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def cut(self) -> None:
        """Connections end and no more are accepted."""
        assert self._server is not None
        self._server.close()
        self.cut_connections()
        await self._server.wait_closed()

    async def close(self) -> None:
        await self.cut()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        redis_reader, redis_writer = await asyncio.open_connection(self._parts.hostname, self._parts.port or 6379)
        self._writers |= {writer, redis_writer}
        for task in (
            asyncio.create_task(self._pump(reader, redis_writer, lambda sent: sent)),
            asyncio.create_task(self._pump(redis_reader, writer, lambda replies: self.rewrite(replies))),
        ):
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, through: Callable[[bytes], bytes]
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self._flowing.wait()
                writer.write(through(data))
                await writer.drain()
        writer.close()
        self._writers.discard(writer)


@contextlib.asynccontextmanager
async def piped(redis_url: str) -> AsyncIterator[Pipe]:
    pipe = Pipe(redis_url)
    await pipe.open()
    try:
        yield pipe
    finally:
        await pipe.close()


def of_user(redis_url: str, user: str, password: str) -> str:
    parts = urlsplit(redis_url)
    address = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{user}:{password}@{address}"))


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not true():  # noqa: ASYNC110 -- what is waited for has no event
            await asyncio.sleep(0.002)


async def once_there(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """The first answer that is not Unavailable."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return await ask()
            except Unavailable:
                await asyncio.sleep(0.002)
