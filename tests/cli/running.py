"""`byline` as people run it: real processes, which no test outlives."""

import asyncio
import os
import re
import socket
import sysconfig
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from signal import Signals

import httpx
import psutil

from tests.embedded.trees import ended, is_alive

BYLINE = Path(sysconfig.get_path("scripts"), "byline")
BOUND_S = 90.0


async def eventually(true: Callable[[], bool | Awaitable[bool]], what: str) -> None:
    """Wait until `true()`, looked at every few milliseconds; fail after 90 s, for a whole start on a busy machine."""
    deadline = time.monotonic() + BOUND_S
    while True:
        answer = true()
        if answer if isinstance(answer, bool) else await answer:
            return
        if time.monotonic() > deadline:
            raise AssertionError(f"Not within {BOUND_S:g} s: {what}")
        await asyncio.sleep(0.02)


async def all_gone(processes: Iterable[psutil.Process]) -> None:
    watched = list(processes)
    await eventually(lambda: not any(map(is_alive, watched)), f"{watched} are gone")


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """Of a person who has set nothing but these, the data folder and, beside it, what would outlive it in memory."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("BYLINE_")}
    data = settings.get("BYLINE_DATA_DIR", str(folder / "data"))
    own = {"BYLINE_DATA_DIR": data, "BYLINE_HOST_TOKENS": f"{data}.tokens", "COLUMNS": "200"}
    return inherited | own | settings


@dataclass(frozen=True, slots=True)
class Outcome:
    status: int
    stdout: str
    stderr: str


async def byline(folder: Path, *arguments: str, **settings: str) -> Outcome:
    """Run a command to its end."""
    process = await asyncio.create_subprocess_exec(
        str(BYLINE),
        *arguments,
        cwd=folder,
        env=environment(folder, **settings),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with ended(process), asyncio.timeout(BOUND_S):
        stdout, stderr = await process.communicate()
        return Outcome(await process.wait(), stdout.decode(), stderr.decode())


@dataclass(frozen=True, slots=True)
class Running:
    """A command that goes on, with what it has written to stdout and stderr."""

    process: asyncio.subprocess.Process
    output: Path

    @property
    def said(self) -> str:
        return self.output.read_text()

    @property
    def top(self) -> psutil.Process:
        return psutil.Process(self.process.pid)

    def everyone(self) -> list[psutil.Process]:
        return [self.top, *self.top.children(recursive=True)]

    def serving(self) -> psutil.Process:
        """The main process of the API under `byline up`."""
        return next(child for child in self.top.children() if child.cmdline()[-1:] == ["serve"])

    async def says(self, words: str) -> None:
        await eventually(lambda: words in self.said or self.process.returncode is not None, f"it says {words}")
        assert words in self.said, self.said

    async def ready(self) -> str:
        """The URL of the API, once `byline up` has said all it has to say."""
        await self.says("/posts -H")
        found = re.search(r"API +(http://\S+)/v1", self.said)
        assert found, self.said
        return found[1]

    async def end(self, number: Signals) -> int:
        self.process.send_signal(number)
        return await self.status()

    async def status(self) -> int:
        async with asyncio.timeout(BOUND_S):
            return await self.process.wait()


@asynccontextmanager
async def running(folder: Path, *argv: str, **settings: str) -> AsyncIterator[Running]:
    """`byline` with these arguments, or another program where the first one is a path."""
    output = folder / "output"
    argv = argv if argv[0].startswith("/") else (str(BYLINE), *argv)
    with output.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            *argv,
            cwd=folder,
            env=environment(folder, **settings),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )
    async with ended(process):
        yield Running(process, output)


async def answers(url: str) -> bool:
    """Whether the API at `url` is ready."""
    try:
        async with httpx.AsyncClient(trust_env=False) as client:
            return (await client.get(f"{url}/health/ready")).status_code == 200
    except httpx.TransportError:
        return False


def a_free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port: int = listener.getsockname()[1]
        return port
