"""`kill -9` of the worker at every boundary of chunks and at random moments: what is left is what no fault leaves."""

import asyncio
import random
from itertools import cycle

import pytest

from benchmarks.make_archive import Refusal
from domain.imports import ALONE_MAX
from tests.faults import archives
from tests.faults.conftest import Offices
from tests.faults.gates import IN_CHUNKS, Gate, Gates
from tests.faults.scenarios import Scenario, new_authors, new_posts, new_users, rehearsed, updates
from tests.faults.tables import assert_equal, tables

pytestmark = pytest.mark.e2e

FEW_ROWS, MANY_ROWS = 150, 1_500
LONGEST_LIFE_S = 0.2


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
        pytest.param(new_authors(600), 3, id="3 kills"),
        pytest.param(new_authors(8_000), 50, id="50 kills", marks=pytest.mark.soak),
    ],
)
async def test_killed_at_random_moments_it_ends_as_one_that_nothing_disturbed(
    offices: Offices, scenario: Scenario, kills: int
) -> None:
    expected = await scenario.undisturbed(offices)
    dice = random.Random(1)
    async with offices() as office:
        job = await scenario.start(office)
        fence = killed = 0
        while killed < kills and not job.is_finished:
            async with office.worker() as worker:
                job = await office.claimed(job, after=fence)
                fence = job.fence
                await asyncio.sleep(dice.uniform(0, LONGEST_LIFE_S))  # the fault itself: at any moment
                await worker.kill()
                killed += 1
        assert killed == kills
        async with office.worker():
            await office.claimed(job, after=fence)
            await office.finished(job)
        assert_equal(await tables(str(office.settings.database_url)), expected)


@pytest.mark.parametrize(
    ("gate", "kills", "failed"),
    [(Gate.BEFORE_MARK, 2 * ALONE_MAX, 0), (Gate.BEFORE_ROWS, ALONE_MAX - 1, 0), (Gate.BEFORE_ROWS, ALONE_MAX, 1)],
)
async def test_a_row_alone_is_blamed_for_those_only_who_were_killed_in_its_attempt(
    offices: Offices, gates: Gates, gate: Gate, kills: int, failed: int
) -> None:
    file = archives.posts(5)
    alone = {"BYLINE_IMPORT_CHUNK_ROWS": "1"}
    async with offices() as office:
        job = await office.start_import(file, create_authors=True)
        for closed in [Gate.BEFORE_ROWS, *[gate] * kills]:
            await gates.close(closed)
            async with office.worker(**alone) as worker:
                job = await office.claimed(job, after=job.fence)
                await gates.reached(closed)
                await worker.kill()
            await gates.open(closed)
        async with office.worker(**alone):
            await office.claimed(job, after=job.fence)
            job = await office.finished(job)
        assert job.tally.failed == failed
        assert job.tally.rows_read == len(file.splitlines())
        assert await office.refusals(job) == [Refusal(1, None, "quarantined")] * failed
