"""Running an import job: claim it, write its file chunk by chunk, end it."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, closing
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, TypeVar

from application.import_posts import PostRows
from application.import_rows import Chunk, ImportLimits, Outcome, RowsOfKind, chunks, row_error
from application.import_users import UserRows
from application.ports.formats import Readers, RowProblem
from application.ports.services import BlobStorage, Clock, Ids, PasswordHasher, Slugger
from application.ports.work import BeginWork
from domain.actors import Role
from domain.errors import (
    BlobNotFound,
    Busy,
    BylineError,
    Conflict,
    InvalidValue,
    LeaseLost,
    Unavailable,
    UserNotFound,
)
from domain.ids import ImportId
from domain.imports import ATTEMPTS_MAX, ImportJob, ImportKind

Item = TypeVar("Item")
Change = Callable[[ImportJob], ImportJob]

# What a chunk's transaction may be refused for because of a row in it.
_REFUSALS = (Conflict, UserNotFound, InvalidValue)

# How long to wait before each further try while the database is busy or away.
_PAUSES_S = (0.05, 0.25, 1.0)
_GIVING_BACK_S = 2.0


class _Unreadable(Exception):
    """The file as a whole. `str` says why, fit for the operator."""


@dataclass(frozen=True, slots=True)
class RunImport:
    """From where it stands to its end, each chunk in one transaction with its row errors and the checkpoint: whenever
    this ends, whoever claims the job next goes on from there, and no row is lost or written twice.

    A lease of `limits.lease` is renewed every third of it. A row that the database refuses fails alone. `on_progress`
    is told after every commit. With `stop` set, or cancelled, the job is given back, queued, at the next checkpoint.
    A job whose claims came to nothing ATTEMPTS_MAX times, other than by Busy and Unavailable, fails.

    Raises ImportNotFound; WrongState where it cannot be claimed; LeaseLost where another worker took it over meanwhile;
    Busy and Unavailable where the database cannot be written for seconds, and then the lease runs out by itself.
    """

    begin: BeginWork
    blobs: BlobStorage
    readers: Readers
    hasher: PasswordHasher
    clock: Clock
    ids: Ids
    slugger: Slugger
    limits: ImportLimits
    currency: str

    async def __call__(
        self,
        import_id: ImportId,
        on_progress: Callable[[ImportJob], None] | None = None,
        *,
        stop: asyncio.Event | None = None,
    ) -> ImportJob:
        job, may_give_roles = await self._claim(import_id)
        if job.is_stuck:
            reason = f"It failed {ATTEMPTS_MAX} times in the same place; see the worker's log."
            return await self._settle(job, lambda stored: stored.failed(reason, at=self.clock.now()))
        rows: RowsOfKind[Any]
        if job.kind is ImportKind.POSTS:
            rows = PostRows(job, self.ids, self.slugger)
        else:
            rows = UserRows(job, may_give_roles, self.begin, self.hasher, self.ids, self.currency)
        try:
            async with self._lease_kept(job), aclosing(self._chunks(job, rows)) as coming:
                async for chunk in coming:
                    if stop is not None and stop.is_set():
                        return await self._settle(job, ImportJob.released)
                    job = await self._write(job, chunk, rows)
                    if on_progress is not None:
                        on_progress(job)
            return await self._settle(job, lambda stored: stored.finished(at=self.clock.now()))
        except _Unreadable as error:
            unreadable = str(error)
            return await self._settle(job, lambda stored: stored.failed(unreadable, at=self.clock.now()))
        except (Busy, Unavailable):
            await self._leave(job, self._settle_once, ImportJob.excused)
            raise
        except asyncio.CancelledError:
            await self._leave(job, self._settle, ImportJob.released)
            raise

    async def _claim(self, import_id: ImportId) -> tuple[ImportJob, bool]:
        """The job, and whether who started it may give roles by now."""
        async with self.begin() as work:
            found = await work.imports.lock(import_id)
            job = found.claimed(at=self.clock.now(), lease=self.limits.lease)
            await work.imports.save_claim(job)
            may_give_roles = False
            if job.created_by is not None:
                with contextlib.suppress(UserNotFound):
                    user = await work.users.get(job.created_by)
                    may_give_roles = user.is_active and user.role is Role.ADMIN
            await work.commit()
        return job, may_give_roles

    @asynccontextmanager
    async def _lease_kept(self, job: ImportJob) -> AsyncIterator[None]:
        renewing = asyncio.create_task(self._renew_lease(job))
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.wait([renewing])
            if not renewing.cancelled():
                renewing.result()

    async def _renew_lease(self, job: ImportJob) -> None:
        """Until it is lost: the next chunk's transaction will be told so too."""
        lease = self.limits.lease
        pause = lease / 3
        while True:
            await asyncio.sleep(pause.total_seconds())
            try:
                async with self.begin() as work:
                    await work.imports.renew(job, until=self.clock.now() + lease)
                    await work.commit()
                pause = lease / 3
            except (Busy, Unavailable):
                pause = lease / 12
            except LeaseLost:
                return

    async def _chunks(self, job: ImportJob, rows: RowsOfKind[Any]) -> AsyncGenerator[Chunk[Any], None]:
        """Each while the next is read in a thread: memory holds two. Raises _Unreadable."""
        try:
            file = await asyncio.to_thread(self.blobs.open, job.blob_key)
        except BlobNotFound:
            raise _Unreadable("The uploaded file is gone.") from None
        except OSError as error:
            raise _Unreadable(f"The uploaded file cannot be read: {error.strerror}.") from error
        with closing(file):
            async with aclosing(_ahead(self._read(job, rows, file))) as coming:
                async for chunk in coming:
                    yield chunk

    def _read(self, job: ImportJob, rows: RowsOfKind[Any], file: BinaryIO) -> Iterator[Chunk[Any]]:
        """Raises _Unreadable."""
        start = job.checkpoint
        try:
            records = self.readers.of(job.format)(file, job.kind, start=start, max_row_bytes=self.limits.max_row_bytes)
            yield from chunks(records, rows, self.limits, start=start)
        except InvalidValue as error:
            raise _Unreadable(error.message) from None
        except OSError as error:
            raise _Unreadable(f"The uploaded file cannot be read: {error.strerror}.") from error

    async def _write(self, job: ImportJob, chunk: Chunk[Any], rows: RowsOfKind[Any]) -> ImportJob:
        """The job after the chunk. What the database goes on refusing is halved until a row is refused alone."""
        if chunk.next.offset <= job.checkpoint.offset:
            return job
        try:
            return await self._try_to_commit(job, chunk, rows)
        except (Busy, *_REFUSALS) as error:
            refusal = error
        if len(chunk.drafts) > 1:
            for half in chunk.halves():
                job = await self._write(job, half, rows)
            return job
        if isinstance(refusal, Busy):
            raise refusal
        problem = RowProblem(None, "refused", str(refusal))
        failed = chunk.failed(row_error(draft.record, problem, rows.kind) for draft in chunk.drafts)
        return await self._try_to_commit(job, failed, rows)

    async def _try_to_commit(self, job: ImportJob, chunk: Chunk[Any], rows: RowsOfKind[Any]) -> ImportJob:
        """Several times. Raises what the last one raised."""
        for pause in _PAUSES_S:
            try:
                return await self._commit(job, chunk, rows)
            except (Busy, Unavailable):
                await asyncio.sleep(pause)
            except _REFUSALS:
                # Somebody may have come between our look and our writing: the next look will see them.
                continue
        return await self._commit(job, chunk, rows)

    async def _commit(self, job: ImportJob, chunk: Chunk[Any], rows: RowsOfKind[Any]) -> ImportJob:
        await rows.prepare(chunk.drafts)
        async with self.begin() as work:
            await work.imports.hold(job)
            stored = await work.imports.get(job.id)
            if stored.checkpoint != job.checkpoint:
                # The answer to an earlier try's commit was lost, and the commit was not.
                return replace(job, tally=stored.tally, checkpoint=stored.checkpoint)
            outcome = await rows.write(chunk.drafts, work) if chunk.drafts else Outcome()
            errors = sorted([*chunk.errors, *outcome.errors], key=lambda error: error.line)
            if errors:
                await work.imports.add_errors(job.id, errors)
            advanced = job.advanced(chunk.tally(outcome), chunk.next)
            await work.imports.save(advanced)
            await work.commit()
        return advanced

    async def _leave(
        self,
        job: ImportJob,
        settle: Callable[[ImportJob, Change], Awaitable[ImportJob]],
        change: Change,
    ) -> None:
        """As far as the database goes along with it: without it the lease runs out."""
        with contextlib.suppress(BylineError, TimeoutError):
            async with asyncio.timeout(_GIVING_BACK_S):
                await settle(job, change)

    async def _settle(self, job: ImportJob, change: Change) -> ImportJob:
        """`change` is given the job as it is stored: a commit may have happened whose answer was lost."""
        for pause in _PAUSES_S:
            with contextlib.suppress(Busy, Unavailable):
                return await self._settle_once(job, change)
            await asyncio.sleep(pause)
        return await self._settle_once(job, change)

    async def _settle_once(self, job: ImportJob, change: Change) -> ImportJob:
        async with self.begin() as work:
            await work.imports.hold(job)
            settled = change(await work.imports.get(job.id))
            await work.imports.save(settled)
            await work.commit()
        return settled


async def _ahead(items: Iterator[Item]) -> AsyncGenerator[Item, None]:
    """Each item, the next one on its way in a thread. The thread has ended before this has."""
    loop = asyncio.get_running_loop()
    reading = loop.run_in_executor(None, next, items, None)
    try:
        while (item := await asyncio.shield(reading)) is not None:
            reading = loop.run_in_executor(None, next, items, None)
            yield item
    finally:
        cancelled = None
        while not reading.done():
            try:
                await asyncio.wait([reading])
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled
        reading.exception()
