"""A worker that stands still past its lease while another finishes its job: thawed, it commits no row."""

import pytest

from domain.imports import ImportState
from tests.faults.conftest import Offices
from tests.faults.gates import IN_CHUNKS, Gate, Gates
from tests.faults.scenarios import new_authors
from tests.faults.tables import assert_equal, tables
from tests.faults.test_restarts import small_file

pytestmark = pytest.mark.e2e

SCENARIO = new_authors(150)


@pytest.mark.parametrize("moment", IN_CHUNKS, ids=lambda gate: gate.name.lower())
async def test_frozen_in_a_transaction_it_commits_nothing(offices: Offices, gates: Gates, moment: Gate) -> None:
    expected = await SCENARIO.undisturbed(offices)
    async with offices() as office, office.worker() as frozen:
        await gates.close(moment)
        job = await SCENARIO.start(office)
        await gates.reached(moment)
        await gates.let_one_pass(moment)
        await gates.reached(moment)
        await frozen.freeze()
        await gates.open(moment)
        async with office.worker():
            job = await office.claimed(job, after=1)
            job = await office.finished(job)
        assert job.fence == 2
        url = str(office.settings.database_url)
        assert_equal(await tables(url), expected)

        frozen.thaw()
        await frozen.event("import_lost_to_another_worker", "import_interrupted")
        assert_equal(await tables(url), expected)
        assert (await office.job(job)).revision == job.revision

        another = await office.start_import(small_file(1))
        assert (await office.finished(another)).state is ImportState.SUCCEEDED


async def test_frozen_between_transactions_it_commits_nothing(offices: Offices) -> None:
    expected = await SCENARIO.undisturbed(offices)
    async with offices() as office, office.worker(BYLINE_IMPORT_SHARE="0.05") as frozen:
        job = await SCENARIO.start(office)
        await office.wait_for(job, lambda now: now.tally.rows_read > 0, "some rows are in")
        await frozen.freeze()
        async with office.worker():
            job = await office.claimed(job, after=1)
            job = await office.finished(job)
        url = str(office.settings.database_url)
        frozen.thaw()
        await frozen.event("import_lost_to_another_worker", "import_interrupted")
        assert_equal(await tables(url), expected)
        assert (await office.job(job)).revision == job.revision
