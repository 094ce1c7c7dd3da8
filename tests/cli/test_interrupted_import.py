"""Ctrl-C in the middle of `byline import`, and imports that go on in another process."""

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


async def an_archive(folder: Path, **settings: str) -> None:
    """Of many users, and an administrator to import them."""
    rows = ({"username": f"user{number}", "email": f"user{number}@example.com"} for number in range(ROWS))
    (folder / "users.ndjson").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert (await byline(folder, "create-admin", BYLINE_ADMIN_PASSWORD=PASSWORD, **settings)).status == 0


async def test_it_gives_the_job_back_and_says_how_to_go_on(tmp_path: Path, database_url: str, redis_url: str) -> None:
    settings = {"BYLINE_DATABASE_URL": database_url, "BYLINE_REDIS_URL": redis_url}
    await an_archive(tmp_path, **settings)

    async def is_under_way() -> bool:
        return await number_of_users(database_url) > 1

    async with running(tmp_path, "import", "users.ndjson", BYLINE_IMPORT_CHUNK_ROWS="20", **settings) as first:
        await eventually(is_under_way, "rows are imported")
        assert await first.end(SIGINT) == 130
        assert "\x1b" not in first.said
        told = re.search(r"Interrupted\. .*byline import (--resume \S+)", first.said)
    assert told, first.said
    assert await number_of_users(database_url) < ROWS

    resumed = await byline(tmp_path, "import", *told[1].split(), **settings)

    assert resumed.status == 0, resumed
    assert f"{ROWS:,} rows read, {ROWS:,} created" in resumed.stdout
    assert await number_of_users(database_url) == ROWS + 1


async def test_one_process_follows_what_another_does(tmp_path: Path, database_url: str, redis_url: str) -> None:
    settings = {"BYLINE_DATABASE_URL": database_url, "BYLINE_REDIS_URL": redis_url}
    await an_archive(tmp_path, **settings)
    detached = await byline(tmp_path, "import", "users.ndjson", "--detach", **settings)
    assert detached.status == 0, detached
    import_id = detached.stdout.strip()

    async with running(tmp_path, "import", "--watch", import_id, **settings) as interrupted:
        await interrupted.says("The import is queued.")
        assert await interrupted.end(SIGINT) == 130
        assert f"It goes on. To watch it again: byline import --watch {import_id}" in interrupted.said
    async with running(tmp_path, "import", "--watch", import_id, **settings) as watching:
        await watching.says("The import is queued.")
        resumed = await byline(tmp_path, "imports", "resume", import_id, **settings)
        assert resumed.status == 0, resumed
        assert await watching.status() == 0

    assert f"{ROWS:,} rows read, {ROWS:,} created" in resumed.stdout
    assert f"{ROWS:,} rows read, {ROWS:,} created" in watching.said
    errors = await byline(tmp_path, "imports", "errors", "last", "--format", "csv", **settings)
    assert (errors.status, errors.stdout.splitlines()) == (0, ["line,field,code,message,row"])
