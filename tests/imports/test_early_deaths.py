"""Workers killed from outside, whenever: no row is blamed for it but one that was alone in three attempts."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from application.imports import RetryImport, RetryOptions
from domain.actors import Role
from domain.imports import ALONE_MAX, Caution, ImportJob, ImportState, Tally
from infrastructure.memory.queue import MemoryQueue
from tests.imports.faults import Crash, Disturbed, raising
from tests.imports.places import LEASE, MemoryPlace, Place
from tests.imports.test_posts import lines, titled

CHUNK_ROWS = 4
ROWS = 9
ALONE = Caution(chunk_rows=1, rows=1)
Kill = tuple[int, bool]
"""The call at which somebody dies, and whether it is before it is made."""


def file(poisoned: int | None = None) -> bytes:
    return lines(*(titled("poison" if number == poisoned else f"T {number}") for number in range(ROWS)))


class Mortal(Disturbed):
    """Dies at `kill`, and of writing a post called poison."""

    def __init__(self, place: Place, kill: Kill | None) -> None:
        super().__init__(place.begin)
        self._kill = kill
        self.done: list[str] = []

    async def call(self, name: str, method: Callable[..., Awaitable[Any]], *args: Any, **options: Any) -> Any:
        number = len(self.calls) + 1
        if self._kill == (number, True) or (name == "add_many" and any("poison" in p.title for p in args[0].posts)):
            raise Crash
        answer = await super().call(name, method, *args, **options)
        self.done.append(name)
        if self._kill == (number, False):
            raise Crash
        return answer

    @property
    def died_in_an_attempt(self) -> bool:
        """Its last commit was that of a mark."""
        commits = [number for number, name in enumerate(self.done) if name == "commit"]
        return bool(commits) and self.done[commits[-1] - 1] == "save_caution"


async def worked_off(place: Place, job: ImportJob, kills: list[Kill]) -> int:
    """By workers that are killed so, but for any that would be the third to die in the attempt at a row that is no
    poison, and others after them. How many died in an attempt, all told."""
    kills = list(kills)
    attempts: Counter[int] = Counter()
    for _ in range(len(kills) + 20):
        tried = await place.job(job.id)
        is_spared = attempts[tried.checkpoint.line] == ALONE_MAX - 1
        begin = Mortal(place, kills.pop() if kills and not is_spared else None)
        try:
            await place.run_import(begin=begin, chunk_rows=CHUNK_ROWS)(job.id)
        except Crash:
            place.clock.advance(LEASE)
            after = await place.job(job.id)
            if begin.died_in_an_attempt and after.caution.chunk_rows == 1:
                attempts[after.checkpoint.line] += 1
        else:
            return sum(attempts.values())
    raise AssertionError("They die and die.")


@given(
    kills=st.lists(st.tuples(st.integers(1, 30), st.booleans()), max_size=60),
    poisoned=st.none() | st.integers(0, ROWS - 1),
)
@settings(max_examples=150, deadline=None)
def test_whenever_workers_are_killed_only_a_row_that_kills_them_is_passed_over(
    kills: list[Kill], poisoned: int | None
) -> None:
    async def imported() -> None:
        place = MemoryPlace()
        await place.add_user("ann")
        job = await place.upload(file(poisoned))
        await worked_off(place, job, kills)
        done = await place.job(job.id)
        bad = [] if poisoned is None else [(poisoned + 1, None, "quarantined")]
        assert await place.refusals(job.id) == bad
        assert done.tally == Tally(created=ROWS - len(bad), failed=len(bad))
        assert done.succeeded
        assert not done.caution.has_begun

    asyncio.run(imported())


async def left_alone(place: Place, job: ImportJob) -> None:
    """By a worker that died, with its next row."""
    await place.change(job.id, lambda job: replace(job, state=ImportState.RUNNING, caution=ALONE))


async def kill_at(place: Place, job: ImportJob, kill: Kill) -> None:
    with pytest.raises(Crash):
        await place.run_import(begin=Mortal(place, kill), chunk_rows=CHUNK_ROWS)(job.id)
    place.clock.advance(LEASE)


async def calls_up_to_the_mark(place: Place) -> int:
    """Of a worker that is given a row alone: the last one is the commit of the mark."""
    job = await place.upload(lines(titled("T")))
    await left_alone(place, job)
    begin = Mortal(place, None)
    await place.run_import(begin=begin)(job.id)
    marked = begin.done.index("save_caution") + 1
    assert begin.done[marked] == "commit"
    return marked + 1


async def test_kills_before_the_mark_count_nothing_however_many(place: Place) -> None:
    marked = await calls_up_to_the_mark(place)
    job = await place.upload(file())
    await left_alone(place, job)
    kills = [(number, is_before) for number in range(1, marked) for is_before in (True, False)] + [(marked, True)]
    for kill in kills * 3:
        await kill_at(place, job, kill)
    caution = (await place.job(job.id)).caution
    assert (caution.chunk_rows, caution.deaths, caution.has_begun) == (1, 0, False)
    assert caution.early_deaths > ALONE_MAX
    assert (await place.run_import(chunk_rows=CHUNK_ROWS)(job.id)).tally == Tally(created=ROWS)


@pytest.mark.parametrize(("kills", "failed"), [(ALONE_MAX - 1, 0), (ALONE_MAX, 1)])
async def test_kills_from_the_mark_on_count_each(place: Place, kills: int, failed: int) -> None:
    marked = await calls_up_to_the_mark(place)
    job = await place.upload(file())
    await left_alone(place, job)
    await kill_at(place, job, (1, False))
    for number in range(kills):
        await kill_at(place, job, (marked + number, False))
        await kill_at(place, job, (1, False))
    done = await place.run_import(chunk_rows=CHUNK_ROWS)(job.id)
    assert done.tally == Tally(created=ROWS - failed, failed=failed)
    assert await place.refusals(job.id) == [(1, None, "quarantined")] * failed


async def test_a_worker_that_gives_a_row_back_in_its_attempt_did_not_die_of_it(place: Place) -> None:
    marked = await calls_up_to_the_mark(place)
    job = await place.upload(file())
    await left_alone(place, job)
    for _ in range(ALONE_MAX):
        begin = Mortal(place, None)
        begin.after("add_many", raising(asyncio.CancelledError()))
        with pytest.raises(asyncio.CancelledError):
            await place.run_import(begin=begin, chunk_rows=CHUNK_ROWS)(job.id)
        assert begin.done.index("save_caution") < begin.calls.index("add_many")
        await kill_at(place, job, (marked - 1, True))
    assert (await place.job(job.id)).caution.deaths == 0
    assert (await place.run_import(chunk_rows=CHUNK_ROWS)(job.id)).tally == Tally(created=ROWS)


async def test_rows_that_are_tried_again_are_marked_where_they_are_wanted(place: Place) -> None:
    """And not at those between, which are only read."""
    rows = [titled(f"T {number}", author="cy" if number in {3, 7} else "ann") for number in range(ROWS)]
    parent = await place.imported(lines(*rows))
    await place.add_user("cy")
    operator = await place.add_user("operator", role=Role.OPERATOR)
    retry = RetryImport(place.begin, place.blobs, MemoryQueue(), place.clock, place.ids)
    child = await retry(parent.id, RetryOptions(), actor=operator.actor)
    await left_alone(place, child)
    begin = Mortal(place, None)
    assert (await place.run_import(begin=begin, chunk_rows=CHUNK_ROWS)(child.id)).tally == Tally(created=2)
    assert begin.done.count("save_caution") == 1


async def test_a_job_that_is_cancelled_or_to_be_given_back_begins_no_attempt(place: Place) -> None:
    job = await place.upload(file())
    await left_alone(place, job)

    async def cancel() -> None:
        await place.change(job.id, lambda job: job.cancelled(at=place.clock.now()))

    begin = Mortal(place, None)
    begin.after("commit", cancel)
    assert (await place.run_import(begin=begin, chunk_rows=CHUNK_ROWS)(job.id)).state is ImportState.CANCELLED
    assert "save_caution" not in begin.done

    other = await place.upload(file())
    await left_alone(place, other)
    stop = asyncio.Event()
    stop.set()
    begin = Mortal(place, None)
    given_back = await place.run_import(begin=begin, chunk_rows=CHUNK_ROWS)(other.id, stop=stop)
    assert (given_back.state, given_back.caution.has_begun) == (ImportState.QUEUED, False)
    assert "save_caution" not in begin.done
