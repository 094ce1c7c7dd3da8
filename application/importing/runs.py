"""Running an import job: claim it, write its file chunk by chunk, end it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from application.importing.authors import Authors
from application.importing.posts import PostRows
from application.importing.rows import ImportLimits, RowIds, RowsOfKind
from application.importing.turns import Turns
from application.importing.users import UserRows
from application.importing.writing import PAUSES_S, Cancelled, Defective, Refused, Stopped, Unreadable, Writing
from application.ports.formats import Formats
from application.ports.imports import PackPosts
from application.ports.services import BlobStorage, Clock, HtmlCleaner, Ids, PasswordHasher, Slugger
from application.ports.work import BeginWork, UnitOfWork
from domain.actors import Role
from domain.errors import Busy, BylineError, LeaseLost, Unavailable, UserNotFound
from domain.ids import ImportId, UserId
from domain.import_options import ImportKind
from domain.imports import ImportJob, ImportState
from domain.users import User

Change = Callable[[ImportJob], ImportJob]

_GIVING_BACK_S = 2.0


class _CallsForCaution(Exception):
    """A worker died on the job."""


@dataclass(frozen=True, slots=True)
class _Claim:
    """Whether who started the job may give roles by now, and whether its default author is gone."""

    job: ImportJob
    may_give_roles: bool
    lacks_author: bool


@dataclass(frozen=True, slots=True)
class RunImport:
    """From where it stands to its end, each chunk in one transaction with its row errors and the checkpoint: whenever
    this ends, whoever claims the job next goes on from there, and no row is lost or written twice.

    While a chunk is written, what the next one meets is looked up, and the one after that is read. A lease of
    `limits.lease` is renewed every third of it. A row that the database refuses fails alone; where row after row cannot
    be written, and nobody knows why, the job fails. `on_progress` is told after every chunk. With `stop` set, the job
    is given back, queued, at the next checkpoint; where this task is cancelled, at the last one. After a worker died on
    a chunk it is halved, as `Caution` says; for as long as that is so, no other import runs in this process, so that
    nobody is blamed for a neighbour's row.

    Raises ImportNotFound; WrongState where it cannot be claimed; LeaseLost where another worker took it over meanwhile;
    Busy and Unavailable where the database cannot be written for seconds.
    """

    begin: BeginWork
    blobs: BlobStorage
    formats: Formats
    hasher: PasswordHasher
    clean: HtmlCleaner
    clock: Clock
    ids: Ids
    slugger: Slugger
    pack: PackPosts
    limits: ImportLimits
    currency: str
    turns: Turns = field(default_factory=Turns)

    async def __call__(
        self,
        import_id: ImportId,
        on_progress: Callable[[ImportJob], None] | None = None,
        *,
        stop: asyncio.Event | None = None,
    ) -> ImportJob:
        with contextlib.suppress(_CallsForCaution):
            async with self.turns.beside_others():
                return await self._run(await self._claim(import_id, is_alone=False), on_progress, stop, lambda: None)
        async with self.turns.alone() as relax:
            return await self._run(await self._claim(import_id, is_alone=True), on_progress, stop, relax)

    async def _run(
        self,
        claim: _Claim,
        on_progress: Callable[[ImportJob], None] | None,
        stop: asyncio.Event | None,
        relax: Callable[[], None],
    ) -> ImportJob:
        job = claim.job
        if job.state is ImportState.CANCELLING:
            return await self._settle(job, lambda stored: stored.stopped(at=self.clock.now()))
        if job.caution.is_hopeless:
            died = max(job.caution.deaths, job.caution.early_deaths)
            reason = f"Workers died {died} times in line {job.checkpoint.line}; see the worker's log."
            return await self._settle(job, lambda stored: stored.failed(reason, at=self.clock.now()))
        if claim.lacks_author:
            reason = "The default author is gone."
            return await self._settle(job, lambda stored: stored.refused(reason, at=self.clock.now()))
        write = Writing(
            self.begin,
            self.blobs,
            self.formats,
            self.clock,
            self.limits,
            self._rows(job, claim.may_give_roles),
            job,
            stop or asyncio.Event(),
            on_progress or (lambda _: None),
        )
        try:
            async with self._lease_kept(job):
                await write(relax)
            return await self._settle(job, self._ended)
        except Stopped:
            return await self._settle(job, self._released)
        except Cancelled:
            return await self._settle(job, lambda stored: stored.stopped(at=self.clock.now()))
        except Refused as error:
            reason = str(error)
            return await self._settle(job, lambda stored: stored.refused(reason, at=self.clock.now()))
        except (Unreadable, Defective) as error:
            reason = str(error)
            return await self._settle(job, lambda stored: stored.failed(reason, at=self.clock.now()))
        except (Busy, Unavailable):
            await self._leave(job, self._settle_once)
            raise
        except asyncio.CancelledError:
            await self._leave(job, self._settle)
            raise

    def _rows(self, job: ImportJob, may_give_roles: bool) -> RowsOfKind[Any, Any, Any]:
        if job.kind is ImportKind.POSTS:
            authors = Authors(job, self.ids, self.slugger, self.currency)
            return PostRows.of(job, authors, slugger=self.slugger, clean=self.clean, pack=self.pack)
        return UserRows(job, may_give_roles, self.hasher, self.ids, RowIds(job), self.currency)

    async def _claim(self, import_id: ImportId, *, is_alone: bool) -> _Claim:
        """Raises _CallsForCaution where it does, and its worker would not be alone."""
        async with self.begin() as work:
            now = self.clock.now()
            found = await work.imports.lock_to_claim(import_id, at=now)
            job = found.claimed(at=now, lease=self.limits.lease, chunk_rows=self.limits.chunk_rows)
            if job.caution.chunk_rows and not _ends_at_once(job) and not is_alone:
                raise _CallsForCaution
            await work.imports.save_claim(job)
            starter = await _found(job.created_by, work)
            author = await _found(job.options.default_author, work)
            await work.commit()
        may_give_roles = starter is not None and starter.is_active and starter.role is Role.ADMIN
        return _Claim(job, may_give_roles, job.options.default_author is not None and author is None)

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

    def _ended(self, stored: ImportJob) -> ImportJob:
        now = self.clock.now()
        if stored.has_too_many_errors:
            failed = f"{stored.tally.failed - stored.forgiven}{' more' if stored.forgiven else ''} rows failed"
            reason = f"{failed}, more than the {stored.options.max_errors} that were allowed."
            return stored.failed(reason, at=now)
        return stored.finished(at=now)

    async def _leave(self, job: ImportJob, settle: Callable[[ImportJob, Change], Awaitable[ImportJob]]) -> None:
        """Given back, as far as the database goes along with it: without it the lease runs out."""
        with contextlib.suppress(BylineError, TimeoutError):
            async with asyncio.timeout(_GIVING_BACK_S):
                await settle(job, self._released)

    def _released(self, stored: ImportJob) -> ImportJob:
        return stored.released(at=self.clock.now())

    async def _settle(self, job: ImportJob, change: Change) -> ImportJob:
        """`change` is given the job as it is stored: a commit may have happened whose answer was lost."""
        for pause in PAUSES_S:
            with contextlib.suppress(Busy, Unavailable):
                return await self._settle_once(job, change)
            await asyncio.sleep(pause)
        return await self._settle_once(job, change)

    async def _settle_once(self, job: ImportJob, change: Change) -> ImportJob:
        async with self.begin() as work:
            try:
                await work.imports.hold(job)
            except LeaseLost:
                stored = await work.imports.get(job.id)
                if stored.fence != job.fence:
                    raise
                # It is settled: of an earlier try, only the answer was lost.
                return stored
            settled = change(await work.imports.lock(job.id))
            await work.imports.save(settled)
            await work.commit()
        return replace(settled, revision=settled.revision + 1)


def _ends_at_once(job: ImportJob) -> bool:
    """No row of it is written any more."""
    return job.state is ImportState.CANCELLING or job.caution.is_hopeless


async def _found(user_id: UserId | None, work: UnitOfWork) -> User | None:
    if user_id is None:
        return None
    try:
        return await work.users.get(user_id)
    except UserNotFound:
        return None
