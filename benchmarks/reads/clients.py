"""The load: keep-alive clients, each of which sends its next GET when it has the answer. wrk where it is installed;
clients of our own, which are two thirds as fast, where it is not."""

import asyncio
import json
import math
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import Final, cast

import uvloop

from benchmarks.load import quantile

CLIENTS: Final = 64
HOST: Final = "127.0.0.1"

_SCRIPT: Final = Path(__file__).with_name("clients.lua")
_PATIENCE_S: Final = 30


class NoAnswer(RuntimeError):
    """Something else than what was asked for came, or nothing."""


@dataclass(slots=True)
class Gets:
    """GETs over `paths` in turn, going on where the last ones ended. `at` is how many were sent so far."""

    paths: Sequence[str]
    headers: Mapping[str, str] = field(default_factory=dict)
    at: int = 0

    def next(self, count: int) -> Sequence[str]:
        taken = [self.paths[(self.at + number) % len(self.paths)] for number in range(count)]
        self.at += count
        return taken


@dataclass(frozen=True, slots=True)
class Answers:
    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float


def has_wrk() -> bool:
    return shutil.which("wrk") is not None


def drive(port: int, gets: Gets, seconds: int, folder: Path) -> Answers:
    """From this process's cores. Raises NoAnswer where anything but a 200 or a 304 came; there may be none at all."""
    answers = _by_wrk(port, gets, seconds, folder) if has_wrk() else uvloop.run(_by_ours(port, gets, seconds))
    gets.at += answers.requests + CLIENTS
    return answers


def _by_wrk(port: int, gets: Gets, seconds: int, folder: Path) -> Answers:
    url = f"http://{HOST}:{port}{gets.paths[0]}"
    headers = [part for name, value in gets.headers.items() for part in ("-H", f"{name}: {value}")]
    times = (f"-d{seconds}s", "--timeout", f"{_PATIENCE_S}s")
    command = ["wrk", "-t1", f"-c{CLIENTS}", *times, *headers, "-s", str(_SCRIPT), url, "--"]
    if len(gets.paths) > 1:
        file = folder / f"paths-{id(gets.paths)}"
        if not file.exists():
            file.write_text("\n".join(gets.paths))
        command += [str(file), str(gets.at)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 2 * _PATIENCE_S, check=True)
    told = json.loads(done.stdout.splitlines()[-1])
    if told.pop("errors"):
        raise NoAnswer(f"{url}: {done.stdout}")
    return Answers(**told)


async def _by_ours(port: int, gets: Gets, seconds: int) -> Answers:
    loop = asyncio.get_running_loop()
    head = "".join(f"{name}: {value}\r\n" for name, value in gets.headers.items())
    requests = [f"GET {path} HTTP/1.1\r\nhost: {HOST}:{port}\r\n{head}\r\n".encode() for path in gets.paths]
    begun_at = time.perf_counter()
    load = _Load(islice(cycle(requests), gets.at % len(requests), None), begun_at + seconds)
    made = [await loop.create_connection(lambda: _Client(load), HOST, port) for _ in range(CLIENTS)]
    async with asyncio.timeout(seconds + 2 * _PATIENCE_S):
        await asyncio.gather(*(client.ended for _, client in made))
    took = load.took or [math.inf]
    return Answers(
        len(load.took), time.perf_counter() - begun_at, quantile(took, 0.5) * 1e3, quantile(took, 0.99) * 1e3
    )


@dataclass(slots=True)
class _Load:
    """What all clients share."""

    requests: Iterator[bytes]
    ends_at: float
    took: list[float] = field(default_factory=list)


class _Client(asyncio.Protocol):
    """Knows of an answer its status and its content-length, and nothing else."""

    def __init__(self, load: _Load) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._load = load
        self._received = b""
        self._missing = 0
        self._is_over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        if self._missing:
            self._missing -= len(data)
        else:
            self._received += data
            end = self._received.find(b"\r\n\r\n")
            if end < 0:
                return
            self._missing = _whole_length(self._received, end) - len(self._received)
        if self._missing == 0:
            now = time.perf_counter()
            self._load.took.append(now - self._sent_at)
            if now < self._load.ends_at:
                self._send()
            else:
                self._is_over = True
                self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if self._is_over:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(error or NoAnswer(f"The connection ended early: {self._received[:200]!r}"))

    def _send(self) -> None:
        self._received = b""
        self._sent_at = time.perf_counter()
        self._transport.write(next(self._load.requests))


def _whole_length(received: bytes, end: int) -> int:
    """Of an answer whose head ends there. Raises NoAnswer."""
    status = received[9:12]
    if status == b"304":
        return end + 4
    at = received.find(b"content-length: ", 0, end)
    if at < 0:
        at = received.find(b"Content-Length: ", 0, end)
    if status != b"200" or at < 0:
        raise NoAnswer(repr(received[:200]))
    return end + 4 + int(received[at + 16 : received.find(b"\r", at)])
