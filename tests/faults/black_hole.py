"""A way to Redis on which the connections of those who listen can be made to go on for ever without a word."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

HOST = "127.0.0.1"


class BlackHole:
    """`url` is that of Redis, by way of it."""

    def __init__(self, redis_url: str) -> None:
        self._redis = urlsplit(redis_url)
        self._is_open = False
        self._port = 0
        self._pumps: set[asyncio.Task[None]] = set()
        self.swallowed = 0
        """Pieces of what went either way."""

    @property
    def url(self) -> str:
        credentials, at, _ = self._redis.netloc.rpartition("@")
        return urlunsplit(self._redis._replace(netloc=f"{credentials}{at}{HOST}:{self._port}"))

    def open(self) -> None:
        """From now on nothing that is said on a connection that subscribes, or has subscribed, comes through."""
        self._is_open = True

    def close(self) -> None:
        self._is_open = False

    async def serve(self) -> asyncio.Server:
        server = await asyncio.start_server(self._connected, HOST, 0)
        self._port = server.sockets[0].getsockname()[1]
        return server

    async def end(self) -> None:
        for pump in self._pumps:
            pump.cancel()
        if self._pumps:
            await asyncio.wait(self._pumps)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        redis_reader, redis_writer = await asyncio.open_connection(self._redis.hostname, self._redis.port)
        listens = asyncio.Event()
        for pump in (
            asyncio.create_task(self._pump(reader, redis_writer, listens)),
            asyncio.create_task(self._pump(redis_reader, writer, listens)),
        ):
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listens: asyncio.Event) -> None:
        try:
            with suppress(OSError):
                while piece := await reader.read(65536):
                    if b"SUBSCRIBE" in piece:
                        listens.set()
                    if self._is_open and listens.is_set():
                        self.swallowed += 1
                    else:
                        writer.write(piece)
                        await writer.drain()
        finally:
            writer.transport.abort()


@asynccontextmanager
async def black_hole(redis_url: str) -> AsyncIterator[BlackHole]:
    """Closed at first."""
    hole = BlackHole(redis_url)
    server = await hole.serve()
    try:
        yield hole
    finally:
        server.close()
        await hole.end()
        await server.wait_closed()
