"""A small HTTP/1.1 load: keep-alive connections sending one GET after another, and the CPU a server spends on it."""

import asyncio
import statistics
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from math import ceil

import psutil


async def get_many(host: str, port: int, paths: Sequence[str], *, requests: int, connections: int) -> None:
    """`requests` GETs over `paths` in turn. Raises RuntimeError at the first answer that is not a 200."""
    share = requests // connections
    await asyncio.gather(*(_client(host, port, paths, share, offset=n * share) for n in range(connections)))


async def get_at_rate(
    host: str, port: int, paths: Sequence[str], *, per_s: float, requests: int, connections: int
) -> list[float]:
    """GETs over `paths` in turn, each at its moment, whether the others were answered or not; the seconds that each
    took, its wait for a free connection among them. Raises RuntimeError at the first answer that is not a 200."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    numbers = iter(range(requests))
    took: list[float] = []

    async def client() -> None:
        async with _connected(host, port) as get:
            for number in numbers:
                due = began + number / per_s
                if (early := due - loop.time()) > 0:
                    await asyncio.sleep(early)
                    due = loop.time()  # timers are late by a millisecond, which is nobody's wait
                await get(paths[number % len(paths)])
                took.append(loop.time() - due)

    await asyncio.gather(*(client() for _ in range(connections)))
    return took


async def _client(host: str, port: int, paths: Sequence[str], requests: int, *, offset: int) -> None:
    async with _connected(host, port) as get:
        for number in range(requests):
            await get(paths[(offset + number) % len(paths)])


@asynccontextmanager
async def _connected(host: str, port: int) -> AsyncIterator[Callable[[str], Awaitable[None]]]:
    """A GET over one connection."""
    reader, writer = await asyncio.open_connection(host, port)

    async def get(path: str) -> None:
        writer.write(f"GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"{path}: {head.splitlines()[0].decode()}")
        await reader.readexactly(_content_length(head))

    try:
        yield get
    finally:
        writer.close()


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise RuntimeError("an answer without a content-length")


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and all below it, so far."""
    top = psutil.Process(pid)
    spent = 0.0
    for process in (top, *top.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):  # it ended just now
            times = process.cpu_times()
            spent += times.user + times.system
    return spent


def quantile(values: Sequence[float], share: float) -> float:
    """The least that `share` of the values do not exceed."""
    return sorted(values)[max(ceil(share * len(values)) - 1, 0)]


@dataclass(frozen=True, slots=True)
class Spread:
    """Of one figure over all rounds."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(statistics.median(values), min(values), max(values))

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.least:.2f} to {self.most:.2f})"
