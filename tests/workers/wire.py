"""A wire to a server that can be cut and mended."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit, urlunsplit


class Wire:
    """A TCP proxy. `url` is the server's, by way of it."""

    def __init__(self, server_url: str) -> None:
        self._server = urlsplit(server_url)
        self._listening: asyncio.Server | None = None
        self._port = 0
        self._ends: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        credentials, at, _ = self._server.netloc.rpartition("@")
        return urlunsplit(self._server._replace(netloc=f"{credentials}{at}127.0.0.1:{self._port}"))

    async def mend(self) -> None:
        self._listening = await asyncio.start_server(self._connect, "127.0.0.1", self._port)
        self._port = self._listening.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Nobody gets through, and who was through is cut off."""
        if self._listening is not None:
            self._listening.close()
            await self._listening.wait_closed()
            self._listening = None
        for end in list(self._ends):
            end.transport.abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(self._server.hostname, self._server.port)
        async with asyncio.TaskGroup() as both:
            both.create_task(self._carry(reader, back))
            both.create_task(self._carry(there, writer))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._ends.add(writer)
        try:
            with suppress(OSError):
                while piece := await reader.read(65536):
                    writer.write(piece)
                    await writer.drain()
        finally:
            self._ends.discard(writer)
            writer.close()


@asynccontextmanager
async def wire_to(server_url: str) -> AsyncIterator[Wire]:
    wire = Wire(server_url)
    await wire.mend()
    try:
        yield wire
    finally:
        await wire.cut()
