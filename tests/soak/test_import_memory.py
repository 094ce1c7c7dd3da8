"""An archive of 100,000 rows through a real worker: every row accounted for, and memory flat."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from benchmarks.make_archive import Plan
from domain.imports import ImportJob, ImportState, Tally
from tests.workers.processes import AUTHORS, Archive, Service, WorkerProcess, service

pytestmark = [pytest.mark.soak, pytest.mark.e2e]

ROWS, BAD = 100_000, 100
FIRST_ROWS = 10_000
GROWTH_MAX_MIB = 60
BOUND_S = 600


def pss_mib(worker: WorkerProcess) -> float:
    return float(psutil.Process(worker.process.pid).memory_full_info().pss) / 2**20


async def once(office: Service, job: ImportJob, is_there: Callable[[ImportJob], bool]) -> ImportJob:
    async with asyncio.timeout(BOUND_S):
        while not is_there(job := await office.job(job)):  # noqa: ASYNC110 -- another process changes it
            await asyncio.sleep(0.02)
    return job


async def test_a_large_archive_is_imported_row_by_row_in_flat_memory(
    database_url: str, redis_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = Archive.of(Plan(rows=ROWS, bad=BAD, authors=AUTHORS))
    production = {"BYLINE_IMPORT_CHUNK_ROWS": "2000", "BYLINE_IMPORT_LEASE_S": "10"}
    async with service(database_url, redis_url, tmp_path) as office, office.worker(**production) as worker:
        idle = pss_mib(worker)
        job = await office.start_import(archive.file)
        job = await once(office, job, lambda now: now.tally.rows_read >= FIRST_ROWS)
        early, early_rows = pss_mib(worker), job.tally.rows_read
        job = await once(office, job, lambda now: now.is_finished)
        late = pss_mib(worker)

        assert early_rows < ROWS / 2
        assert (job.state, job.error) == (ImportState.COMPLETED_WITH_ERRORS, None)
        assert job.tally == Tally(created=ROWS - BAD, failed=BAD)
        assert job.bytes_done == len(archive.file)
        assert await office.refusals(job) == archive.refusals

    assert job.started_at
    assert job.finished_at
    seconds = (job.finished_at - job.started_at).total_seconds()
    with capsys.disabled():
        print(
            f"\n{len(archive.file) / 2**20:.0f} MiB, {ROWS / seconds:,.0f} rows/s; PSS idle {idle:.0f} MiB, "
            f"after {early_rows:,} rows {early:.0f} MiB, at the end {late:.0f} MiB"
        )
    assert late < early + GROWTH_MAX_MIB
