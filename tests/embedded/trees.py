"""Process trees that tests start, watch and kill."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg  # type: ignore[import-untyped]  # it has no types of its own
import psutil
from redis.asyncio import Redis
from redis.exceptions import RedisError

ROOT = Path(__file__).parents[2]
BOUND_S = 30.0


async def eventually(true: Callable[[], bool | Awaitable[bool]], what: str) -> None:
    """Wait until `true()`, looked at every few milliseconds, and fail after 30 s."""
    deadline = time.monotonic() + BOUND_S
    while True:
        answer = true()
        if answer if isinstance(answer, bool) else await answer:
            return
        if time.monotonic() > deadline:
            raise AssertionError(f"Not within {BOUND_S:g} s: {what}")
        await asyncio.sleep(0.005)


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def all_gone(processes: Iterable[psutil.Process]) -> None:
    watched = list(processes)
    await eventually(lambda: not any(map(is_alive, watched)), f"{watched} are gone")


@dataclass(frozen=True, slots=True)
class Tree:
    """A running `tests.embedded.up`."""

    process: asyncio.subprocess.Process
    database_url: str
    redis_url: str
    seconds: float

    @property
    def top(self) -> psutil.Process:
        return psutil.Process(self.process.pid)

    def everyone(self) -> list[psutil.Process]:
        top = self.top
        return [top, *top.children(recursive=True)]

    def child(self, name: str) -> psutil.Process:
        return next(process for process in self.top.children() if process.name() == name)

    async def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        async with asyncio.timeout(BOUND_S):
            return await self.process.wait()

    async def sql(self, statement: str) -> object:
        connection = await asyncpg.connect(self.database_url)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    async def answers(self) -> bool:
        try:
            async with Redis.from_url(self.redis_url) as redis:
                await redis.ping()
            return await self.sql("SELECT 1") == 1
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, RedisError):
            return False

    def ports(self) -> tuple[int | None, int | None]:
        return urlsplit(self.database_url).port, urlsplit(self.redis_url).port


async def spawn(*argv: str, cwd: Path = ROOT, env: dict[str, str] | None = None) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *argv,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@asynccontextmanager
async def ended(process: asyncio.subprocess.Process) -> AsyncIterator[asyncio.subprocess.Process]:
    """Nothing that a test starts outlives it."""
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@asynccontextmanager
async def tree(
    folder: Path, *ports: int, prefix: tuple[str, ...] = (), env: dict[str, str] | None = None
) -> AsyncIterator[Tree]:
    """Run `tests.embedded.up` on `folder`, ready."""
    argv = [*prefix, sys.executable, "-m", "tests.embedded.up", str(folder), *map(str, ports)]
    async with ended(await spawn(*argv, env=env)) as process:
        assert process.stdout is not None
        async with asyncio.timeout(BOUND_S):
            line = await process.stdout.readline()
        if not line:
            _, errors = await process.communicate()
            raise AssertionError(errors.decode())
        yield Tree(process, **json.loads(line))


async def refusal(folder: Path) -> str:
    """What `tests.embedded.up` says to standard error when it does not start."""
    async with ended(await spawn(sys.executable, "-m", "tests.embedded.up", str(folder))) as process:
        async with asyncio.timeout(BOUND_S):
            _, errors = await process.communicate()
        assert process.returncode == 1
        return errors.decode()
