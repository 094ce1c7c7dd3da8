"""Five million rows through a real worker: flat memory, progress that is true whenever somebody looks, and a cancel in
the middle after which it goes on to an exact end. BYLINE_SOAK_ROWS and BYLINE_SOAK_ROW_BYTES make it smaller."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it has no types of its own
import pytest

from benchmarks.make_archive import WORDS
from domain.imports import ImportJob, ImportState, Tally
from tests.workers.processes import AUTHORS, Service, WorkerProcess, service

pytestmark = [pytest.mark.soak, pytest.mark.e2e]

ROWS = int(os.environ.get("BYLINE_SOAK_ROWS", "5000000"))
ROW_BYTES = int(os.environ.get("BYLINE_SOAK_ROW_BYTES", "600"))
BAD_EVERY = 10_000
BAD = ROWS // BAD_EVERY
BOUND_S = 3_600
EVERY_S = 0.05
COUNTS = 40
"""How many times the rows are counted meanwhile."""
PSS_MAX_MIB = 250
PRODUCTION = {"BYLINE_IMPORT_CHUNK_ROWS": "", "BYLINE_IMPORT_LEASE_S": ""}

# In one statement, and so of one moment.
_COUNTED = """
SELECT rows_read, failed, (SELECT count(*) FROM posts) AS posts, (SELECT count(*) FROM import_errors) AS errors
FROM (SELECT created + updated + unchanged + skipped + failed AS rows_read, failed FROM imports WHERE id = $1) AS job
"""


def records() -> Iterator[bytes]:
    """Every `BAD_EVERY`th has no title."""
    texts = [" ".join(WORDS[(first + step * 7) % len(WORDS)] for step in range(200)) for first in range(len(WORDS))]
    texts = [text.encode()[: max(ROW_BYTES - 180, 0)].decode(errors="ignore") for text in texts]
    for number in range(ROWS):
        title = "" if number % BAD_EVERY == BAD_EVERY - 1 else f"A post of many, and its number is {number}"
        yield (
            f'{{"title": "{title}", "author": "author-{number % AUTHORS}", "content": "{texts[number % len(texts)]}", '
            f'"published_at": "2020-01-01T12:00:00Z", "source": "soak", "external_id": "{number}"}}\n'
        ).encode()


async def pieces() -> AsyncIterator[bytes]:
    gathered = bytearray()
    for record in records():
        gathered += record
        if len(gathered) > 2**20:
            yield bytes(gathered)
            gathered.clear()
    yield bytes(gathered)


class Watcher:
    """Looks at a job, its worker and the tables until it has `finished`; what it sees must be true each time."""

    def __init__(self, office: Service, outside: Any) -> None:
        self._office = office
        self._outside = outside
        self.highest_mib = self.early_mib = 0.0
        self.looks = self.counts = 0
        self._last: ImportJob | None = None

    async def until(self, job: ImportJob, worker: WorkerProcess, rows: int) -> ImportJob:
        async with asyncio.timeout(BOUND_S):
            while True:
                job = await self._office.job(job)
                self._look(job, worker)
                if job.tally.rows_read >= self.counts * ROWS // COUNTS or job.is_finished:
                    await self.count(job)
                if job.is_finished or job.tally.rows_read >= rows:
                    return job
                await asyncio.sleep(EVERY_S)

    def _look(self, job: ImportJob, worker: WorkerProcess) -> None:
        last = self._last or job
        assert job.tally.rows_read >= last.tally.rows_read
        assert job.bytes_done >= last.bytes_done
        assert job.revision >= last.revision
        assert job.bytes_done < job.bytes_total or job.tally.rows_read == ROWS
        assert job.tally.rows_read == ROWS or not job.succeeded
        assert job.seconds_left is None or job.seconds_left >= 0
        self._last = job
        self.looks += 1
        if worker.process.returncode is None:
            self.highest_mib = max(self.highest_mib, worker.pss_mib)
        if job.tally.rows_read < ROWS / 50:
            self.early_mib = self.highest_mib

    async def count(self, job: ImportJob) -> None:
        self.counts += 1
        found = await self._outside.fetchrow(_COUNTED, job.id)
        assert found["rows_read"] == found["posts"] + found["errors"]
        assert found["failed"] == found["errors"]


async def test_five_million_rows_in_flat_memory_with_true_progress_and_an_exact_end_after_a_cancel(
    database_url: str, redis_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outside = await asyncpg.connect(database_url)
    async with service(database_url, redis_url, tmp_path) as office, office.worker(**PRODUCTION) as worker:
        watcher = Watcher(office, outside)
        idle = worker.pss_mib
        began = time.monotonic()
        job = await office.start_import(pieces())
        uploaded = time.monotonic()
        job = await watcher.until(job, worker, ROWS // 2)
        assert job.state is ImportState.RUNNING
        await office.byline.cancel_import(job.id, actor=office.actor)
        asked = time.monotonic()
        job = await office.finished(job)
        stopped = time.monotonic()
        assert job.state is ImportState.CANCELLED
        assert job.tally.rows_read < ROWS
        await watcher.count(job)
        await office.byline.resume_import(job.id, actor=office.actor)
        job = await watcher.until(job, worker, ROWS + 1)

        assert (job.state, job.error) == (ImportState.COMPLETED_WITH_ERRORS, None)
        assert job.tally == Tally(created=ROWS - BAD, failed=BAD)
        assert job.bytes_done == job.bytes_total
        statement = "SELECT count(*), count(DISTINCT external_id), sum(external_id::bigint) FROM posts"
        bad = range(BAD_EVERY - 1, ROWS, BAD_EVERY)
        assert tuple(await outside.fetchrow(statement)) == (ROWS - BAD, ROWS - BAD, sum(range(ROWS)) - sum(bad))
        lines = "SELECT array_agg(line ORDER BY number) FROM import_errors"
        assert (await outside.fetchval(lines) or []) == [number + 1 for number in bad]
    await outside.close()

    with capsys.disabled():
        print(
            f"\n{ROWS:,} rows, {job.bytes_total / 2**20:,.0f} MiB: uploaded in {uploaded - began:.0f} s, "
            f"{job.rows_per_s:,.0f} rows/s while at it; stopped {stopped - asked:.2f} s after the cancel; worker's PSS "
            f"idle {idle:.0f} MiB, in the first fiftieth {watcher.early_mib:.0f} MiB, at most "
            f"{watcher.highest_mib:.0f} MiB; looked {watcher.looks:,} times, counted {watcher.counts} times"
        )
    assert watcher.highest_mib < PSS_MAX_MIB
