"""Whatever interrupts an import, it ends as one that nothing interrupted."""

import asyncio

import pytest

from application.ports.work import BeginWork
from benchmarks.make_archive import Plan, archive
from domain.errors import Busy, BylineError, LeaseLost, Unavailable, WrongState
from domain.imports import ImportJob, ImportState, RowError, Tally
from tests.builders import NOON
from tests.imports.faults import Crash, Disturbed, raising
from tests.imports.places import CHUNK_ROWS, LEASE, MemoryPlace, Place, StoredPost

ROWS, BAD = 40, 6
PLAN = Plan(rows=ROWS, bad=BAD, authors=2, row_bytes=250)
FILE = b"".join(record for record, _ in archive(PLAN)).replace(b"author-0", b"ann").replace(b"author-1", b"bob")
REFUSALS = [(refused.line, refused.field, refused.code) for _, refused in archive(PLAN) if refused]

Left = tuple[ImportState, Tally, int, list[StoredPost], list[RowError]]


async def left_by(place: Place, job: ImportJob) -> Left:
    """All that an import leaves, but for ids."""
    job = await place.job(job.id)
    return job.state, job.tally, job.bytes_done, await place.posts(), await place.errors(job.id)


async def clear(place: Place) -> None:
    place.clock.at = NOON
    async with place.begin() as work:
        for author in (await work.users.stored_by_login({"ann", "bob"})).values():
            await work.posts.delete_by_author(author.id)
        await work.commit()


@pytest.fixture
async def undisturbed(place: Place) -> tuple[Left, list[str]]:
    """What a run without faults leaves, and the calls it makes; it is cleared away again."""
    counting = Disturbed(place.begin)
    job = await place.upload(FILE)
    await place.run_import(begin=counting)(job.id)
    left = await left_by(place, job)
    await clear(place)
    return left, counting.calls


async def end_with(place: Place, begin: BeginWork) -> Left:
    """By a run on `begin`, and where it fails by another one, once its lease has run out."""
    job = await place.upload(FILE)
    try:
        await place.run_import(begin=begin)(job.id)
    except (Crash, BylineError):
        place.clock.advance(LEASE)
        if not (await place.job(job.id)).is_finished:
            await place.run_import()(job.id)
    left = await left_by(place, job)
    await clear(place)
    return left


def chosen(place: Place, calls: list[str]) -> list[tuple[str, int]]:
    """Name and number of every call, and on PostgreSQL, which takes its time, of those around the writing."""
    numbered = [(name, calls[: at + 1].count(name)) for at, name in enumerate(calls)]
    if isinstance(place, MemoryPlace):
        return numbered
    return [(name, number) for name, number in numbered if name in ("add_many", "commit") and number in (1, 3, 7, 8)]


async def test_an_undisturbed_run_is_right(undisturbed: tuple[Left, list[str]]) -> None:
    (state, tally, done, posts, errors), calls = undisturbed
    assert (state, tally) == (ImportState.COMPLETED_WITH_ERRORS, Tally(created=ROWS - BAD, failed=BAD))
    assert (done, len(posts)) == (len(FILE), ROWS - BAD)
    assert [(error.line, error.field, error.code) for error in errors] == REFUSALS
    assert calls.count("hold") == -(-ROWS // CHUNK_ROWS) + 1


async def test_a_run_that_dies_at_any_call_is_gone_on_with_by_the_next(
    place: Place, undisturbed: tuple[Left, list[str]]
) -> None:
    left, calls = undisturbed
    for name, number in chosen(place, calls):
        dying = Disturbed(place.begin).before(name, raising(Crash()), number=number)
        assert await end_with(place, dying) == left, f"before {name} {number}"
        dying = Disturbed(place.begin).after(name, raising(Crash()), number=number)
        assert await end_with(place, dying) == left, f"after {name} {number}"


@pytest.mark.parametrize("error", [Busy(), Unavailable("The database")], ids=["busy", "away"])
async def test_a_database_that_is_busy_or_away_at_a_call_after_the_claim_is_asked_again(
    place: Place, undisturbed: tuple[Left, list[str]], error: BylineError
) -> None:
    left, calls = undisturbed
    claim = {(name, 1) for name in calls[: calls.index("hold")]}
    for name, number in chosen(place, calls):
        if (name, number) not in claim:
            job = await place.upload(FILE)
            busy = Disturbed(place.begin).before(name, raising(error), number=number)
            await place.run_import(begin=busy)(job.id)
            assert await left_by(place, job) == left, f"{name} {number}"
            await clear(place)


async def test_a_commit_whose_answer_is_lost_is_not_repeated(place: Place, undisturbed: tuple[Left, list[str]]) -> None:
    left, calls = undisturbed
    for number in range(1, calls.count("commit") + 1):
        deaf = Disturbed(place.begin).after("commit", raising(Unavailable("The database")), number=number)
        assert await end_with(place, deaf) == left, f"commit {number}"


async def test_whose_last_answer_is_lost_learns_how_it_ended(place: Place, undisturbed: tuple[Left, list[str]]) -> None:
    _, calls = undisturbed
    job = await place.upload(FILE)
    deaf = Disturbed(place.begin).after("commit", raising(Unavailable("The database")), number=calls.count("commit"))
    done = await place.run_import(begin=deaf)(job.id)
    assert done == await place.job(job.id)
    assert done.is_finished


async def test_a_chunk_is_not_repeated_by_halves_either(place: Place, undisturbed: tuple[Left, list[str]]) -> None:
    left, _ = undisturbed
    deaf = Disturbed(place.begin).after("commit", raising(Unavailable("The database")), number=2)
    for number in (2, 3, 4):
        deaf.before("hold", raising(Busy()), number=number)
    assert await end_with(place, deaf) == left


async def test_a_database_that_stays_away_leaves_the_job_to_whoever_comes_after_the_lease(place: Place) -> None:
    job = await place.upload(FILE)
    away = Disturbed(place.begin)
    for number in range(3, 10):
        away.before("hold", raising(Unavailable("The database")), number=number)
    with pytest.raises(Unavailable):
        await place.run_import(begin=away)(job.id)
    halted = await place.job(job.id)
    assert (halted.state, halted.tally.rows_read) == (ImportState.RUNNING, 2 * CHUNK_ROWS)
    with pytest.raises(WrongState):
        await place.run_import()(job.id)


async def test_one_of_two_runs_gets_the_job(place: Place) -> None:
    job = await place.upload(FILE)
    outcomes = await asyncio.gather(*(place.run_import()(job.id) for _ in range(2)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {ImportJob, WrongState}
    assert (await place.job(job.id)).tally == Tally(created=ROWS - BAD, failed=BAD)


async def test_a_run_that_lost_its_lease_commits_nothing_more(
    place: Place, undisturbed: tuple[Left, list[str]]
) -> None:
    left, _ = undisturbed
    job = await place.upload(FILE)

    async def another_takes_over() -> None:
        place.clock.advance(LEASE)
        await place.run_import()(job.id)

    with pytest.raises(LeaseLost):
        await place.run_import(begin=Disturbed(place.begin).before("hold", another_takes_over, number=3))(job.id)
    assert await left_by(place, job) == left


@pytest.mark.parametrize("name", ["stored_by_slug", "hold"])
async def test_a_run_that_lost_its_lease_to_one_that_still_runs_commits_nothing_more(
    place: Place, undisturbed: tuple[Left, list[str]], name: str
) -> None:
    left, _ = undisturbed
    job = await place.upload(FILE)

    async def another_takes_over_and_dies() -> None:
        place.clock.advance(LEASE)
        with pytest.raises(Crash):
            await place.run_import(begin=Disturbed(place.begin).before("hold", raising(Crash()), number=2))(job.id)
        halted.append(await place.job(job.id))

    halted: list[ImportJob] = []
    with pytest.raises(LeaseLost):
        await place.run_import(begin=Disturbed(place.begin).before(name, another_takes_over_and_dies))(job.id)
    assert await place.job(job.id) == halted[0]
    assert halted[0].state is ImportState.RUNNING

    place.clock.advance(LEASE)
    await place.run_import()(job.id)
    assert await left_by(place, job) == left


# Who holds a row in memory cannot be ended by another.
@pytest.mark.parametrize("url", [pytest.param("database", marks=pytest.mark.servers)], indirect=True)
async def test_a_run_that_is_taken_over_in_a_transaction_commits_nothing_of_it(
    place: Place, undisturbed: tuple[Left, list[str]]
) -> None:
    left, _ = undisturbed
    job = await place.upload(FILE)

    async def another_takes_over() -> None:
        place.clock.advance(LEASE)
        await place.run_import()(job.id)

    with pytest.raises(LeaseLost):
        await place.run_import(begin=Disturbed(place.begin).after("add_many", another_takes_over, number=2))(job.id)
    assert await left_by(place, job) == left


async def test_a_run_that_is_told_to_stop_gives_the_job_back_after_its_chunk(
    place: Place, undisturbed: tuple[Left, list[str]]
) -> None:
    left, _ = undisturbed
    job = await place.upload(FILE)
    stop = asyncio.Event()
    given_back = await place.run_import()(job.id, lambda _: stop.set(), stop=stop)
    assert given_back == await place.job(job.id)
    assert (given_back.state, given_back.lease_until) == (ImportState.QUEUED, None)
    assert given_back.tally.rows_read == CHUNK_ROWS
    await place.run_import()(job.id)
    assert await left_by(place, job) == left


@pytest.mark.parametrize(("name", "number"), [("hold", 2), ("add_many", 2), ("commit", 3)])
async def test_a_run_that_is_cancelled_gives_the_job_back(
    place: Place, undisturbed: tuple[Left, list[str]], name: str, number: int
) -> None:
    left, _ = undisturbed
    job = await place.upload(FILE)
    reached = asyncio.Event()

    async def halt() -> None:
        reached.set()
        await asyncio.Event().wait()

    run = asyncio.create_task(place.run_import(begin=Disturbed(place.begin).after(name, halt, number=number))(job.id))
    await reached.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert (await place.job(job.id)).state is ImportState.QUEUED
    await place.run_import()(job.id)
    assert await left_by(place, job) == left
