import asyncio
from collections.abc import AsyncIterator

import pytest
import structlog

from application.outbox import START_IMPORT
from domain.imports import ImportJob, ImportState, Tally
from tests.imports.faults import Disturbed
from tests.imports.places import CHUNK_ROWS, MemoryPlace
from tests.imports.test_posts import lines, titled
from workers.runner import ImportRunner

ROWS = 3 * CHUNK_ROWS


class Gate(Disturbed):
    """Transactions of a chunk wait at it, and are counted as they come."""

    def __init__(self, place: MemoryPlace) -> None:
        super().__init__(place.begin)
        self.opened = asyncio.Event()
        self.arrived = asyncio.Semaphore(0)
        self.waiting = 0
        self.most = 0
        for number in range(1, 100):
            self.before("add_many", self._pass, number=number)

    async def _pass(self) -> None:
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        self.arrived.release()
        await self.opened.wait()
        self.waiting -= 1


@pytest.fixture
async def place() -> AsyncIterator[MemoryPlace]:
    place = MemoryPlace()
    await place.add_user("ann")
    yield place
    assert place.store.checked_out() == 0


@pytest.fixture
def gate(place: MemoryPlace) -> Gate:
    return Gate(place)


def a_runner(place: MemoryPlace, gate: Gate, *, at_once: int = 1) -> ImportRunner:
    return ImportRunner(place.run_import(begin=gate), at_once=at_once)


async def uploaded(place: MemoryPlace, name: str = "") -> ImportJob:
    return await place.upload(lines(*(titled(f"{name} {number}") for number in range(ROWS))))


async def settled(runner: ImportRunner) -> None:
    async with asyncio.timeout(10):
        await runner.idle()


async def test_a_job_that_is_woken_is_run_to_its_end(place: MemoryPlace, gate: Gate) -> None:
    gate.opened.set()
    runner = a_runner(place, gate)
    job = await uploaded(place)
    await runner.wake(START_IMPORT, str(job.id))
    await settled(runner)
    assert (await place.job(job.id)).state is ImportState.SUCCEEDED


async def test_wakes_may_be_repeated_and_may_name_what_is_not_there(place: MemoryPlace, gate: Gate) -> None:
    gate.opened.set()
    runner = a_runner(place, gate, at_once=3)
    job = await uploaded(place)
    for key in (str(job.id), str(job.id), str(place.ids.next())):
        await runner.wake(START_IMPORT, key)
    await settled(runner)
    await runner.wake(START_IMPORT, str(job.id))
    await settled(runner)
    assert (await place.job(job.id)).tally == Tally(created=ROWS)


@pytest.mark.parametrize("at_once", [1, 3])
async def test_no_more_run_at_once_than_may_and_all_have_their_turn(
    place: MemoryPlace, gate: Gate, at_once: int
) -> None:
    runner = a_runner(place, gate, at_once=at_once)
    jobs = [await uploaded(place, f"File {number}") for number in range(5)]
    for job in jobs:
        await runner.wake(START_IMPORT, str(job.id))
    for _ in range(at_once):
        await gate.arrived.acquire()
    gate.opened.set()
    await settled(runner)
    assert [(await place.job(job.id)).state for job in jobs] == [ImportState.SUCCEEDED] * 5
    assert gate.most == at_once


async def test_draining_lets_the_chunk_commit_and_gives_the_job_back(place: MemoryPlace, gate: Gate) -> None:
    runner = a_runner(place, gate)
    running, waiting = await uploaded(place, "One"), await uploaded(place, "Two")
    for job in (running, waiting):
        await runner.wake(START_IMPORT, str(job.id))
    await gate.arrived.acquire()
    draining = asyncio.create_task(runner.drain())
    await asyncio.sleep(0)
    gate.opened.set()
    await draining
    for job, rows in ((running, CHUNK_ROWS), (waiting, 0)):
        left = await place.job(job.id)
        assert (left.state, left.tally.rows_read) == (ImportState.QUEUED, rows)


async def test_aborting_gives_the_job_back_without_its_chunk(place: MemoryPlace, gate: Gate) -> None:
    runner = a_runner(place, gate)
    job = await uploaded(place)
    await runner.wake(START_IMPORT, str(job.id))
    await gate.arrived.acquire()
    await runner.abort()
    left = await place.job(job.id)
    assert (left.state, left.tally.rows_read) == (ImportState.QUEUED, 0)


async def test_an_import_that_fails_unexpectedly_leaves_the_others_alone(place: MemoryPlace) -> None:
    gate = Gate(place)
    gate.opened.set()
    gate.before("lock", _fail)
    runner = a_runner(place, gate)
    jobs = [await uploaded(place, f"File {number}") for number in range(2)]
    with structlog.testing.capture_logs() as logs:
        for job in jobs:
            await runner.wake(START_IMPORT, str(job.id))
        await settled(runner)
    assert [(await place.job(job.id)).state for job in jobs] == [ImportState.RUNNING, ImportState.SUCCEEDED]
    assert [(each["event"], each["log_level"]) for each in logs] == [
        ("import_interrupted", "error"),
        ("import_finished", "info"),
    ]


async def _fail() -> None:
    raise RuntimeError
