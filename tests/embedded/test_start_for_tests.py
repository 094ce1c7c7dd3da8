"""The servers that the test run itself stands on."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]  # it has no types of its own
import psutil
import pytest
from redis.asyncio import Redis

from tests.embedded.trees import BOUND_S, all_gone, ended, spawn
from tests.servers import FOLDER_PREFIX, start_for_tests

RUN = """
import json, tests.servers
tests.servers._docker_answers = lambda: False
servers = tests.servers.start_for_tests()
print(json.dumps([servers.database_url, servers.redis_url]), flush=True)
input()
servers.stop()
"""


def folders(temporary: Path) -> list[Path]:
    return list(temporary.glob(FOLDER_PREFIX + "*"))


@asynccontextmanager
async def run_of_tests(temporary: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str, str]]:
    environment = {"TMPDIR": str(temporary), "BYLINE_TEST_DATABASE_URL": "", "BYLINE_TEST_REDIS_URL": ""}
    async with ended(await spawn(sys.executable, "-c", RUN, env=environment)) as process:
        assert process.stdout is not None
        async with asyncio.timeout(BOUND_S):
            database_url, redis_url = json.loads(await process.stdout.readline())
        yield process, database_url, redis_url


def test_given_servers_are_used_and_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BYLINE_TEST_DATABASE_URL", "postgresql://given")
    monkeypatch.setenv("BYLINE_TEST_REDIS_URL", "redis://given")
    servers = start_for_tests()
    assert (servers.database_url, servers.redis_url) == ("postgresql://given", "redis://given")
    servers.stop()


@pytest.mark.e2e
async def test_embedded_ones_give_each_worker_a_database_and_leave_nothing(tmp_path: Path) -> None:
    async with run_of_tests(tmp_path) as (process, database_url, redis_url):
        everyone = psutil.Process(process.pid).children(recursive=True)
        connection = await asyncpg.connect(database_url)
        await connection.execute("CREATE DATABASE template")
        await connection.execute("CREATE DATABASE worker TEMPLATE template")
        assert await connection.fetchval("SHOW fsync") == "off"
        await connection.close()
        async with Redis.from_url(redis_url) as redis:
            assert await redis.ping()
        assert folders(tmp_path)
        await process.communicate(b"\n")
        assert process.returncode == 0
        await all_gone(everyone)
        assert not folders(tmp_path)


@pytest.mark.e2e
async def test_a_run_that_is_killed_leaves_no_process_and_the_next_removes_its_folder(tmp_path: Path) -> None:
    async with run_of_tests(tmp_path) as (process, _, _):
        everyone = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGKILL)
        await process.wait()
        await all_gone(everyone)
    (forgotten,) = folders(tmp_path)
    os.utime(forgotten, (0, 0))
    async with run_of_tests(tmp_path) as (process, _, _):
        assert forgotten not in folders(tmp_path)
        await process.communicate(b"\n")
