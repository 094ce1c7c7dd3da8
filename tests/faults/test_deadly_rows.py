"""A row that kills whatever process takes it up: it ends quarantined and reported, and all others are in."""

import asyncio
import json
from collections.abc import Sequence

import pytest

from benchmarks.make_archive import Refusal
from domain.imports import ALONE_MAX, ImportJob, ImportState, Tally
from tests.faults.conftest import Offices
from tests.faults.deadly_worker import DEADLY
from tests.workers.processes import Service, WorkerProcess

pytestmark = pytest.mark.e2e

ROWS = 30
SMALL_CHUNKS = {"BYLINE_IMPORT_CHUNK_ROWS": "2"}


def archive(source: str, *, deadly: frozenset[int] = frozenset()) -> bytes:
    """`deadly` are lines."""
    rows = (
        {
            "title": f"Title {line}",
            "author": "author-0",
            "content": f"<p>{DEADLY if line in deadly else 'Words.'}</p>",
            "content_format": "html",
            "source": source,
            "external_id": str(line),
        }
        for line in range(1, ROWS + 1)
    )
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


async def worked_off(office: Service, *jobs: ImportJob) -> int:
    """By deadly workers, one after the other; how many died."""
    died = 0
    while True:
        async with office.worker("tests.faults.deadly_worker", **SMALL_CHUNKS) as worker:
            done = asyncio.create_task(_all_finished(office, jobs))
            dead = asyncio.create_task(_dead(worker))
            await asyncio.wait([done, dead], return_when=asyncio.FIRST_COMPLETED)
            for waiting in (done, dead):
                waiting.cancel()
            if done.done():
                await done
                return died
            died += 1


async def _all_finished(office: Service, jobs: Sequence[ImportJob]) -> None:
    for job in jobs:
        await office.finished(job)


async def _dead(worker: WorkerProcess) -> None:
    await worker.process.wait()


async def test_a_deadly_row_is_quarantined_and_all_others_are_in(offices: Offices) -> None:
    line = ROWS // 2
    async with offices() as office:
        job = await office.start_import(archive("a", deadly=frozenset({line})))
        died = await worked_off(office, job)
        job = await office.job(job)
        assert (job.state, job.tally) == (ImportState.COMPLETED_WITH_ERRORS, Tally(created=ROWS - 1, failed=1))
        assert await office.refusals(job) == [Refusal(line, None, "quarantined")]
        assert died >= ALONE_MAX


async def test_a_job_beside_it_loses_no_row(offices: Offices) -> None:
    """Its worker dies with the other's row, again and again, and its rows are not to blame."""
    async with offices() as office:
        bad = await office.start_import(archive("a", deadly=frozenset({1})))
        good = await office.start_import(archive("b"))
        await worked_off(office, bad, good)
        assert (await office.job(good)).tally == Tally(created=ROWS)
        assert (await office.job(bad)).tally == Tally(created=ROWS - 1, failed=1)
