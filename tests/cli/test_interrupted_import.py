"""Ctrl-C in the middle of `byline import`."""

import json
import re
from pathlib import Path
from signal import SIGINT

import asyncpg  # type: ignore[import-untyped]  # it has no types of its own
import pytest

from tests.cli.memory import PASSWORD
from tests.cli.running import byline, eventually, running

pytestmark = pytest.mark.e2e

ROWS = 2_000


async def number_of_users(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        count: int = await connection.fetchval("SELECT count(*) FROM users")
        return count
    finally:
        await connection.close()


async def test_it_gives_the_job_back_and_says_how_to_go_on(tmp_path: Path, database_url: str, redis_url: str) -> None:
    rows = ({"username": f"user{number}", "email": f"user{number}@example.com"} for number in range(ROWS))
    (tmp_path / "users.ndjson").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    settings = {"BYLINE_DATABASE_URL": database_url, "BYLINE_REDIS_URL": redis_url}
    assert (await byline(tmp_path, "create-admin", BYLINE_ADMIN_PASSWORD=PASSWORD, **settings)).status == 0

    async def is_under_way() -> bool:
        return await number_of_users(database_url) > 1

    async with running(tmp_path, "import", "users.ndjson", BYLINE_IMPORT_CHUNK_ROWS="20", **settings) as first:
        await eventually(is_under_way, "rows are imported")
        assert await first.end(SIGINT) == 130
        told = re.search(r"Interrupted\. .*byline import (--resume \S+)", first.said)
    assert told, first.said
    assert await number_of_users(database_url) < ROWS

    resumed = await byline(tmp_path, "import", *told[1].split(), **settings)

    assert resumed.status == 0, resumed
    assert f"{ROWS:,} rows read, {ROWS:,} created" in resumed.stdout
    assert await number_of_users(database_url) == ROWS + 1
