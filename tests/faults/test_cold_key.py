"""Five hundred readers of a page that nobody has read: each process loads it once."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg  # type: ignore[import-untyped]  # it has no types of its own
import pytest

from tests.faults.apis import Api, cluster, published, signed_in
from tests.soak.readers import Processes

pytestmark = pytest.mark.e2e

READERS = 500
PROCESSES = 2
BOUND_S = 30.0
Reads = dict[int, dict[str, int]]
"""By process, what it counts of its reads."""
POLL_S = 0.01
PATIENT = {"BYLINE_LOCK_TIMEOUT_S": "30", "BYLINE_STATEMENT_TIMEOUT_S": "30", "BYLINE_REQUEST_TIMEOUT_S": "30"}
_WAITING = """
SELECT count(*) FROM pg_locks
WHERE relation = 'posts'::regclass AND NOT granted
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@pytest.fixture
async def outside(database_url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(database_url)
    try:
        yield connection
    finally:
        await connection.close()


async def test_of_five_hundred_readers_of_a_cold_page_one_of_each_process_loads_it(
    database_url: str, redis_url: str, outside: Any, tmp_path: Path
) -> None:
    """They all wait for a lock on the table, so that none comes too late for the load of another."""
    async with (
        cluster(tmp_path, database_url, redis_url) as around,
        around.api("api", **PATIENT, BYLINE_API_PROCESSES=str(PROCESSES), BYLINE_WARM_EVERY_S="0") as api,
    ):
        admin = await signed_in(api)
        path = await published(api, admin, "Cold")
        now = partial(reads, api, admin, Processes())
        before = await now()

        watcher = await asyncpg.connect(database_url)
        try:
            async with outside.transaction():
                await outside.execute("LOCK TABLE posts IN ACCESS EXCLUSIVE MODE")
                readers = [asyncio.create_task(titled(api, path)) for _ in range(READERS)]
                waiting = await most_waiting(watcher, now, before)
            titles = await asyncio.gather(*readers)
        finally:
            await watcher.close()
        after = await now()

    assert titles == ["Cold"] * READERS
    assert waiting == PROCESSES
    assert sorted(after[process]["loads"] - before[process]["loads"] for process in after) == [1] * PROCESSES
    assert total("joined", before, after) == READERS - PROCESSES


def total(count: str, before: Reads, after: Reads) -> int:
    return sum(after[process][count] - before[process][count] for process in after)


async def titled(api: Api, path: str) -> str:
    """Over a connection of its own."""
    url = urlsplit(api.url)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nhost: byline\r\nconnection: close\r\n\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
    assert head.startswith(b"HTTP/1.1 200"), head
    return str(json.loads(body)["title"])


async def most_waiting(watcher: Any, now: Callable[[], Awaitable[Reads]], before: Reads) -> int:
    """For the lock, at any time until all readers have come and each process waits."""
    most = come = 0
    async with asyncio.timeout(BOUND_S):
        while come < READERS or most < PROCESSES:
            come = total("misses", before, await now())
            waiting: int = await watcher.fetchval(_WAITING)
            most = max(most, waiting)
            await asyncio.sleep(POLL_S)
    return most


async def reads(api: Api, admin: dict[str, str], processes: Processes) -> Reads:
    """How each process has read up to now, which new connections find by and by."""
    found: Reads = {}
    async with asyncio.timeout(BOUND_S):
        while len(found) < PROCESSES:
            answer = (await api.http.get("/v1/cache", headers=admin | {"connection": "close"})).raise_for_status()
            found[processes.of(answer.headers["x-request-id"])] = answer.json()["process"]["reads"]
    return found
