"""Workers killed from outside, whenever: no row is blamed for it but one that was alone in three attempts."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import cycle, islice
from typing import Any

import pytest
from argon2 import PasswordHasher as Argon2
from hypothesis import given, settings
from hypothesis import strategies as st

from application.importing.runs import RunImport
from application.imports import RetryImport, RetryOptions
from application.ports.imports import ImportedPost, PackedPosts
from domain.actors import Role
from domain.ids import ImportId
from domain.import_options import ImportKind
from domain.imports import ALONE_MAX, DEATHS_MAX, Caution, ImportJob, ImportState, Tally
from infrastructure.memory.queue import MemoryQueue
from infrastructure.security.passwords import Argon2Hasher
from tests.imports.faults import Crash, Disturbed, raising
from tests.imports.places import LEASE, MemoryPlace, Place
from tests.imports.test_posts import lines, titled

CHUNK_ROWS = 4
ROWS = 9
ALONE = Caution(chunk_rows=1, rows=1)
USERS = ImportKind.USERS
Kill = tuple[int, bool]
"""The call at which somebody dies, and whether it is before it is made."""


def file(poisoned: int | None = None) -> bytes:
    return lines(*(titled("poison" if number == poisoned else f"T {number}") for number in range(ROWS)))


class Mortal(Disturbed):
    """Dies at `kill`, and of writing a post called poison."""

    def __init__(self, place: Place, kill: Kill | None) -> None:
        super().__init__(place.begin)
        self._kill = kill
        self._saved = False
        self.done: list[str] = []
        self.was_at_it: list[bool] = [False]
        """After each call: whether the job is marked so by what is committed."""

    async def call(self, name: str, method: Callable[..., Awaitable[Any]], *args: Any, **options: Any) -> Any:
        number = len(self.calls) + 1
        if self._kill == (number, True) or (name == "add_many" and self._is_deadly(args[0])):
            raise Crash
        answer = await super().call(name, method, *args, **options)
        self.done.append(name)
        if name in ("save", "save_caution"):
            self._saved = args[0].caution.has_begun
        self.was_at_it.append(self._saved if name == "commit" else self.was_at_it[-1])
        if self._kill == (number, False):
            raise Crash
        return answer

    @staticmethod
    def _is_deadly(written: object) -> bool:
        return isinstance(written, PackedPosts) and any("poison" in post.title for post in written.posts)


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
            if begin.was_at_it[-1] and after.caution.chunk_rows == 1:
                attempts[after.checkpoint.line] += 1
            if after.is_finished:
                return sum(attempts.values())
        else:
            return sum(attempts.values())
    raise AssertionError("They die and die.")


@given(
    kills=st.lists(st.tuples(st.integers(1, 40), st.booleans()), max_size=60),
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


async def kills_of_a_row(place: Place) -> tuple[list[Kill], list[Kill]]:
    """All that there are while a row is alone, up to its commit: those when its worker is not at it, and those when it
    is, once while it is judged and once while it is written."""
    job = await place.upload(lines(titled("T")))
    await left_alone(place, job)
    begin = Mortal(place, None)
    await place.run_import(begin=begin)(job.id)
    at_it = begin.was_at_it[: begin.done.index("save") + 2]
    assert [one for one, before in zip(at_it, [None, *at_it], strict=False) if one != before] == [False, True] * 2
    kills: dict[bool, list[Kill]] = {False: [], True: []}
    for number, was in enumerate(at_it[1:], 1):
        kills[at_it[number - 1]].append((number, True))
        kills[was].append((number, False))
    return kills[False], kills[True]


async def test_kills_while_nobody_is_at_a_row_count_nothing_however_many(place: Place) -> None:
    apart, _ = await kills_of_a_row(place)
    job = await place.upload(file())
    await left_alone(place, job)
    for kill in apart * 2:
        await kill_at(place, job, kill)
    await kill_at(place, job, (1, False))
    caution = (await place.job(job.id)).caution
    assert (caution.chunk_rows, caution.deaths, caution.has_begun) == (1, 0, False)
    assert caution.early_deaths > ALONE_MAX
    assert (await place.run_import(chunk_rows=CHUNK_ROWS)(job.id)).tally == Tally(created=ROWS)


@pytest.mark.parametrize(("kills", "failed"), [(ALONE_MAX - 1, 0), (ALONE_MAX, 1)])
async def test_kills_while_somebody_is_at_a_row_count_each(place: Place, kills: int, failed: int) -> None:
    _, within = await kills_of_a_row(place)
    for number in range(len(within)):
        job = await place.upload(file())
        await left_alone(place, job)
        await kill_at(place, job, (1, False))
        for kill in islice(cycle([within[number], within[number - 1]]), kills):
            await kill_at(place, job, kill)
            await kill_at(place, job, (1, False))
        done = await place.run_import(chunk_rows=CHUNK_ROWS)(job.id)
        assert done.tally.failed == failed
        assert await place.refusals(job.id) == [(1, None, "quarantined")] * failed


async def test_a_row_that_kills_whoever_encodes_it_is_passed_over(place: Place) -> None:
    """Between the look and the transaction."""

    def pack(posts: Sequence[ImportedPost], *, origin: ImportId, at: datetime) -> PackedPosts:
        if any("poison" in post.title for post in posts):
            raise Crash
        return place.pack(posts, origin=origin, at=at)

    job = await place.upload(file(poisoned=5))
    await worked_off_by(replace(place.run_import(chunk_rows=CHUNK_ROWS), pack=pack), place, job)
    assert await place.refusals(job.id) == [(6, None, "quarantined")]
    assert (await place.job(job.id)).tally == Tally(created=ROWS - 1, failed=1)


async def test_what_kills_whoever_looks_up_a_row_fails_the_job_and_does_not_go_on_for_ever(place: Place) -> None:
    """It is at the row before, and lives: no mark may hide that nothing comes of it."""
    begin = Disturbed(place.begin)
    for number in range(1, 2 * DEATHS_MAX):
        begin.before("stored_by_login", raising(Crash()), number=number)
    job = await place.upload(file())
    await worked_off_by(place.run_import(begin=begin, chunk_rows=CHUNK_ROWS), place, job)
    failed = await place.job(job.id)
    assert (failed.state, failed.tally) == (ImportState.FAILED, Tally())
    assert failed.error == f"Workers died {DEATHS_MAX} times in line 1; see the worker's log."


async def worked_off_by(run: RunImport, place: Place, job: ImportJob) -> None:
    for _ in range(2 * DEATHS_MAX):
        try:
            await run(job.id)
        except Crash:
            place.clock.advance(LEASE)
        else:
            return
    raise AssertionError("They die and die.")


async def test_a_password_is_hashed_while_nobody_is_at_its_row(place: Place) -> None:
    """It takes longest of all, and no row is any other there."""
    job = await place.upload(b'{"username": "cy", "email": "cy@example.org", "password": "long enough"}', kind=USERS)
    await left_alone(place, job)
    begin = Mortal(place, None)
    at_it: list[bool] = []

    class Hasher(Argon2Hasher):
        async def hash(self, password: str) -> str:
            at_it.append(begin.was_at_it[-1])
            return await super().hash(password)

    place.hasher = Hasher(threads=1, waiting=1, argon2=Argon2(time_cost=1, memory_cost=8, parallelism=1))
    assert (await place.run_import(begin=begin)(job.id)).tally == Tally(created=1)
    assert at_it == [False]
    assert begin.was_at_it.count(True) > 1


async def test_a_worker_that_gives_a_row_back_in_its_attempt_did_not_die_of_it(place: Place) -> None:
    job = await place.upload(file())
    await left_alone(place, job)
    for _ in range(ALONE_MAX):
        begin = Mortal(place, None)
        begin.after("add_many", raising(asyncio.CancelledError()))
        with pytest.raises(asyncio.CancelledError):
            await place.run_import(begin=begin, chunk_rows=CHUNK_ROWS)(job.id)
        assert begin.was_at_it[begin.calls.index("add_many")]
        await kill_at(place, job, (1, False))
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
    assert begin.done.count("save_caution") == 3


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


async def test_a_job_that_is_to_be_given_back_between_two_marks_fails_no_row(place: Place) -> None:
    job = await place.upload(file())
    await left_alone(place, job)
    stop = asyncio.Event()

    async def ask() -> None:
        stop.set()

    begin = Mortal(place, None)
    begin.after("stored_by_login", ask)
    given_back = await place.run_import(begin=begin, chunk_rows=CHUNK_ROWS)(job.id, stop=stop)
    assert (given_back.state, given_back.tally) == (ImportState.QUEUED, Tally())
    assert "add_many" not in begin.calls
    assert (await place.run_import(chunk_rows=CHUNK_ROWS)(job.id)).tally == Tally(created=ROWS)
