"""`kill -9` of the worker at every boundary of chunks and at random moments: what is left is what no fault leaves."""

import asyncio
import random
from itertools import cycle

import pytest

from tests.faults.conftest import Offices
from tests.faults.gates import Gate, Gates
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
        for gate, _ in zip(cycle(Gate), range(kills), strict=False):
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
