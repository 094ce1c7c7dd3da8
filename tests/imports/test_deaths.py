"""Rows that kill their worker, and rows that bring out a mistake of ours: they fail alone, all others are imported."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from math import log2
from typing import Any

import pytest

from application.importing.runs import RunImport
from application.ports.formats import PostRow, RowProblem, RowSkip
from domain.import_options import OnConflict
from domain.imports import DEATHS_MAX, Caution, ImportJob, ImportState, RowError, Tally
from tests.imports.faults import Crash, Disturbed
from tests.imports.places import LEASE, Place
from tests.imports.readings import Given, Parsed
from tests.imports.test_posts import lines, titled

CHUNK_ROWS = 8
ROWS = 30
TO_BE_ALONE = int(log2(CHUNK_ROWS))
ALONE = 3


class Deadly(Disturbed):
    """Whoever writes a post called poison raises `error`."""

    def __init__(self, place: Place, error: BaseException) -> None:
        super().__init__(place.begin)
        self.error = error

    async def call(self, name: str, method: Callable[..., Awaitable[Any]], *args: Any, **options: Any) -> Any:
        if name == "add_many" and any("poison" in post.title for post in args[0].posts):
            raise self.error
        return await super().call(name, method, *args, **options)


def file(*poisoned: int) -> bytes:
    return lines(*(titled("poison" if number in poisoned else f"T {number}") for number in range(ROWS)))


async def deaths_of(place: Place, run: RunImport, job: ImportJob) -> int:
    """Of workers, one after the other, each as soon as the lease of the one before has run out."""
    for deaths in range(200):
        try:
            await run(job.id)
        except Crash:
            place.clock.advance(LEASE)
        else:
            return deaths
    raise AssertionError("They die and die.")


def of_line(errors: list[RowError]) -> list[tuple[int, str | None, str]]:
    return [(error.line, error.field, error.code) for error in errors]


@pytest.mark.parametrize("poisoned", [0, 7, 8, 20, ROWS - 1])
async def test_a_row_that_kills_whoever_writes_it_is_quarantined_and_all_others_are_imported(
    place: Place, poisoned: int
) -> None:
    job = await place.upload(file(poisoned))
    run = place.run_import(begin=Deadly(place, Crash()), chunk_rows=CHUNK_ROWS)
    deaths = await deaths_of(place, run, job)
    done = await place.job(job.id)
    assert (done.state, done.tally) == (
        ImportState.COMPLETED_WITH_ERRORS,
        Tally(created=ROWS - 1, failed=1),
    )
    assert of_line(await place.errors(job.id)) == [(poisoned + 1, None, "quarantined")]
    assert done.caution == Caution()
    assert len(await place.posts()) == ROWS - 1
    assert deaths <= TO_BE_ALONE + ALONE


@pytest.mark.parametrize("poisoned", [{3, 4}, {0, 29}, {1, 6, 7}])
async def test_each_of_several_is_found(place: Place, poisoned: set[int]) -> None:
    job = await place.upload(file(*poisoned))
    run = place.run_import(begin=Deadly(place, Crash()), chunk_rows=CHUNK_ROWS)
    deaths = await deaths_of(place, run, job)
    assert (await place.job(job.id)).tally == Tally(created=ROWS - len(poisoned), failed=len(poisoned))
    assert of_line(await place.errors(job.id)) == [(number + 1, None, "quarantined") for number in sorted(poisoned)]
    assert deaths <= len(poisoned) * (TO_BE_ALONE + ALONE)


@pytest.mark.parametrize("poisoned", [0, 9, 20])
async def test_a_row_that_kills_whoever_judges_it_ahead_is_quarantined(place: Place, poisoned: int) -> None:
    """While it is far behind the chunk that is written."""

    def clean(html: str) -> str:
        if html == "poison":
            raise Crash
        return html

    rows = [
        titled(f"T {number}", content="poison" if number == poisoned else "x", content_format="html")
        for number in range(ROWS)
    ]
    job = await place.upload(lines(*rows))
    deaths = await deaths_of(place, replace(place.run_import(chunk_rows=CHUNK_ROWS), clean=clean), job)
    assert (await place.job(job.id)).tally == Tally(created=ROWS - 1, failed=1)
    assert of_line(await place.errors(job.id)) == [(poisoned + 1, None, "quarantined")]
    # It may be met ahead from each of the two chunks before its own.
    assert deaths <= TO_BE_ALONE + ALONE + 2


async def test_a_place_that_kills_whoever_reads_it_fails_the_job_and_all_before_it_is_imported(place: Place) -> None:
    def on_read(row: int) -> None:
        if row == 13:
            raise Crash

    formats = Given([PostRow(f"T {number}", "ann") for number in range(ROWS)], on_read)
    job = await place.upload(b"x" * ROWS)
    await deaths_of(place, replace(place.run_import(chunk_rows=CHUNK_ROWS), formats=formats), job)
    failed = await place.job(job.id)
    assert (failed.state, failed.tally, failed.lease_until) == (ImportState.FAILED, Tally(created=12), None)
    assert failed.error == f"Workers died {DEATHS_MAX} times in line 13; see the worker's log."

    await place.change(job.id, lambda job: job.resumed())
    formats = Given(formats.rows)
    assert (await replace(place.run_import(), formats=formats)(job.id)).tally == Tally(created=ROWS)


async def test_a_row_that_even_when_passed_over_kills_its_worker_fails_the_job(place: Place) -> None:
    """Whoever tells of it dies too."""
    job = await place.upload(file(13))
    begin = Deadly(place, Crash()).before("add_errors", _die)
    for number in range(2, DEATHS_MAX + 1):
        begin.before("add_errors", _die, number=number)
    await deaths_of(place, place.run_import(begin=begin, chunk_rows=CHUNK_ROWS), job)
    failed = await place.job(job.id)
    assert (failed.state, failed.tally) == (ImportState.FAILED, Tally(created=13))
    assert failed.error == f"Workers died {DEATHS_MAX} times in line 14; see the worker's log."


async def test_deaths_for_another_reason_take_no_row_away(place: Place) -> None:
    """Workers that die now and then, never three times at one row."""
    job = await place.upload(file())
    for number in range(1, 8):
        begin = Disturbed(place.begin).before("save", _die, number=1 + number % 2)
        try:
            await place.run_import(begin=begin, chunk_rows=CHUNK_ROWS)(job.id)
        except Crash:
            place.clock.advance(LEASE)
    assert (await place.run_import(chunk_rows=CHUNK_ROWS)(job.id)).tally == Tally(created=ROWS)


async def _die() -> None:
    raise Crash


@pytest.mark.parametrize("poisoned", [{0}, {13}, {13, 14, 15}, {0, 29}])
async def test_a_row_whose_writing_raises_what_nobody_expects_fails_alone(
    place: Place, poisoned: set[int], caplog: pytest.LogCaptureFixture
) -> None:
    job = await place.upload(file(*poisoned))
    run = place.run_import(begin=Deadly(place, TypeError("secret")), chunk_rows=CHUNK_ROWS)
    with caplog.at_level(logging.ERROR):
        done = await run(job.id)
    assert done.tally == Tally(created=ROWS - len(poisoned), failed=len(poisoned))
    errors = await place.errors(job.id)
    assert of_line(errors) == [(number + 1, None, "unexpected") for number in sorted(poisoned)]
    assert all("TypeError" in error.message and "secret" not in error.message for error in errors)
    logged = [record for record in caplog.records if record.message == "import_row_failed"]
    assert [(record.__dict__["line"], record.__dict__["import_id"]) for record in logged] == [
        (number + 1, str(job.id)) for number in sorted(poisoned)
    ]


async def test_what_such_a_row_would_have_made_is_not_there_for_those_after_it(place: Place) -> None:
    """Though they were judged while it was on its way."""
    rows = [titled(f"T {number}") for number in range(20)]
    rows[5] = titled("poison", source="old", external_id="1", slug="one")
    rows[8] = titled("Good", source="old", external_id="1", slug="one")
    job = await place.upload(lines(*rows))
    run = place.run_import(begin=Deadly(place, TypeError()), chunk_rows=CHUNK_ROWS)
    assert (await run(job.id)).tally == Tally(created=19, failed=1)
    assert of_line(await place.errors(job.id)) == [(6, None, "unexpected")]


async def test_a_row_whose_judging_raises_what_nobody_expects_fails_alone(place: Place) -> None:
    def clean(html: str) -> str:
        raise TypeError(html)

    rows = [titled("A"), titled("B", content="x", content_format="html"), titled("C")]
    job = await place.upload(lines(*rows))
    assert (await replace(place.run_import(), clean=clean)(job.id)).tally == Tally(created=2, failed=1)
    assert of_line(await place.errors(job.id)) == [(2, None, "unexpected")]


@pytest.mark.parametrize("name", ["stored_by_slug", "stored_by_external_id", "stored_by_login"])
async def test_a_look_that_fails_once_costs_nothing(place: Place, name: str) -> None:
    job = await place.upload(file())
    begin = Disturbed(place.begin).before(name, _fail, number=2)
    assert (await place.run_import(begin=begin, chunk_rows=CHUNK_ROWS)(job.id)).tally == Tally(created=ROWS)


async def _fail() -> None:
    raise TypeError


async def test_what_is_skipped_by_rule_is_counted_by_its_reason(place: Place) -> None:
    await place.imported(lines(titled("Here", slug="here")))
    rows: list[Parsed] = [
        *[RowSkip("comment")] * 12,
        PostRow("T", "ann"),
        PostRow("Here", "ann", slug="here"),
        RowSkip("attachment"),
        RowProblem("title", "too_short", "It is required."),
        RowSkip("comment"),
    ]
    job = await place.upload(b"x" * len(rows), on_conflict=OnConflict.SKIP)
    done = await replace(place.run_import(chunk_rows=4), formats=Given(rows))(job.id)
    assert done.tally == Tally(created=1, skipped=15, failed=1)
    assert (await place.job(job.id)).tally.reasons == {"comment": 13, "attachment": 1, "exists": 1}
    assert done.tally.rows_read == len(rows)


async def test_skips_and_errors_stay_with_their_half_of_a_chunk(place: Place) -> None:
    rows: list[Parsed] = [
        RowSkip("comment"),
        PostRow("A", "ann"),
        RowProblem("title", "too_short", "It is required."),
        PostRow("poison", "ann"),
        RowSkip("comment"),
        PostRow("B", "ann"),
        RowProblem("title", "too_short", "It is required."),
        RowSkip("attachment"),
    ]
    job = await place.upload(b"x" * len(rows))
    told: list[ImportJob] = []
    run = replace(place.run_import(begin=Deadly(place, TypeError()), chunk_rows=100), formats=Given(rows))
    done = await run(job.id, told.append)
    assert done.tally == Tally(created=2, skipped=3, failed=3)
    assert done.tally.reasons == {"comment": 2, "attachment": 1}
    assert [error.line for error in await place.errors(job.id)] == [3, 4, 7]
    assert [each.checkpoint.offset for each in told] == sorted({each.checkpoint.offset for each in told})


@pytest.mark.parametrize(
    ("caution", "asked", "ended"),
    [
        (Caution(), ImportState.CANCELLING, ImportState.CANCELLED),
        (Caution(chunk_rows=1, rows=1, deaths=DEATHS_MAX), ImportState.RUNNING, ImportState.FAILED),
    ],
    ids=["cancelled", "hopeless"],
)
async def test_a_job_of_which_no_row_is_written_any_more_waits_for_nobody(
    place: Place, caution: Caution, asked: ImportState, ended: ImportState
) -> None:
    job, other = await place.upload(file()), await place.upload(file())
    await place.change(job.id, lambda job: replace(job, state=asked, caution=caution))
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def halt() -> None:
        reached.set()
        await go_on.wait()

    run = place.run_import(begin=Disturbed(place.begin).before("hold", halt))
    beside = asyncio.create_task(run(other.id))
    await reached.wait()
    async with asyncio.timeout(10):
        assert (await replace(run, begin=place.begin)(job.id)).state is ended
    go_on.set()
    assert (await beside).tally.rows_read == ROWS
