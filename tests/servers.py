"""PostgreSQL and Redis for a run of the tests.

Given ones (BYLINE_TEST_DATABASE_URL, BYLINE_TEST_REDIS_URL), else containers where a Docker engine answers, else
embedded ones. The database's role may create databases.
"""

import asyncio
import gc
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path

import docker  # type: ignore[import-untyped]  # it has no types of its own

from infrastructure.embedded.folder import DataFolder, FolderInUse
from infrastructure.embedded.servers import PreparedServers, prepare_servers
from infrastructure.embedded.supervisor import Supervisor

FOLDER_PREFIX = "byline-tests-"
FORGOTTEN_S = 60.0
CONTAINER_POSTGRES = "postgres:18"
CONTAINER_VALKEY = "valkey/valkey:9"


@dataclass(frozen=True, slots=True)
class Servers:
    database_url: str
    redis_url: str
    stop: Callable[[], None]
    """End what was started, and only that."""


def start_for_tests() -> Servers:
    """Call once a run, from the main thread of its first process, whose death ends what is started in any case."""
    database_url = os.environ.get("BYLINE_TEST_DATABASE_URL") or None
    redis_url = os.environ.get("BYLINE_TEST_REDIS_URL") or None
    with ExitStack() as stack:
        if database_url is None or redis_url is None:
            start = _containers if _docker_answers() else _embedded
            started = start(stack, with_postgres=database_url is None, with_valkey=redis_url is None)
            database_url, redis_url = database_url or started[0], redis_url or started[1]
        return Servers(database_url, redis_url, stack.pop_all().close)


def _docker_answers() -> bool:
    with warnings.catch_warnings():
        # Where no engine answers, the client leaves its socket to the collector: let that happen here, in no test.
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            with closing(docker.from_env(timeout=2)) as client:
                return bool(client.ping())
        except (docker.errors.DockerException, OSError):
            return False
        finally:
            gc.collect()


def _containers(stack: ExitStack, *, with_postgres: bool, with_valkey: bool) -> tuple[str, str]:
    # Imported here alone: whoever has no Docker need not wait for it.
    from testcontainers.community.postgres import PostgresContainer
    from testcontainers.community.redis import RedisContainer

    database_url = redis_url = ""
    if with_postgres:
        postgres = PostgresContainer(CONTAINER_POSTGRES, username="byline", dbname="byline", driver=None)
        postgres.with_command("-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=300")
        database_url = stack.enter_context(postgres).get_connection_url()
    if with_valkey:
        valkey = stack.enter_context(RedisContainer(CONTAINER_VALKEY))
        redis_url = f"redis://{valkey.get_container_host_ip()}:{valkey.get_exposed_port(valkey.port)}/0"
    return database_url, redis_url


def _embedded(stack: ExitStack, *, with_postgres: bool, with_valkey: bool) -> tuple[str, str]:
    _remove_forgotten_folders()
    path = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX))
    folder = stack.enter_context(DataFolder.open(path))
    stack.callback(shutil.rmtree, path)
    # A loop of its own, which turns only while they start and stop: pytest's loops come and go.
    loop = asyncio.new_event_loop()
    stack.callback(loop.close)
    supervisor = Supervisor()
    stack.callback(lambda: loop.run_until_complete(supervisor.stop()))

    async def start() -> PreparedServers:
        prepared = await prepare_servers(
            folder,
            with_postgres=with_postgres,
            with_valkey=with_valkey,
            postgres_port=0,
            valkey_port=0,
            fast_and_unsafe=True,
        )
        await supervisor.start(*prepared.children)
        return prepared

    prepared = loop.run_until_complete(start())
    return prepared.database_url or "", prepared.redis_url or ""


def _remove_forgotten_folders() -> None:
    """Those of runs that were killed."""
    for path in Path(tempfile.gettempdir()).glob(FOLDER_PREFIX + "*"):
        is_old = time.time() - path.stat().st_mtime > FORGOTTEN_S
        if is_old and path.stat().st_uid == os.geteuid():
            with suppress(FolderInUse), DataFolder.open(path):
                shutil.rmtree(path)
