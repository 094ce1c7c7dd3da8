"""PostgreSQL that crashes and restarts, Valkey that forgets all, workers that are replaced: nothing of it shows."""

import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from itertools import cycle
from pathlib import Path

import pytest
from redis.asyncio import Redis

from domain.imports import ImportJob, ImportState, Tally
from infrastructure.database import schema
from tests.embedded.trees import Tree, all_gone, eventually, tree
from tests.faults.conftest import Offices
from tests.faults.scenarios import new_authors
from tests.faults.tables import assert_equal, tables
from tests.workers.processes import service

pytestmark = pytest.mark.e2e

BOUND_S = 900.0
CRASH, IMMEDIATE, FAST = signal.SIGKILL, signal.SIGQUIT, signal.SIGINT


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[Tree]:
    """Of the test's own, on a disk that is written to: it may end them as it likes."""
    async with tree(tmp_path / "servers") as own:
        await schema.upgrade(own.database_url)
        yield own


@pytest.mark.parametrize(
    ("rows", "restarts"), [pytest.param(1_000, 3, id="3"), pytest.param(5_000, 20, id="20", marks=pytest.mark.soak)]
)
async def test_postgresql_restarts_and_valkey_forgets_in_the_middle(
    offices: Offices, own: Tree, tmp_path: Path, rows: int, restarts: int
) -> None:
    scenario = new_authors(rows)
    expected = await scenario.undisturbed(offices)
    async with (
        service(own.database_url, own.redis_url, tmp_path, repeatable=True) as office,
        office.worker(BYLINE_IMPORT_CHUNK_ROWS="5"),
    ):
        job = await scenario.start(office)
        read = 0
        for how, _ in zip(cycle((CRASH, IMMEDIATE, FAST)), range(restarts), strict=False):
            job = await office.wait_for(job, has_read_more_than(read), "more rows are in")
            assert not job.is_finished
            read = job.tally.rows_read
            postgres = own.child("postgres")
            postgres.send_signal(how)
            await all_gone([postgres])
            await eventually(own.answers, "PostgreSQL is there again")
            async with Redis.from_url(own.redis_url) as redis:
                await redis.flushall()
        await office.finished(job)
        assert_equal(await tables(own.database_url), expected)


@pytest.mark.parametrize(
    ("rows", "restarts"), [pytest.param(1_500, 3, id="3"), pytest.param(15_000, 20, id="20", marks=pytest.mark.soak)]
)
async def test_workers_replaced_one_after_the_other_give_the_job_on(offices: Offices, rows: int, restarts: int) -> None:
    scenario = new_authors(rows)
    expected = await scenario.undisturbed(offices)
    async with offices() as office, AsyncExitStack() as stack:
        # Most of the time it waits, so that there is enough left to do for everybody.
        patient = {"BYLINE_IMPORT_LEASE_S": "10"}
        slowly = {"BYLINE_IMPORT_SHARE": "0.05", **patient}
        worker = await stack.enter_async_context(office.worker(**slowly))
        job = await scenario.start(office)
        for number in range(1, restarts + 1):
            job = await office.claimed(job, after=number - 1)
            following = await stack.enter_async_context(office.worker(**(slowly if number < restarts else patient)))
            read = job.tally.rows_read
            await office.wait_for(job, has_read_more_than(read), "more rows are in")
            assert await worker.end(signal.SIGTERM) == 0
            assert (await worker.event("import_given_back"))["state"] == ImportState.QUEUED
            worker = following
        await office.claimed(job, after=restarts)
        job = await office.finished(job)
        assert job.fence == restarts + 1  # nobody's lease ran out
        assert_equal(await tables(str(office.settings.database_url)), expected)


@pytest.mark.parametrize("jobs", [pytest.param(60, id="60"), pytest.param(1_000, id="1,000", marks=pytest.mark.soak)])
async def test_queued_jobs_are_all_done_once_after_valkey_has_forgotten_them(
    own: Tree, tmp_path: Path, jobs: int
) -> None:
    async with service(own.database_url, own.redis_url, tmp_path) as office, Redis.from_url(own.redis_url) as redis:
        queued = [await office.start_import(small_file(number)) for number in range(jobs)]
        assert await redis.dbsize() > 0
        await redis.flushall()
        async with office.worker(BYLINE_IMPORT_LEASE_S="10"), office.worker(BYLINE_IMPORT_LEASE_S="10"):
            for number, job in enumerate(queued):
                finished = await office.finished(job, bound_s=BOUND_S)
                assert (finished.state, finished.tally, finished.fence) == (ImportState.SUCCEEDED, Tally(created=2), 1)
                if number % 20 == 0:
                    await redis.flushall()
        titles = "SELECT array_agg(title ORDER BY title) FROM posts"
        assert await own.sql(titles) == sorted(f"{word} {n}" for n in range(jobs) for word in ("One", "Two"))


def small_file(number: int) -> bytes:
    return b"".join(b'{"title": "%s %d", "author": "author-0"}\n' % (word, number) for word in (b"One", b"Two"))


def has_read_more_than(rows: int) -> Callable[[ImportJob], bool]:
    return lambda job: job.tally.rows_read > rows
