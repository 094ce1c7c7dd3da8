"""A mistake of ours, or of the schema, that no row gets past: the job fails before it has failed row by row."""

import logging
from collections.abc import Collection

import pytest

from domain.imports import Caution, ImportState, Tally
from tests.imports.places import LEASE, Place
from tests.imports.test_deaths import Deadly
from tests.imports.test_posts import lines, titled

ROWS = 50
MOST = 20
CHUNKS = [1, 16]
GOOD, MALFORMED = "Good", ""


def file(poisoned: Collection[int], *, others: str = GOOD) -> bytes:
    return lines(*(titled("poison" if number in poisoned else others) for number in range(ROWS)))


def deadly(place: Place) -> Deadly:
    return Deadly(place, TypeError("secret"))


@pytest.mark.parametrize("chunk_rows", CHUNKS)
@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("first", [0, 21])
async def test_a_job_whose_rows_cannot_be_written_one_after_the_other_fails(
    place: Place, chunk_rows: int, dry_run: bool, first: int, caplog: pytest.LogCaptureFixture
) -> None:
    job = await place.upload(file(range(first, ROWS)), dry_run=dry_run)
    run = place.run_import(begin=deadly(place), chunk_rows=chunk_rows)
    with caplog.at_level(logging.ERROR):
        failed = await run(job.id)
    assert failed == await place.job(job.id)
    assert (failed.state, failed.tally) == (ImportState.FAILED, Tally(created=first, failed=MOST))
    assert failed.error == (
        f"Something is wrong with Byline or its database: 21 rows one after the other, the last in line {first + 21},"
        " cannot be imported (TypeError); see the worker's log."
    )
    assert (failed.fence, failed.lease_until, failed.caution) == (1, None, Caution())
    logged = [record for record in caplog.records if record.message == "import_row_failed"]
    assert [record.__dict__["line"] for record in logged] == list(range(first + 1, first + MOST + 2))
    assert all(record.exc_info for record in logged)
    assert [line for line, _, code in await place.refusals(job.id) if code == "unexpected"] == [
        record.__dict__["line"] for record in logged[:-1]
    ]


@pytest.mark.parametrize("chunk_rows", CHUNKS)
async def test_no_row_is_lost_once_the_mistake_is_mended(place: Place, chunk_rows: int) -> None:
    job = await place.upload(file(range(10, ROWS)))
    await place.run_import(begin=deadly(place), chunk_rows=chunk_rows)(job.id)
    await place.change(job.id, lambda job: job.resumed())
    done = await place.run_import(chunk_rows=chunk_rows)(job.id)
    assert (done.state, done.tally) == (
        ImportState.COMPLETED_WITH_ERRORS,
        Tally(created=ROWS - MOST, failed=MOST),
    )
    assert [line for line, *_ in await place.refusals(job.id)] == list(range(11, 11 + MOST))
    assert len(await place.posts()) == ROWS - MOST


async def test_a_mistake_that_stays_costs_each_resumption_as_many_rows_and_no_more(place: Place) -> None:
    job = await place.upload(file(range(ROWS)))
    for number in (1, 2):
        failed = await place.run_import(begin=deadly(place), chunk_rows=8)(job.id)
        assert (failed.state, failed.tally, failed.fence) == (ImportState.FAILED, Tally(failed=number * MOST), number)
        await place.change(job.id, lambda job: job.resumed())


@pytest.mark.parametrize("chunk_rows", CHUNKS)
async def test_a_few_such_rows_among_good_ones_fail_alone(place: Place, chunk_rows: int) -> None:
    """However many there are, and however many of them one after the other, below the most."""
    poisoned = {number for number in range(ROWS) if number % (MOST + 1)}
    job = await place.upload(file(poisoned))
    done = await place.run_import(begin=deadly(place), chunk_rows=chunk_rows)(job.id)
    assert done.tally == Tally(created=ROWS - len(poisoned), failed=len(poisoned))
    assert {line - 1 for line, _, code in await place.refusals(job.id) if code == "unexpected"} == poisoned


@pytest.mark.parametrize("chunk_rows", CHUNKS)
async def test_rows_that_nobody_tries_to_write_prove_nothing(place: Place, chunk_rows: int) -> None:
    """Those that are malformed, in between."""
    job = await place.upload(file(range(0, ROWS, 2), others=MALFORMED))
    failed = await place.run_import(begin=deadly(place), chunk_rows=chunk_rows)(job.id)
    assert failed.state is ImportState.FAILED
    codes = [code for _, _, code in await place.refusals(job.id)]
    assert codes.count("unexpected") == MOST


async def test_a_job_that_failed_so_is_nobodys_to_claim(place: Place) -> None:
    job = await place.upload(file(range(ROWS)))
    await place.run_import(begin=deadly(place))(job.id)
    place.clock.advance(LEASE)
    async with place.begin() as work:
        assert await work.imports.claimable(10, at=place.clock.now()) == []
