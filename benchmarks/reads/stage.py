"""Where reads are measured: servers, an archive, and who has which cores of the machine."""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen

import asyncpg  # type: ignore[import-untyped]  # it has no types of its own
import psutil
import redis

from benchmarks.reads.archive import Post, fill
from benchmarks.reads.clients import HOST
from infrastructure.embedded.ports import free_port
from infrastructure.settings import Settings
from tests.servers import start_for_tests

PATIENCE_S: Final = 30.0
GRANIAN: Final = (
    *(sys.executable, "-m", "granian", "--interface", "asgi", "--http", "1", "--loop", "uvloop", "--no-ws"),
    *("--workers", "1", "--backpressure", "1024", "--backlog", "2048", "--no-access-log", "--log-level", "warning"),
)
OURS: Final = "interfaces.http.main:app"

_SERVERS: Final = ("postgres", "valkey-server")


@dataclass(frozen=True, slots=True)
class Cores:
    """The measured server's one, and those of all others; the same where there is but one."""

    server: frozenset[int]
    others: frozenset[int]

    @classmethod
    def split(cls) -> "Cores":
        if sys.platform != "linux" or len(there := sorted(os.sched_getaffinity(0))) < 2:
            return cls(frozenset(), frozenset())
        return cls(frozenset(there[:1]), frozenset(there[1:]))


def pin(pid: int, cores: frozenset[int]) -> None:
    """With all its threads."""
    if sys.platform == "linux" and cores:
        for thread in psutil.Process(pid).threads():
            os.sched_setaffinity(thread.id, cores)


@dataclass(frozen=True, slots=True)
class Server:
    pid: int
    port: int


@dataclass(frozen=True)
class Stage:
    """`posts` are the newest first."""

    folder: Path
    database_url: str
    redis_url: str
    posts: Sequence[Post]
    cores: Cores

    @cached_property
    def valkey(self) -> Any:
        """A client; the types of redis-py leave open whether it must be awaited."""
        return redis.Redis.from_url(self.redis_url)

    @contextmanager
    def ours(self, **settings: str) -> Iterator[Server]:
        """With these settings, named as variables are; Valkey has nothing of it at first."""
        self.valkey.flushall()
        with self.python(OURS, "/health/ready", **settings) as server:
            yield server

    @contextmanager
    def python(self, app: str, ready_path: str, **variables: str) -> Iterator[Server]:
        """An ASGI application under granian, with the URLs of the servers."""
        port = free_port(0, HOST)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("BYLINE_")}
        own = {
            "BYLINE_DATABASE_URL": self.database_url,
            "BYLINE_REDIS_URL": self.redis_url,
            "BYLINE_DATA_DIR": str(self.folder),
            "BYLINE_HOST_TOKENS": str(self.folder / "tokens"),
            "BYLINE_LOG_LEVEL": "warning",
        }
        command = (*GRANIAN, "--host", HOST, "--port", str(port), app)
        with self.process(command, f"http://{HOST}:{port}{ready_path}", kept | own | variables) as pid:
            yield Server(pid, port)

    @contextmanager
    def process(self, command: Sequence[str], ready_url: str, environment: dict[str, str]) -> Iterator[int]:
        """On the server's core from its start on; its process id."""
        before = self.cores.others
        pin(os.getpid(), self.cores.server)
        try:
            process = subprocess.Popen(command, env=environment)
        finally:
            pin(os.getpid(), before)
        try:
            _wait_for(ready_url, process)
            yield process.pid
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE_S)

    def postgres_on(self, cores: frozenset[int]) -> None:
        """All of it that runs, and what it starts later."""
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if process.name() == "postgres":
                    pin(process.pid, cores)

    async def value(self, statement: str, *values: object) -> Any:
        connection = await asyncpg.connect(self.database_url)
        try:
            return await connection.fetchval(statement, *values)
        finally:
            await connection.close()


def _wait_for(url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            with urlopen(url, timeout=PATIENCE_S):
                return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def unknown_settings(names: Sequence[str]) -> Sequence[str]:
    return [name for name in names if name.removeprefix("BYLINE_").lower() not in Settings.model_fields]


@contextmanager
def stage() -> Iterator[Stage]:
    """Call from the main thread, which is on the cores of the others then."""
    with ExitStack() as stack:
        cores = Cores.split()
        pin(os.getpid(), cores.others)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="byline-bench-")))
        folder.chmod(0o755)
        servers = start_for_tests()
        stack.callback(servers.stop)
        began = {process.name() for process in psutil.Process().children(recursive=True)}
        posts = asyncio.run(fill(servers.database_url))
        print(f"{len(posts):,} posts; {_who_is_where(cores, began)}", flush=True)
        yield Stage(folder, servers.database_url, servers.redis_url, posts, cores)


def _who_is_where(cores: Cores, ours: set[str]) -> str:
    if not cores.server:
        return "NOT PINNED: servers and load share what there is"
    elsewhere = [name for name in _SERVERS if name not in ours]
    told = f"the measured server on core {min(cores.server)}, the load on {_listed(cores.others)}"
    if elsewhere:
        return f"{told}; NOT PINNED: {', '.join(elsewhere)}, which others started"
    return f"{told} with PostgreSQL and Valkey"


def _listed(cores: frozenset[int]) -> str:
    return ", ".join(map(str, sorted(cores)))
