"""A real worker process on PostgreSQL and Redis, from the upload to the rows."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from benchmarks.make_archive import Plan
from domain.imports import ImportJob, ImportState, Tally
from domain.warmings import Ending, WarmingState
from infrastructure.queue.arq import ArqQueue
from tests.workers.processes import AUTHORS, BOUND_S, POLL_S, Archive, Service, service
from tests.workers.wire import Wire, wire_to

pytestmark = pytest.mark.e2e

SMALL = Archive.of(Plan(rows=100, bad=10, authors=AUTHORS, seed=1))
LARGE = Archive.of(Plan(rows=1_500, bad=30, authors=AUTHORS, seed=2))


@pytest.fixture
async def wire(redis_url: str) -> AsyncIterator[Wire]:
    async with wire_to(redis_url) as wire:
        yield wire


@pytest.fixture
async def office(database_url: str, wire: Wire, tmp_path: Path) -> AsyncIterator[Service]:
    async with service(database_url, wire.url, tmp_path) as office:
        yield office


async def assert_right(office: Service, job: ImportJob, archive: Archive) -> None:
    job = await office.finished(job)
    assert (job.state, job.tally) == (
        ImportState.COMPLETED_WITH_ERRORS,
        Tally(created=archive.good, failed=len(archive.refusals)),
    )
    assert job.bytes_done == job.bytes_total == len(archive.file)
    assert await office.refusals(job) == archive.refusals


def is_half_way(job: ImportJob) -> bool:
    return job.tally.rows_read > 100


async def test_an_upload_becomes_rows(office: Service) -> None:
    async with office.worker() as worker:
        job = await office.start_import(SMALL.file)
        await assert_right(office, job, SMALL)
        told = await worker.event("import_finished")
        assert (told["import_id"], told["created"], told["failed"]) == (str(job.id), 90, 10)
        assert await worker.end(signal.SIGTERM) == 0


async def test_wakes_come_through_redis(office: Service, wire: Wire) -> None:
    queue = ArqQueue(office.settings.redis_url, timeout_s=5)
    await queue.open()
    async with office.worker() as worker:
        await queue.wake("a.topic", "a key")
        assert (await worker.event("wake_of_unknown_topic"))["topic"] == "a.topic"
    await queue.close()


async def test_a_worker_that_is_killed_is_followed_by_another_and_the_totals_are_exact(office: Service) -> None:
    async with office.worker() as first:
        job = await office.start_import(LARGE.file)
        await office.wait_for(job, is_half_way, "some rows are in")
        assert await first.end(signal.SIGKILL) == -signal.SIGKILL
    left = await office.job(job)
    assert left.state is ImportState.RUNNING
    assert left.tally.rows_read < 1_500
    async with office.worker():
        await assert_right(office, job, LARGE)


async def test_a_worker_that_is_told_to_stop_gives_its_job_back_to_another(office: Service) -> None:
    async with office.worker() as first:
        job = await office.start_import(LARGE.file)
        await office.wait_for(job, is_half_way, "some rows are in")
        assert await first.end(signal.SIGTERM) == 0
        assert (await first.event("import_given_back"))["state"] == "queued"
        await first.event("worker_stopped")
    async with office.worker():
        await assert_right(office, job, LARGE)


async def test_without_redis_jobs_are_found_and_when_it_is_back_wakes_come_again(office: Service, wire: Wire) -> None:
    async with office.worker() as worker:
        await wire.cut()
        await worker.event("redis_is_away")
        job = await office.start_import(SMALL.file)
        await assert_right(office, job, SMALL)

        await wire.mend()
        queue = ArqQueue(office.settings.redis_url, timeout_s=5)
        await queue.open()
        await queue.wake("a.topic", "a key")
        await queue.close()
        await worker.event("wake_of_unknown_topic")


async def test_a_worker_needs_no_redis_at_all(database_url: str, tmp_path: Path) -> None:
    async with service(database_url, None, tmp_path) as office, office.worker():
        job = await office.start_import(SMALL.file)
        await assert_right(office, job, SMALL)


async def test_the_cache_is_warmed_after_the_start_after_an_import_and_when_asked_for(office: Service) -> None:
    async def done(*reasons: str) -> None:
        async with asyncio.timeout(BOUND_S):
            while True:
                found = await office.byline.list_warmings(10, actor=office.actor)
                if [warming.reason for warming in found if warming.state is WarmingState.DONE] == [*reasons]:
                    return
                await asyncio.sleep(POLL_S)

    async with office.worker() as worker:
        await done("start")
        await office.start_import(SMALL.file)
        await done("import", "start")
        asked = await office.byline.request_warming(actor=office.actor)
        await done("request", "import", "start")
        report = (await office.byline.show_warming(asked.id, actor=office.actor)).report
        assert report is not None
        # The posts of the archive were warmed after their import. Some would end before the next warming.
        assert report.loaded + report.already_there > 20
        assert report.ended is Ending.DONE
        assert (await worker.event("cache_warmed"))["reason"] == "start"
        assert await worker.end(signal.SIGTERM) == 0


async def test_a_worker_without_a_database_says_what_to_set(tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BYLINE_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "workers.main"), cwd=tmp_path, env=kept, stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    assert process.returncode == 2
    assert b"BYLINE_DATABASE_URL" in said
