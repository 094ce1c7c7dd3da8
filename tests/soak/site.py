"""A site that writers and readers share: three addresses, two of them other hosts to the first, and a worker."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil
from redis.asyncio import Redis
from redis.exceptions import RedisError

from application.users import Registration
from infrastructure.database.schema import upgrade
from tests.cli.running import a_free_port, answers, eventually, running
from tests.embedded.trees import Tree, tree
from tests.workers.processes import service

AUTHORS = 5
ADMIN = "admin"
PASSWORD = "correct horse"


HOSTS: Mapping[str, Mapping[str, str]] = {
    "writing": {"BYLINE_API_PROCESSES": "2"},
    "other": {},
    "shared": {"BYLINE_L1_MAX_BYTES": "0"},
}


@dataclass(frozen=True, slots=True)
class Site:
    """`writing` has two processes; `other` is another host with pages in its own memory, `shared` one without."""

    servers: Tree
    ports: Mapping[str, int]

    @property
    def redis(self) -> "Redis":
        redis: Redis = Redis.from_url(self.servers.redis_url, socket_timeout=1, socket_connect_timeout=1)
        return redis

    async def has_redis(self) -> bool:
        try:
            async with self.redis as redis:
                return bool(await redis.ping())
        except (OSError, RedisError, RuntimeError):  # the last of uvloop's, of a connection that is just lost
            return False

    def valkey(self) -> psutil.Process:
        return self.servers.child("valkey-server")


def author(number: int) -> str:
    return f"writer-{number}"


@asynccontextmanager
async def site(folder: Path, *names: str) -> AsyncIterator[Site]:
    """Of these HOSTS, with an administrator and the authors. Its PostgreSQL and its Valkey are its own, and start again
    when they are killed."""
    async with tree(folder / "servers") as servers, AsyncExitStack() as stack:
        await upgrade(servers.database_url)
        async with service(servers.database_url, servers.redis_url, folder) as office:
            for number in range(AUTHORS):
                name = author(number)
                await office.byline.register_user.register(Registration(name, f"{name}@example.com", PASSWORD))
        common = {
            "BYLINE_DATABASE_URL": servers.database_url,
            "BYLINE_REDIS_URL": servers.redis_url,
            "BYLINE_SECRET_KEY": "a key of the tests, and of nobody else",
            "BYLINE_ACCESS_TOKEN_TTL_S": "86400",
            "BYLINE_DATA_DIR": str(folder / "data"),
            "BYLINE_LOG_LEVEL": "warning",
            "BYLINE_LOG_FORMAT": "json",
        }
        hosts = {name: {**HOSTS[name], "BYLINE_PORT": str(a_free_port())} for name in names}
        for name, settings in hosts.items():
            (folder / name).mkdir()
            tokens = str(folder / name / "tokens")
            running_it = running(folder / name, "serve", **common, **settings, BYLINE_HOST_TOKENS=tokens)
            await stack.enter_async_context(running_it)
        (folder / "worker").mkdir()
        tokens = str(folder / "writing" / "tokens")
        await stack.enter_async_context(running(folder / "worker", "worker", **common, BYLINE_HOST_TOKENS=tokens))
        ports = {name: int(settings["BYLINE_PORT"]) for name, settings in hosts.items()}
        for name, port in ports.items():
            await eventually(partial(answers, f"http://127.0.0.1:{port}"), f"{name} is ready")
        yield Site(servers, ports)


@asynccontextmanager
async def stopped(process: psutil.Process) -> AsyncIterator[None]:
    """It stands still."""
    process.suspend()
    try:
        await eventually(lambda: process.status() == psutil.STATUS_STOPPED, "it stands still")
        yield
    finally:
        process.resume()


async def said(folder: Path) -> str:
    """What the processes logged as errors, for a message."""
    outputs = await asyncio.to_thread(lambda: [path.read_text() for path in folder.glob("*/output")])
    lines = [line for output in outputs for line in output.splitlines()]
    return "\n".join(line for line in lines if _level(line) in ("error", "critical"))


def _level(line: str) -> str:
    try:
        return str(json.loads(line).get("level", ""))
    except ValueError:
        return "error" if "Traceback" in line else ""
