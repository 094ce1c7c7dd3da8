"""A small HTTP/1.1 load: keep-alive connections sending one GET after another, and the CPU a server spends on it."""

import asyncio
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import psutil


async def get_many(host: str, port: int, paths: Sequence[str], *, requests: int, connections: int) -> None:
    """`requests` GETs over `paths` in turn. Raises RuntimeError at the first answer that is not a 200."""
    share = requests // connections
    await asyncio.gather(*(_client(host, port, paths, share, offset=n * share) for n in range(connections)))


async def _client(host: str, port: int, paths: Sequence[str], requests: int, *, offset: int) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        for number in range(requests):
            path = paths[(offset + number) % len(paths)]
            writer.write(f"GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"{path}: {head.splitlines()[0].decode()}")
            await reader.readexactly(_content_length(head))
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
        times = process.cpu_times()
        spent += times.user + times.system
    return spent


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
