"""`kill -9` of the worker at every boundary of chunks and at random moments: what is left is what no fault leaves."""

import asyncio
import random
import time
from itertools import cycle

import pytest

from benchmarks.make_archive import Refusal
from domain.imports import ALONE_MAX, ImportJob
from tests.faults import archives
from tests.faults.conftest import Offices
from tests.faults.gates import BOUND_S, IN_CHUNKS, POLL_S, Gate, Gates
from tests.faults.scenarios import Scenario, new_authors, new_posts, new_users, rehearsed, updates
from tests.faults.tables import assert_equal, tables
from tests.workers.processes import Service

pytestmark = pytest.mark.e2e

FEW_ROWS, MANY_ROWS = 150, 1_500
LONGEST_LIFE_S = 0.2
ATTEMPTS_A_LIFE = 3


@pytest.mark.parametrize(
    ("scenario", "kills"),
    [
        pytest.param(new_posts(FEW_ROWS), 3, id="new posts, 3 kills"),
        pytest.param(new_authors(FEW_ROWS), 3, id="new authors, 3 kills"),
        pytest.param(updates(FEW_ROWS), 3, id="updates, 3 kills"),
        pytest.param(rehearsed(FEW_ROWS), 3, id="a dry run, 3 kills"),
        pytest.param(new_users(FEW_ROWS), 3, id="users, 3 kills"),
        pytest.param(new_posts(MANY_ROWS), 50, id="new posts, 50 kills", marks=pytest.mark.soak),
        pytest.param(new_authors(MANY_ROWS), 50, id="new authors, 50 kills", marks=pytest.mark.soak),
        pytest.param(updates(MANY_ROWS), 50, id="updates, 50 kills", marks=pytest.mark.soak),
        pytest.param(rehearsed(MANY_ROWS), 50, id="a dry run, 50 kills", marks=pytest.mark.soak),
        pytest.param(new_users(MANY_ROWS), 50, id="users, 50 kills", marks=pytest.mark.soak),
    ],
)
async def test_killed_at_boundaries_it_ends_as_one_that_nothing_disturbed(
    offices: Offices, gates: Gates, scenario: Scenario, kills: int
) -> None:
    """Each worker commits one chunk and is killed in the next, at each gate in turn."""
    expected = await scenario.undisturbed(offices)
    async with offices() as office:
        job = await scenario.start(office)
        fence = job.fence
        for gate, _ in zip(cycle(IN_CHUNKS), range(kills), strict=False):
            await gates.close(gate)
            async with office.worker() as worker:
                fence = (await office.claimed(job, after=fence)).fence
                await gates.reached(gate)
                await gates.let_one_pass(gate)
                await gates.reached(gate)
                await worker.kill()
            await gates.open(gate)
        assert fence == kills
        async with office.worker():
            await office.claimed(job, after=fence)
            assert (await office.finished(job)).fence == kills + 1
        assert_equal(await tables(str(office.settings.database_url)), expected)


@pytest.mark.parametrize(
    ("scenario", "kills"),
    [
        pytest.param(new_authors(1_500), 3, id="3 kills"),
        pytest.param(new_authors(8_000), 50, id="50 kills", marks=pytest.mark.soak),
    ],
)
async def test_killed_at_random_moments_it_ends_as_one_that_nothing_disturbed(
    offices: Offices, scenario: Scenario, kills: int
) -> None:
    """The first one at its first commit, which tells how long a life must be here for a kill to come at any moment of
    an attempt, and after it. On a machine so loaded that nobody lives to see a commit, nothing would be tried but
    deaths at the beginning, which other tests are for."""
    expected = await scenario.undisturbed(offices)
    dice = random.Random(1)
    async with offices() as office:
        job = await scenario.start(office)
        fence = killed = 0
        longest_life_s = LONGEST_LIFE_S
        while killed < kills and not job.is_finished:
            async with office.worker() as worker:
                job = await office.claimed(job, after=fence)
                fence = job.fence
                if killed:
                    await asyncio.sleep(dice.uniform(0, longest_life_s))  # the fault itself: at any moment
                else:
                    claimed_at = time.monotonic()
                    job = await office.wait_for(job, lambda now: now.tally.rows_read > 0, "its first commit")
                    longest_life_s = max(LONGEST_LIFE_S, ATTEMPTS_A_LIFE * (time.monotonic() - claimed_at))
                await worker.kill()
                killed += 1
        assert killed == kills
        async with office.worker():
            await office.claimed(job, after=fence)
            await office.finished(job)
        assert_equal(await tables(str(office.settings.database_url)), expected)


@pytest.mark.parametrize(
    ("gate", "passed", "kills", "failed"),
    [
        pytest.param(Gate.BEFORE_MARK, 0, 2 * ALONE_MAX, 0, id="before it is judged"),
        pytest.param(Gate.BEFORE_MARK, 1, 2 * ALONE_MAX, 0, id="between judging and writing it"),
        pytest.param(Gate.BEFORE_ROWS, 0, ALONE_MAX - 1, 0, id="writing it, too few times"),
        pytest.param(Gate.BEFORE_ROWS, 0, ALONE_MAX, 1, id="writing it"),
        pytest.param(Gate.BEFORE_PAUSE, 0, ALONE_MAX, 1, id="judging it, though that is over"),
    ],
)
async def test_a_row_alone_is_blamed_for_those_only_who_were_killed_in_its_attempt(
    offices: Offices, gates: Gates, gate: Gate, passed: int, kills: int, failed: int
) -> None:
    """At the gate, when they have passed it so often."""
    file = archives.posts(5)
    alone = {"BYLINE_IMPORT_CHUNK_ROWS": "1"}
    async with offices() as office:
        job = await office.start_import(file, create_authors=True)
        for closed, times in [(Gate.BEFORE_ROWS, 0), *[(gate, passed)] * kills]:
            await gates.close(closed)
            async with office.worker(**alone) as worker:
                job = await office.claimed(job, after=job.fence)
                await reached(closed, gates, office, job)
                for _ in range(times):
                    await gates.let_one_pass(closed)
                    await reached(closed, gates, office, job)
                await worker.kill()
            await gates.open(closed)
        async with office.worker(**alone):
            await office.claimed(job, after=job.fence)
            job = await office.finished(job)
        assert job.tally.failed == failed
        assert job.tally.rows_read == len(file.splitlines())
        assert await office.refusals(job) == [Refusal(1, None, "quarantined")] * failed


async def reached(gate: Gate, gates: Gates, office: Service, job: ImportJob) -> None:
    """Rather than the end of the job."""
    async with asyncio.timeout(BOUND_S):
        while not await gates.is_waited_at(gate):
            assert not (await office.job(job)).is_finished, f"Nobody comes to {gate.name}."
            await asyncio.sleep(POLL_S)
