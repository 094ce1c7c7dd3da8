"""Writing the rows of a job that this worker has claimed: chunk by chunk, each in one transaction."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, BinaryIO

from application.importing.ahead import ahead, ahead_in_thread
from application.importing.refusals import speakable
from application.importing.rows import Chunk, Chunks, ImportLimits, Met, Outcome, Places, Plan, RowsOfKind, unexpected
from application.ports.formats import FileShape, Formats, Record, RowProblem, TooCompressed
from application.ports.services import BlobStorage, Clock
from application.ports.work import BeginWork, UnitOfWork
from domain.errors import (
    BlobNotFound,
    Busy,
    BylineError,
    Conflict,
    InvalidValue,
    LeaseLost,
    TooLarge,
    Unavailable,
    UserNotFound,
)
from domain.ids import ImportId
from domain.import_options import OnConflict
from domain.imports import ImportJob, ImportState

log = logging.getLogger(__name__)

# How long to wait before each further try while the database is busy or away.
PAUSES_S = (0.05, 0.25, 1.0)

# What a chunk's transaction may be refused for because of a row in it, or because somebody came between.
_REFUSALS = (Conflict, UserNotFound, InvalidValue)
_PLACES_AT_ONCE = 10_000
# So many rows in a row that cannot be written, for a reason that nobody foresaw, are no fault of the rows'.
_UNEXPECTED_MAX = 20


class Unreadable(Exception):
    """The file as a whole. `str` says why, fit for the operator."""


class Refused(Exception):
    """The file as a whole or an option, and always again. `str` says why, fit for the operator."""


class Defective(Exception):
    """Something of ours, not of the rows'. `str` says what is known of it, fit for the operator."""


class Cancelled(Exception):
    """Somebody asked for that."""


class Stopped(Exception):
    """The worker is to end."""


@dataclass(frozen=True, slots=True)
class _Makes:
    """What the job will have made by a chunk, as long as there are no more `surprises`."""

    met: Met
    surprises: int


@dataclass(frozen=True, slots=True)
class _Planned:
    """A chunk, and what is to become of it, planned while the one before it was written; None: it is planned when it is
    its turn. The plan holds as long as there were no more `surprises` since it was begun, and since it was told what
    the one before makes. `makes` is told as soon as it is known; None where it never was."""

    chunk: Chunk[Any]
    plan: Plan | None
    surprises: int
    makes: asyncio.Future[_Makes | None]


@dataclass(slots=True)
class Writing:
    """`job` is as the last commit left it."""

    begin: BeginWork
    blobs: BlobStorage
    formats: Formats
    clock: Clock
    limits: ImportLimits
    rows: RowsOfKind[Any, Any, Any]
    job: ImportJob
    stop: asyncio.Event
    on_progress: Callable[[ImportJob], None]
    thread: ThreadPoolExecutor = field(default_factory=partial(ThreadPoolExecutor, 1, "import"))
    """One for all that computes: more would only fight for the interpreter."""
    only: Places | None = None
    unexpected: int = 0
    surprises: int = 0
    """How often something came otherwise than planned."""
    under_way: asyncio.Event = field(default_factory=asyncio.Event)
    """Not set while a chunk's transaction begins: for these moments PostgreSQL waits for us, and nothing else is begun
    that computes."""

    async def __call__(self, relax: Callable[[], None] = lambda: None) -> None:
        """All that is left, or up to where too many rows have failed. `relax` is told when no caution is called for.

        Raises Unreadable, Refused, Defective, Cancelled, Stopped, LeaseLost; Busy and Unavailable where the database
        cannot be written for seconds.
        """
        with self.thread:
            if self.job.parent_id is not None:
                self.only = await self._failed_places(self.job.parent_id)
                if not self.only.last:
                    raise Unreadable("Which rows failed was kept no longer: import the file again.")
            if await self._carefully():
                relax()
                await self._at_full_speed()

    async def _carefully(self) -> bool:
        """After a death: chunk by chunk, each read only when the one before is in. Whether there may be more.

        The job is marked for as long as a row may be what a death is of: while it is judged, and from its plan to its
        commit, for these take up all that it says. In between, and before, nothing is marked, though it is what takes
        longest in a worker that has just started: reading up to the row, looking up its names, which are short, and
        hashing its password, which is one like any other.
        """
        if not self.job.caution.chunk_rows:
            return True
        async with self._opened() as file:
            steps = self._steps(file, self.job.caution.chunk_rows)
            while self.job.caution.chunk_rows and not self.job.has_too_many_errors:
                step = await self._in_thread(next, steps, None)
                if step is None:
                    return False
                if isinstance(step, Chunk):
                    await self._write(_Planned(step, None, self.surprises, asyncio.Future()))
                else:
                    await self._mark_before_judging()
        return not self.job.has_too_many_errors

    async def _mark_before_judging(self) -> None:
        for pause in PAUSES_S:
            with contextlib.suppress(Busy, Unavailable):
                return await self._mark(self.job.begun())
            await asyncio.sleep(pause)
        return await self._mark(self.job.begun())

    async def _mark(self, job: ImportJob) -> None:
        """As begun or as paused, in a transaction of its own, which stays when this process dies; nothing, where no
        caution is called for. Raises Stopped, Cancelled, LeaseLost, Busy, Unavailable."""
        if not job.caution.chunk_rows or job.caution == self.job.caution:
            return
        if self.stop.is_set():
            raise Stopped
        async with self.begin() as work:
            stored = await work.imports.hold(job)
            if stored.state is ImportState.CANCELLING:
                raise Cancelled
            await work.imports.save_caution(job)
            await work.commit()
        self.job = job

    async def _at_full_speed(self) -> None:
        before: asyncio.Future[_Makes | None] = asyncio.Future()
        before.set_result(_Makes(Met(), self.surprises))
        self.under_way.set()
        spent: list[_Planned] = []

        async def planned(read: tuple[Chunk[Any], Any]) -> _Planned:
            nonlocal before
            last, before = before, asyncio.Future()
            return await self._planned(*read, last, before)

        async with (
            self._opened() as file,
            aclosing(ahead_in_thread(self._reading(file, spent), self.under_way, thread=self.thread)) as read,
            aclosing(ahead(read, planned)) as coming,
        ):
            async for each in coming:
                await self._write(each)
                spent.append(each)
                if self.job.has_too_many_errors:
                    return

    def _reading(self, file: BinaryIO, spent: list[_Planned]) -> Iterator[tuple[Chunk[Any], Any]]:
        """The chunks, each with the names in it. It is its thread that frees those that are `spent`, and not the
        event loop: that takes milliseconds, in which PostgreSQL would wait for the next ones."""
        for step in self._steps(file, self.limits.chunk_rows):
            if isinstance(step, Chunk):
                yield step, self.rows.names(step.drafts)
                spent.clear()

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[BinaryIO]:
        """Raises Unreadable."""
        try:
            file = await asyncio.to_thread(self.blobs.open, self.job.blob_key)
        except BlobNotFound:
            raise Unreadable("The uploaded file is gone.") from None
        except OSError as error:
            raise Unreadable(f"The uploaded file cannot be read: {error.strerror}.") from error
        with file:
            yield file

    def _steps(self, file: BinaryIO, rows_max: int) -> Iterator[Record | Chunk[Any]]:
        """Of `Chunks`. Blocking. Raises Unreadable, Refused."""
        job = self.job
        shape = FileShape(job.kind, self.limits.reading, job.options.columns)
        try:
            reading = self.formats.reader(job.format)(file, shape, start=job.checkpoint)
            yield from Chunks(reading, self.rows, self.limits, rows_max, self.only, job.caution.is_quarantine)
        except (TooLarge, TooCompressed) as error:
            raise Unreadable(str(error)) from None
        except InvalidValue as error:
            raise Refused(error.message) from None
        except OSError as error:
            raise Unreadable(f"The uploaded file cannot be read: {error.strerror}.") from error

    async def _failed_places(self, parent_id: ImportId) -> Places:
        places = Places()
        while True:
            async with self.begin() as work:
                found = await work.imports.error_places(parent_id, after=places.last, limit=_PLACES_AT_ONCE)
            if not found:
                return places
            places.add(found)

    async def _planned(
        self, chunk: Chunk[Any], names: Any, since: asyncio.Future[_Makes | None], makes: asyncio.Future[_Makes | None]
    ) -> _Planned:
        """Whatever goes wrong with that, writing will see to it, row by row where it must."""
        surprises, plan = self.surprises, None
        await self.under_way.wait()
        with contextlib.suppress(Exception):
            sight = await self._sight(chunk, names)
            before = await since
            if before is not None:
                surprises = min(surprises, before.surprises)
                plan = await self._in_thread(self.rows.plan, chunk.drafts, sight, before.met)
        return _Planned(chunk, plan, surprises, makes)

    async def _sight(self, chunk: Chunk[Any], names: Any) -> Any:
        async with self.begin() as work:
            sight = await self.rows.look(chunk.drafts, names, work)
        await self.rows.prepare(chunk.drafts, sight)
        return sight

    async def _in_thread(self, compute: Callable[..., Any], *values: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self.thread, compute, *values)

    async def _write(self, planned: _Planned) -> None:
        if self.stop.is_set():
            raise Stopped
        loop = asyncio.get_running_loop()
        began = loop.time()
        self.under_way.clear()
        plan = planned.plan if planned.surprises == self.surprises else None
        makes = None if plan is None else plan.makes
        if makes is not None:
            planned.makes.set_result(_Makes(makes, self.surprises))
        try:
            made = await self._write_chunk(planned.chunk, plan)
        finally:
            self.under_way.set()
        if not planned.makes.done():
            planned.makes.set_result(None if made is None else _Makes(made, self.surprises))
        await self._let_others((loop.time() - began) * (1 / self.limits.share - 1))

    async def _let_others(self, seconds: float) -> None:
        """Have the machine, unless this is to stop."""
        if seconds > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self.stop.wait()

    async def _write_chunk(self, chunk: Chunk[Any], plan: Plan | None) -> Met | None:
        """What the job has made and met by it, where that is known. What the database goes on refusing is halved until
        a row is refused alone. Raises Defective where row after row fails as nobody expects, and none is written."""
        try:
            return await self._try_to_commit(chunk, plan)
        except (LeaseLost, Unavailable, Cancelled, Stopped):
            raise
        except Exception as error:
            refusal = error
            self.surprises += 1
        if not chunk.drafts or (len(chunk.drafts) == 1 and isinstance(refusal, Busy)):
            raise refusal
        if len(chunk.drafts) == 1:
            problem = self._problem(chunk.drafts[0].record.line, refusal)
            return await self._try_to_commit(chunk.failed(problem, self.rows.kind), None)
        for half in chunk.halves():
            # Unless the whole chunk was committed, and only the answer to that was lost.
            if half.next.offset > self.job.checkpoint.offset:
                await self._write_chunk(half, None)
        return None

    def _problem(self, line: int, refusal: Exception) -> RowProblem:
        """Raises Defective."""
        if isinstance(refusal, BylineError):
            return RowProblem(None, "refused", str(refusal))
        log.error("import_row_failed", exc_info=speakable(refusal), extra={"import_id": str(self.job.id), "line": line})
        if self.unexpected >= _UNEXPECTED_MAX:
            raise Defective(
                f"Something is wrong with Byline or its database: {_UNEXPECTED_MAX + 1} rows one after the other, the"
                f" last in line {line}, cannot be imported ({type(refusal).__name__}); see the worker's log."
            ) from refusal
        self.unexpected += 1
        return unexpected(refusal)

    async def _try_to_commit(self, chunk: Chunk[Any], plan: Plan | None) -> Met | None:
        """Several times. Raises what the last one raised."""
        for pause in PAUSES_S:
            try:
                return await self._commit(chunk, plan)
            except (Busy, Unavailable):
                await asyncio.sleep(pause)
            except _REFUSALS:
                # Somebody may have come between the look and the writing: the next look will see them.
                plan = None
            self.surprises += 1
        return await self._commit(chunk, None)

    async def _commit(self, chunk: Chunk[Any], plan: Plan | None) -> Met | None:
        if chunk.drafts and plan is None:
            await self._mark(self.job.paused())
            sight = await self._sight(chunk, await self._in_thread(self.rows.names, chunk.drafts))
            await self._mark(self.job.begun())
            plan = await self._in_thread(self.rows.plan, chunk.drafts, sight, Met())
        job = self.job
        async with self.begin() as work:
            stored = await work.imports.hold(job)
            if stored.checkpoint != job.checkpoint:
                # The answer to an earlier try's commit was lost, and the commit was not.
                self._proceed(stored)
                return None
            if stored.state is ImportState.CANCELLING:
                raise Cancelled
            self.under_way.set()
            outcome = await self._written(plan, work) if plan is not None else Outcome()
            errors = sorted([*chunk.errors, *outcome.errors], key=lambda error: error.place)
            if errors:
                await work.imports.add_errors(job.id, errors)
            advanced = job.advanced(chunk.tally(outcome), chunk.next, at=self.clock.now())
            await work.imports.save(advanced)
            await work.commit()
        if plan is not None:
            self.unexpected = 0
        self._proceed(advanced)
        outcome.made.add(outcome.met)
        return outcome.made

    async def _written(self, plan: Plan, work: UnitOfWork) -> Outcome:
        options = self.job.options
        if not options.dry_run:
            outcome = await self.rows.write(plan, work)
            work.forget(outcome.touched)
            if options.on_conflict is OnConflict.UPDATE:
                await work.imports.add_marks(self.job.id, outcome.met.marks())
            return outcome
        async with work.rehearsal():
            outcome = await self.rows.write(plan, work)
        await work.imports.add_marks(self.job.id, outcome.met.marks() | outcome.made.marks())
        return outcome

    def _proceed(self, job: ImportJob) -> None:
        self.job = job
        self.on_progress(job)
