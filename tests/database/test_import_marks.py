"""How PostgreSQL finds the marks that nobody can want any more, among millions that are wanted."""

from dataclasses import replace

import pytest
from sqlalchemy import text

from domain.imports import ImportJob, ImportState
from infrastructure.database.database import Database
from infrastructure.database.imports import _DELETE_MARKS
from tests.builders import NOON, a_job
from tests.database.inside import transaction_of
from tests.database.test_plans import nodes

MARKS = 20_000
LIMIT = 100
WANTED = replace(a_job(), state=ImportState.RUNNING)
DONE = replace(a_job(), state=ImportState.SUCCEEDED, finished_at=NOON)


async def add_marks(database: Database, *jobs: ImportJob) -> None:
    async with database.begin() as work:
        for job in jobs:
            await work.imports.add(job)
            await work.imports.add_marks(job.id, [f"{job.id} {number}".encode() for number in range(MARKS)])
        await work.commit()


@pytest.mark.parametrize("is_analysed", [False, True])
@pytest.mark.parametrize(("jobs", "read_max"), [((WANTED,), 10), ((WANTED, DONE), 2 * LIMIT + 10)])
async def test_no_more_marks_are_read_than_are_deleted(
    database: Database, jobs: tuple[ImportJob, ...], read_max: int, is_analysed: bool
) -> None:
    await add_marks(database, *jobs)
    async with database.begin() as work:
        transaction = transaction_of(work)
        if is_analysed:
            await transaction.run("ANALYZE imports, import_marks")
        explaining = text(f"EXPLAIN (ANALYZE, FORMAT JSON) {_DELETE_MARKS.text}")
        (plan,) = (await transaction.execute(explaining, {"before": NOON, "limit": LIMIT})).scalar_one()
    scans = [node for node in nodes(plan["Plan"]) if node.get("Relation Name") == "import_marks"]
    assert len(scans) > 3
    assert sum(node.get("Actual Rows", 0) * node["Actual Loops"] for node in scans) <= read_max
    assert sum(node.get("Rows Removed by Filter", 0) for node in scans) == 0
