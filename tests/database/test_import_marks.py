"""How PostgreSQL finds the marks and errors that nobody can want any more, among millions that are wanted."""

from dataclasses import replace

import pytest
from sqlalchemy import TextClause, text

from domain.imports import ImportJob, ImportState, RowError
from infrastructure.database.database import Database
from infrastructure.database.imports import _DELETE_ERRORS, _DELETE_MARKS
from tests.builders import NOON, SECOND, a_job
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


async def read_of(database: Database, table: str, statement: TextClause, *, is_analysed: bool) -> int:
    """How many rows of `table` are read, none for nothing."""
    async with database.begin() as work:
        transaction = transaction_of(work)
        if is_analysed:
            await transaction.run(f"ANALYZE imports, {table}")
        explaining = text(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement.text}")
        (plan,) = (await transaction.execute(explaining, {"before": NOON + SECOND, "limit": LIMIT})).scalar_one()
    scans = [node for node in nodes(plan["Plan"]) if node.get("Relation Name") == table]
    assert len(scans) > 3
    assert sum(node.get("Rows Removed by Filter", 0) for node in scans) == 0
    return sum(node.get("Actual Rows", 0) * node["Actual Loops"] for node in scans)


@pytest.mark.parametrize("is_analysed", [False, True])
@pytest.mark.parametrize(("jobs", "read_max"), [((WANTED,), 10), ((WANTED, DONE), 2 * LIMIT + 10)])
async def test_no_more_marks_are_read_than_are_deleted(
    database: Database, jobs: tuple[ImportJob, ...], read_max: int, is_analysed: bool
) -> None:
    await add_marks(database, *jobs)
    assert await read_of(database, "import_marks", _DELETE_MARKS, is_analysed=is_analysed) <= read_max


@pytest.mark.parametrize("is_analysed", [False, True])
@pytest.mark.parametrize(("jobs", "read_max"), [((WANTED,), 10), ((WANTED, DONE), 2 * LIMIT + 10)])
async def test_no_more_errors_are_read_than_are_deleted(
    database: Database, jobs: tuple[ImportJob, ...], read_max: int, is_analysed: bool
) -> None:
    async with database.begin() as work:
        for job in jobs:
            await work.imports.add(job)
            errors = [RowError(number, None, "bad", "Bad.", None, number) for number in range(1, MARKS + 1)]
            await work.imports.add_errors(job.id, errors)
        await work.commit()
    assert await read_of(database, "import_errors", _DELETE_ERRORS, is_analysed=is_analysed) <= read_max
