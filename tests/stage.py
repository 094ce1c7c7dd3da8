"""The servers of a run of the tests and the databases on them: a template a run, migrated once, and a copy a worker.

What speaks to servers is imported where it is used, so that tests without servers need not wait for it.
"""

import asyncio
import json
import secrets
import shutil
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import asyncpg  # type: ignore[import-untyped]  # it has no types of its own

Result = TypeVar("Result")

_ASKED = "asked"
_OUTCOME = "servers.json"
_REDIS_DATABASES = 16


@dataclass(frozen=True, slots=True)
class Servers:
    """`run` is in the name of every database of this run; that of its template is `run` alone."""

    database_url: str
    redis_url: str
    run: str


class Running:
    """Servers that were started, and a template on them."""

    def __init__(self) -> None:
        from tests.servers import start_for_tests

        self._started = start_for_tests()
        self.servers = Servers(
            self._started.database_url, self._started.redis_url, f"byline_tests_{secrets.token_hex(4)}"
        )
        try:
            _make_template(self.servers)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        try:
            _drop_databases(self.servers)
        finally:
            self._started.stop()


class Controlled:
    """Of the controller of xdist. Its workers share `folder` with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: Running | None = None

    def start_if_asked(self) -> None:
        if not (self.folder / _ASKED).exists() or (self.folder / _OUTCOME).exists():
            return
        outcome = _tried(Running)
        if isinstance(outcome, Running):
            self._running = outcome
        written = asdict(outcome.servers) if isinstance(outcome, Running) else outcome
        (self.folder / _OUTCOME).write_text(json.dumps(written))

    def stop(self) -> None:
        if self._running is not None:
            self._running.stop()
        shutil.rmtree(self.folder)


def ask_for_servers(folder: Path) -> None:
    """By a worker, before the controller gives it any test."""
    (folder / _ASKED).touch()


def shared(folder: Path) -> Servers | str:
    """The controller's, or why there are none."""
    outcome = json.loads((folder / _OUTCOME).read_text())
    return outcome if isinstance(outcome, str) else Servers(**outcome)


@contextmanager
def alone() -> Iterator[Servers | str]:
    """Those of a run in one process, or why there are none."""
    outcome = _tried(Running)
    if isinstance(outcome, str):
        yield outcome
        return
    try:
        yield outcome.servers
    finally:
        outcome.stop()


class WorkerDatabase:
    """A worker's own copy of the template, with a connection that empties it."""

    def __init__(self, servers: Servers, worker: str) -> None:
        from infrastructure.database.tables import metadata

        name = f"{servers.run}_{worker}"
        self.url = _with_path(servers.database_url, name)
        self._loop = asyncio.new_event_loop()
        # Ten times as fast as TRUNCATE for few rows, and the ledger's entries refuse it.
        self._statements = _EMPTY_ENTRIES + ";".join(
            f"DELETE FROM {table.name}" for table in reversed(metadata.sorted_tables) if table.name != "entries"
        )
        _execute(servers.database_url, f'CREATE DATABASE "{name}" TEMPLATE "{servers.run}"')
        self._connection = self._loop.run_until_complete(_connect(self.url))

    def empty(self) -> None:
        """Every table but that of the migrations."""
        self._loop.run_until_complete(self._connection.execute(self._statements))

    def close(self) -> None:
        self._loop.run_until_complete(self._connection.close())
        self._loop.close()


def emptied_redis(servers: Servers, worker: str) -> str:
    """The URL of the worker's database, with nothing in it."""
    from redis import Redis

    number = int(worker.removeprefix("gw")) if worker.startswith("gw") else 0
    url = _with_path(servers.redis_url, str(number % _REDIS_DATABASES))
    with Redis.from_url(url) as redis:
        redis.flushdb()
    return url


# `lock_timeout`: a transaction that a test left open is told.
_EMPTY_ENTRIES = """
SET lock_timeout = '5s';
DO $$ BEGIN
    IF EXISTS (SELECT FROM entries) THEN TRUNCATE entries; END IF;
END $$;
"""


def _tried(start: Callable[[], Result]) -> Result | str:
    try:
        return start()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _make_template(servers: Servers) -> None:
    from infrastructure.database.schema import upgrade

    _execute(servers.database_url, f'CREATE DATABASE "{servers.run}"')
    _run(upgrade(_with_path(servers.database_url, servers.run)))


def _drop_databases(servers: Servers) -> None:
    async def drop() -> None:
        connection = await _connect(servers.database_url)
        try:
            named = "SELECT datname FROM pg_database WHERE starts_with(datname, $1)"
            for row in await connection.fetch(named, servers.run):
                await drop_database(connection, row["datname"])
        finally:
            await connection.close()

    _run(drop())


async def drop_database(connection: Any, name: str) -> None:
    """With those who are connected to it. Nobody but a superuser may end autovacuum, which gives way of itself."""
    try:
        await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    except asyncpg.InsufficientPrivilegeError:
        await connection.execute(f'DROP DATABASE "{name}"')


def _execute(url: str, statement: str) -> None:
    async def execute() -> None:
        connection = await _connect(url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    _run(execute())


async def _connect(url: str) -> Any:

    return await asyncpg.connect(url)


def _run(work: Coroutine[Any, Any, None]) -> None:
    """On a loop of its own, so that the tests' loop is left alone."""
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(work)
    finally:
        loop.close()


def _with_path(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
