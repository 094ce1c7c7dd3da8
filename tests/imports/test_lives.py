"""Whatever befalls a job, and in whatever order: its posts are those of the rows up to its checkpoint, each once."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from application.imports import CancelImport, ResumeImport, RetryImport, RetryOptions
from domain.actors import Role
from domain.errors import Busy, LeaseLost, Unavailable, WrongState
from domain.import_options import OnConflict
from domain.imports import CLAIMED, ImportJob, ImportState, RowError, Tally
from domain.users import User
from infrastructure.memory.queue import MemoryQueue
from infrastructure.memory.store import MemoryStore
from tests.imports.faults import Crash, Disturbed, Step, raising
from tests.imports.places import LEASE, MemoryPlace, StoredPost
from tests.imports.test_posts import lines, titled

CHUNK_ROWS = 4
ROWS = 30
REPEATS = {7: 3, 21: 3, 23: 19}
"""Rows that name what an earlier one does."""
BY_NOBODY = {4, 13, 14, 29}
Result = TypeVar("Result")
Left = tuple[Tally, dict[str, int], list[StoredPost], list[RowError]]


def archive() -> list[dict[str, object]]:
    rows = []
    for number in range(ROWS):
        row = titled(f"T {number % 6}", views=number, content=str(number))
        if number % 2:
            row |= {"source": "old", "external_id": str(REPEATS.get(number, number))}
        rows.append(row | {"author": "nobody" if number in BY_NOBODY else "ann"})
    return rows


FILE = lines(*archive())
BEFORE = lines(*archive()[:6])


class At(Disturbed):
    """Takes a step before or after the call of that number, whichever it is."""

    def __init__(self, place: MemoryPlace, number: int, step: Step, *, before: bool) -> None:
        super().__init__(place.begin)
        self._number = number
        self._step = step
        self._is_before = before

    async def call(self, name: str, method: Callable[..., Awaitable[Any]], *args: Any, **options: Any) -> Any:
        is_it = len(self.calls) + 1 == self._number
        if is_it and self._is_before:
            self.calls.append(name)
            await self._step()
            return await method(*args, **options)
        answer = await super().call(name, method, *args, **options)
        if is_it:
            await self._step()
        return answer


async def settled() -> tuple[MemoryPlace, User]:
    place = MemoryPlace()
    # Who is thought dead may hold a row that others then do not wait for.
    place.store = MemoryStore(lock_timeout_s=0.02)
    operator = await place.add_user("operator", role=Role.OPERATOR)
    await place.add_user("ann")
    await place.imported(BEFORE)
    return place, operator


async def left_by(place: MemoryPlace, job: ImportJob) -> Left:
    job = await place.job(job.id)
    return job.tally, dict(job.tally.reasons), await place.posts(), await place.errors(job.id)


@cache
def undisturbed(on_conflict: OnConflict) -> list[Left]:
    """What a job leaves after each of its rows."""

    async def told() -> list[Left]:
        place, _ = await settled()
        job = await place.upload(FILE, on_conflict=on_conflict)
        left = [await left_by(place, job)]

        async def look() -> None:
            left.append(await left_by(place, job))

        begin = Disturbed(place.begin)
        for number in range(2, ROWS + 2):
            begin.after("commit", look, number=number)
        await place.run_import(begin=begin, chunk_rows=1)(job.id)
        return left

    return asyncio.run(told())


@dataclass
class Zombie:
    """A worker that was thought dead, and goes on at its gate. `fence` is that of its claim, unless it froze before."""

    working: asyncio.Task[ImportJob]
    gate: asyncio.Event
    fence: int | None


class Lives(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.zombies: list[Zombie] = []
        self.done: tuple[int, int, int] = (0, 0, 0)
        self.end: ImportJob | None = None

    def teardown(self) -> None:
        while self.zombies:
            self.thaw()
        self.wait_for(self.loop.shutdown_default_executor())
        self.loop.close()
        assert self.place.store.checked_out() == 0

    def wait_for(self, coming: Awaitable[Result]) -> Result:
        async def bounded() -> Result:
            async with asyncio.timeout(20):
                return await coming

        return self.loop.run_until_complete(bounded())

    @initialize(on_conflict=st.sampled_from(OnConflict), dry_run=st.booleans())
    def upload(self, on_conflict: OnConflict, dry_run: bool) -> None:
        self.expected = undisturbed(on_conflict)
        self.place, self.operator = self.wait_for(settled())
        self.job = self.wait_for(self.place.upload(FILE, on_conflict=on_conflict, dry_run=dry_run))

    def run_on(self, begin: Disturbed | None, **options: Any) -> None:
        """By a worker who gets it, or does not."""
        run = self.place.run_import(begin=begin, chunk_rows=CHUNK_ROWS)
        may_claim = self.job.claimable(at=self.place.clock.now())
        try:
            self.wait_for(run(self.job.id, **options))
        except WrongState:
            assert not may_claim
        except Busy:
            assert self.zombies
        except (Crash, asyncio.CancelledError):
            pass
        else:
            assert may_claim

    # So few workers die in one place that no row of it is passed over.
    may_die = precondition(lambda self: self.job.caution.deaths == 0)

    @rule()
    def run(self) -> None:
        self.run_on(None)

    @may_die
    @rule(number=st.integers(1, 80), before=st.booleans())
    def run_and_die(self, number: int, before: bool) -> None:
        self.run_on(At(self.place, number, raising(Crash()), before=before))

    @rule(chunks=st.integers(0, 4))
    def run_and_give_back(self, chunks: int) -> None:
        stop = asyncio.Event()
        left = [chunks]

        def on_progress(_: ImportJob) -> None:
            left[0] -= 1
            if left[0] <= 0:
                stop.set()

        if not chunks:
            stop.set()
        self.run_on(None, on_progress=on_progress, stop=stop)

    @rule(number=st.integers(1, 80), before=st.booleans())
    def run_and_be_cancelled_as_a_task(self, number: int, before: bool) -> None:
        async def cancel() -> None:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(0)

        self.run_on(At(self.place, number, cancel, before=before))

    @may_die
    @precondition(lambda self: len(self.zombies) < 2)
    @rule(number=st.integers(1, 80), before=st.booleans())
    def run_and_freeze(self, number: int, before: bool) -> None:
        gate, reached = asyncio.Event(), asyncio.Event()

        async def freeze() -> None:
            reached.set()
            await gate.wait()

        async def until_frozen() -> asyncio.Task[ImportJob]:
            run = self.place.run_import(begin=At(self.place, number, freeze, before=before), chunk_rows=CHUNK_ROWS)
            working = asyncio.create_task(run(self.job.id))
            frozen = asyncio.create_task(reached.wait())
            await asyncio.wait([working, frozen], return_when=asyncio.FIRST_COMPLETED)
            frozen.cancel()
            return working

        working = self.wait_for(until_frozen())
        if working.done():
            assert isinstance(working.exception(), WrongState | Busy | None)
        else:
            fence = self.wait_for(self.place.job(self.job.id)).fence
            self.zombies.append(Zombie(working, gate, fence if fence > self.job.fence else None))

    @precondition(lambda self: self.zombies)
    @rule()
    def thaw(self) -> None:
        """It goes on where it stood: whether it may, the fence decides."""
        zombie = self.zombies.pop(0)

        async def ended() -> None:
            zombie.gate.set()
            await asyncio.wait([zombie.working])

        before = self.wait_for(self.place.job(self.job.id))
        self.wait_for(ended())
        error = zombie.working.exception()
        if zombie.fence is not None and (before.fence != zombie.fence or before.state not in CLAIMED):
            assert isinstance(error, LeaseLost)
            assert self.wait_for(self.place.job(self.job.id)) == before
        else:
            assert isinstance(error, LeaseLost | WrongState | Busy | Unavailable | None)

    @rule()
    def the_lease_runs_out(self) -> None:
        self.place.clock.advance(LEASE)

    @rule()
    def cancel(self) -> None:
        cancel = CancelImport(self.place.begin, self.place.clock)
        self.ask(cancel(self.job.id, actor=self.operator.actor), refused=self.job.is_finished)

    @rule()
    def resume(self) -> None:
        resume = ResumeImport(self.place.begin, MemoryQueue(), self.place.clock, self.place.ids)
        is_going = self.job.state in CLAIMED or self.job.succeeded
        self.ask(resume(self.job.id, actor=self.operator.actor), refused=is_going)

    def ask(self, coming: Awaitable[ImportJob], *, refused: bool) -> None:
        try:
            self.wait_for(coming)
        except WrongState:
            assert refused
        except Busy:
            assert self.zombies

    @precondition(lambda self: self.job.is_finished and self.job.tally.failed)
    @rule()
    def try_the_failed_rows_again(self) -> None:
        """In a dry run, so that it leaves the posts alone."""
        place = self.place
        retry = RetryImport(place.begin, place.blobs, MemoryQueue(), place.clock, place.ids)
        child = self.wait_for(retry(self.job.id, RetryOptions(dry_run=True), actor=self.operator.actor))
        child = self.wait_for(place.run_import(chunk_rows=CHUNK_ROWS)(child.id))
        assert child.tally.rows_read == self.job.tally.failed
        assert child.succeeded

    @invariant()
    def what_is_there_is_what_was_read(self) -> None:
        self.job = self.wait_for(self.place.job(self.job.id))
        tally, reasons, posts, errors = self.wait_for(left_by(self.place, self.job))
        expected = self.expected[self.job.checkpoint.line - 1]
        if self.job.options.dry_run:
            posts = expected[2]
            assert self.wait_for(self.place.posts()) == self.expected[0][2]
        assert (tally, reasons, posts, errors) == expected
        assert tally.rows_read == self.job.checkpoint.line - 1
        if self.job.succeeded:
            assert tally.rows_read == ROWS

    @invariant()
    def nothing_goes_backwards(self) -> None:
        job = self.job
        done = job.bytes_done, job.tally.rows_read, job.revision
        assert all(now >= before for now, before in zip(done, self.done, strict=True))
        self.done = done
        assert job.state is not ImportState.FAILED
        if self.end is not None:
            assert job == self.end
        if job.succeeded:
            self.end = job


TestLives = Lives.TestCase
TestLives.settings = settings(stateful_step_count=25, max_examples=60)
