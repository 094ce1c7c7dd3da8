"""Revision 0002: jobs and failed rows from before it are carried over, and carried back."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it has no types of its own
import pytest

from application.ports.imports import ImportQuery
from domain.ids import ImportId
from domain.import_options import ImportFormat, ImportKind, ImportOptions, Publish
from domain.imports import Caution, Checkpoint, ImportJob, ImportState, Tally
from infrastructure.database import schema
from infrastructure.database.database import Database, service_database
from infrastructure.settings import Settings
from tests.builders import a_job
from tests.migrations.catalogue import new_database
from tests.stage import Servers

AT = datetime(2026, 1, 1, tzinfo=UTC)

# A running one, one that has finished after a minute, one that nobody has claimed.
_JOBS_BEFORE = """
INSERT INTO imports (id, kind, format, blob_key, file_name, file_hash, bytes_total, created_at, state, created, updated,
                     unchanged, skipped, failed, next_offset, next_line, started_at, finished_at, error, fence,
                     lease_until, attempts)
VALUES
    (md5('1')::uuid, 'posts', 'ndjson', 'imports/1', 'a.ndjson', 'hash', 100, $1, 'running', 1, 2, 3, 4, 5, 60, 16,
     $1, NULL, NULL, 7, $1, 2),
    (md5('2')::uuid, 'users', 'csv', 'imports/2', NULL, 'hash', 100, $1, 'completed_with_errors', 1, 0, 0, 0, 1, 100, 3,
     $1, $1 + interval '1 minute', NULL, 1, NULL, 0),
    (md5('3')::uuid, 'posts', 'csv', 'imports/3', NULL, 'hash', 100, $1, 'queued', 0, 0, 0, 0, 0, 0, 1,
     NULL, NULL, NULL, 0, NULL, 0)
"""
_ERRORS_BEFORE = """
INSERT INTO import_errors (import_id, number, line, code, message)
VALUES (md5('2')::uuid, 1, 2, 'bad_row', 'No.'), (md5('2')::uuid, 2, 9, 'bad_row', 'No.')
"""


@pytest.fixture
async def url(servers: Servers) -> AsyncIterator[str]:
    """Of a database at revision 0001, with jobs."""
    async with new_database(servers.database_url) as url:
        await schema.upgrade(url, "0001")
        await run(url, _JOBS_BEFORE, AT)
        await run(url, _ERRORS_BEFORE)
        yield url


async def run(url: str, statement: str, *values: object) -> Any:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(statement, *values)
    finally:
        await connection.close()


@asynccontextmanager
async def database_of(url: str) -> AsyncIterator[Database]:
    database = service_database(Settings.model_validate({"database_url": url}))
    yield database
    await database.close()


async def jobs(url: str) -> dict[str, ImportJob]:
    async with database_of(url) as database, database.begin() as work:
        return {job.blob_key: job for job in await work.imports.newest(ImportQuery(10))}


async def test_jobs_are_carried_over(url: str) -> None:
    await schema.upgrade(url)
    found = await jobs(url)
    running, finished, queued = (found[f"imports/{number}"] for number in (1, 2, 3))
    assert running == ImportJob(
        id=running.id,
        options=ImportOptions(ImportKind.POSTS),
        format=ImportFormat.NDJSON,
        blob_key="imports/1",
        file_name="a.ndjson",
        file_hash="hash",
        bytes_total=100,
        created_by=None,
        created_at=AT,
        state=ImportState.RUNNING,
        tally=Tally(1, 2, 3, 4, 5),
        checkpoint=Checkpoint(60, 16, 60),
        started_at=AT,
        fence=7,
        lease_until=AT,
    )
    assert running.claimable(at=AT)
    assert running.caution == Caution()
    assert (finished.options, finished.bytes_done) == (ImportOptions(ImportKind.USERS), 100)
    assert (finished.busy_s, finished.rows_per_s, finished.progressed_at) == (60.0, 2 / 60, finished.finished_at)
    assert (queued.state, queued.busy_s, queued.revision, queued.tally.reasons) == (ImportState.QUEUED, 0.0, 1, {})


async def test_failed_rows_stand_where_their_line_is(url: str) -> None:
    await schema.upgrade(url)
    assert [tuple(row) for row in await run(url, "SELECT line, place FROM import_errors ORDER BY number")] == [
        (2, 2),
        (9, 9),
    ]


async def test_jobs_are_carried_back_and_those_that_cannot_be_done_there_fail(url: str) -> None:
    kept = "SELECT * FROM imports WHERE blob_key <> 'imports/1' ORDER BY id"
    before = await run(url, kept)
    await schema.upgrade(url)
    default = replace(a_job(format=ImportFormat.CSV), created_at=AT)
    dry = replace(default.options, dry_run=True)
    made = {
        "cancelled": replace(default, state=ImportState.CANCELLED, finished_at=AT),
        "cancelling": replace(default, state=ImportState.CANCELLING, lease_until=AT),
        "uploaded": replace(default, state=ImportState.UPLOADED),
        "dry": replace(default, options=dry),
        "drafts": replace(default, options=replace(default.options, publish=Publish.DRAFT), state=ImportState.RUNNING),
        "retry": replace(default, parent_id=ImportId(before[0]["id"])),
        "was dry": replace(default, options=dry, state=ImportState.SUCCEEDED, finished_at=AT),
        "of WordPress": replace(default, format=ImportFormat.WXR, state=ImportState.SUCCEEDED, finished_at=AT),
    }
    async with database_of(url) as database, database.begin() as work:
        for key, job in made.items():
            await work.imports.add(replace(job, id=a_job().id, blob_key=key))
        await work.commit()

    await schema.downgrade(url, "0001")
    after = {row["blob_key"]: row for row in await run(url, "SELECT * FROM imports")}
    assert [dict(row) for row in before] == [dict(after[row["blob_key"]]) for row in before]
    assert after["imports/1"]["state"] == "running"
    assert {key: row["state"] for key, row in after.items() if key in made} == {
        **dict.fromkeys(("cancelled", "cancelling", "uploaded", "dry", "drafts", "retry"), "failed"),
        "was dry": "succeeded",
    }
    failed = [row for row in after.values() if row["state"] == "failed"]
    assert all(row["error"] and row["finished_at"] and row["lease_until"] is None for row in failed)
    assert after["cancelled"]["finished_at"] == AT
