"""A dry run by a real worker: it tells what the real one then does, and changes nothing but itself."""

import pytest

from domain.import_options import OnConflict
from domain.imports import ImportJob
from tests.faults import archives
from tests.faults.conftest import Offices
from tests.faults.scenarios import run_here
from tests.faults.tables import assert_equal, tables
from tests.workers.processes import Service

pytestmark = pytest.mark.e2e

OF_THE_JOB = {"imports", "import_errors"}


async def told(office: Service, job: ImportJob) -> tuple[object, ...]:
    job = await office.finished(job, bound_s=600)
    errors = await office.byline.list_import_errors(job.id, after=0, limit=100_000, actor=office.actor)
    return job.state, job.tally, dict(job.tally.reasons), job.bytes_done, job.checkpoint, errors


@pytest.mark.parametrize(
    "rows", [pytest.param(6_000, id="few"), pytest.param(200_000, id="many", marks=pytest.mark.soak)]
)
@pytest.mark.parametrize("on_conflict", [OnConflict.SKIP, OnConflict.UPDATE])
async def test_a_dry_run_tells_what_the_real_one_does_and_changes_nothing(
    offices: Offices, rows: int, on_conflict: OnConflict
) -> None:
    async with offices() as office:
        url = str(office.settings.database_url)
        await run_here(office, await office.start_import(archives.posts(rows // 4)))
        before = await tables(url)
        async with office.worker(BYLINE_IMPORT_CHUNK_ROWS="700"):
            file = archives.posts(rows, edition=2)
            dry = await office.start_import(file, on_conflict=on_conflict, create_authors=True, dry_run=True)
            rehearsed = await told(office, dry)
            after = await tables(url)
            changed = {name for name in before if after[name] != before[name]}
            assert changed == OF_THE_JOB
            assert_equal({name: after[name][: len(before[name])] for name in before}, before)

            real = await office.start_import(file, on_conflict=on_conflict, create_authors=True)
            assert await told(office, real) == rehearsed
        assert rehearsed[1] != type(dry.tally)()
