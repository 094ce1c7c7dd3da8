"""Bulk imports from the outside: queue a job, tell how it goes. `application.importing` is the inside."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from uuid import UUID

from application.outbox import START_IMPORT
from application.ports.formats import Formats, ReadLimits
from application.ports.imports import ImportQuery
from application.ports.services import Blob, BlobStorage, Clock, Ids, JobQueue
from application.ports.work import BeginWork, Message, UnitOfWork
from domain.actors import Actor
from domain.errors import BlobNotFound, IdempotencyKeyReused, InvalidValue, UserNotFound
from domain.ids import ImportId, MessageId, UserId
from domain.import_options import ImportFormat, ImportOptions, OnConflict, Publish
from domain.imports import ImportJob, ImportState, RowError


@dataclass(frozen=True, slots=True)
class NewImport:
    """`format` None: as the content tells. `default_author` is a username, an email address or an id.

    `detached`: left to the worker, which is woken; else the caller runs it. Unless `started`, it waits to be resumed.
    A client that names the same `idempotency_key` again gets the job that it made.
    """

    blob: Blob
    options: ImportOptions
    format: ImportFormat | None = None
    file_name: str | None = None
    default_author: str | None = None
    detached: bool = True
    started: bool = True
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """`is_replay`: the same request was made before, and made this job; its file of now was discarded."""

    job: ImportJob
    is_replay: bool = False


@dataclass(frozen=True, slots=True)
class StartImport:
    """A queued job. Waking the worker must happen, so it is in the outbox; the try after the commit saves the wait.

    Raises NotAllowed; InvalidValue for a file of no known format and for an unknown default author; TooLarge for one
    that grows past the limits as it is decompressed; IdempotencyKeyReused.
    """

    begin: BeginWork
    blobs: BlobStorage
    formats: Formats
    queue: JobQueue
    clock: Clock
    ids: Ids
    limits: ReadLimits

    async def __call__(self, request: NewImport, *, actor: Actor) -> Started:
        actor.require_operator()
        blob = request.blob
        form = request.format
        if form is None:
            form = await asyncio.to_thread(self._recognised, blob, request.file_name)
        async with self.begin() as work:
            author = await _author(work, request.default_author)
        job = ImportJob(
            id=ImportId(self.ids.next()),
            options=replace(request.options, default_author=author),
            format=form,
            blob_key=blob.key,
            file_name=request.file_name,
            file_hash=blob.sha256,
            bytes_total=blob.size,
            created_by=actor.id,
            created_at=self.clock.now(),
            state=ImportState.QUEUED if request.started else ImportState.UPLOADED,
            idempotency_key=request.idempotency_key,
        )
        async with self.begin() as work:
            earlier = await self._earlier(job, actor, work)
            if earlier is None:
                await work.imports.add(job)
                if request.detached and request.started:
                    await wake_worker(work, job, self.queue, self.ids, self.clock)
                await work.commit()
        if earlier is None:
            return Started(job)
        await self.blobs.delete(blob.key)
        return Started(earlier, is_replay=True)

    async def _earlier(self, job: ImportJob, actor: Actor, work: UnitOfWork) -> ImportJob | None:
        """The job that the same request made before. Raises IdempotencyKeyReused."""
        if job.idempotency_key is None:
            return None
        await work.imports.lock_key(actor.id, job.idempotency_key)
        made = await work.imports.find_by_key(actor.id, job.idempotency_key)
        if made and (made.file_hash, made.options, made.format) != (job.file_hash, job.options, job.format):
            raise IdempotencyKeyReused
        return made

    def _recognised(self, blob: Blob, file_name: str | None) -> ImportFormat:
        with self.blobs.open(blob.key) as file:
            return self.formats.recognise(file, file_name=file_name, limits=self.limits)


@dataclass(frozen=True, slots=True)
class ShowImport:
    """Raises NotAllowed, ImportNotFound."""

    begin: BeginWork

    async def __call__(self, import_id: ImportId, *, actor: Actor) -> ImportJob:
        actor.require_operator()
        async with self.begin() as work:
            return await work.imports.get(import_id)


@dataclass(frozen=True, slots=True)
class ListImports:
    """Newest first, by keyset. Raises NotAllowed."""

    begin: BeginWork

    async def __call__(self, query: ImportQuery, *, actor: Actor) -> list[ImportJob]:
        actor.require_operator()
        async with self.begin() as work:
            return await work.imports.newest(query)


@dataclass(frozen=True, slots=True)
class WatchImport:
    """The job as it is, then whenever it has changed, until it has finished; only as it is after revision `after`.

    Raises NotAllowed, ImportNotFound, at the first step.
    """

    begin: BeginWork
    every_s: float = 0.25

    async def __call__(self, import_id: ImportId, *, after: int = 0, actor: Actor) -> AsyncGenerator[ImportJob]:
        actor.require_operator()
        while True:
            async with self.begin() as work:
                job = await work.imports.get(import_id)
            if job.revision > after:
                after = job.revision
                yield job
            if job.is_finished:
                return
            await asyncio.sleep(self.every_s)


@dataclass(frozen=True, slots=True)
class CancelImport:
    """Raises NotAllowed, ImportNotFound, WrongState."""

    begin: BeginWork
    clock: Clock

    async def __call__(self, import_id: ImportId, *, actor: Actor) -> ImportJob:
        actor.require_operator()
        async with self.begin() as work:
            job = (await work.imports.lock(import_id)).cancelled(at=self.clock.now())
            job = await work.imports.change(job)
            await work.commit()
        return job


@dataclass(frozen=True, slots=True)
class ResumeImport:
    """Go on from the checkpoint. Raises NotAllowed, ImportNotFound, WrongState."""

    begin: BeginWork
    queue: JobQueue
    clock: Clock
    ids: Ids

    async def __call__(self, import_id: ImportId, *, actor: Actor) -> ImportJob:
        actor.require_operator()
        async with self.begin() as work:
            job = await work.imports.change((await work.imports.lock(import_id)).resumed())
            await wake_worker(work, job, self.queue, self.ids, self.clock)
            await work.commit()
        return job


@dataclass(frozen=True, slots=True)
class RetryOptions:
    """What is done otherwise than by the parent; None: as it did."""

    on_conflict: OnConflict | None = None
    dry_run: bool | None = None
    create_authors: bool | None = None
    default_author: str | None = None
    publish: Publish | None = None

    def over(self, options: ImportOptions, *, default_author: UserId | None) -> ImportOptions:
        return replace(
            options,
            on_conflict=self.on_conflict or options.on_conflict,
            dry_run=options.dry_run if self.dry_run is None else self.dry_run,
            create_authors=options.create_authors if self.create_authors is None else self.create_authors,
            default_author=default_author or options.default_author,
            publish=self.publish or options.publish,
        )


@dataclass(frozen=True, slots=True)
class RetryImport:
    """A new job over the rows of the same file that failed. Raises NotAllowed, ImportNotFound, WrongState; InvalidValue
    for an unknown default author; BlobNotFound where the file, or which rows failed, was kept no longer."""

    begin: BeginWork
    blobs: BlobStorage
    queue: JobQueue
    clock: Clock
    ids: Ids

    async def __call__(self, import_id: ImportId, request: RetryOptions, *, actor: Actor) -> ImportJob:
        actor.require_operator()
        async with self.begin() as work:
            parent = (await work.imports.get(import_id)).require_retriable()
            (await asyncio.to_thread(partial(self.blobs.open, parent.blob_key))).close()
            if not await work.imports.error_places(parent.id, after=0, limit=1):
                raise BlobNotFound(parent.blob_key)
            job = ImportJob(
                id=ImportId(self.ids.next()),
                options=request.over(parent.options, default_author=await _author(work, request.default_author)),
                format=parent.format,
                blob_key=parent.blob_key,
                file_name=parent.file_name,
                file_hash=parent.file_hash,
                bytes_total=parent.bytes_total,
                created_by=actor.id,
                created_at=self.clock.now(),
                parent_id=parent.id,
            )
            await work.imports.add(job)
            await wake_worker(work, job, self.queue, self.ids, self.clock)
            await work.commit()
        return job


@dataclass(frozen=True, slots=True)
class ListImportErrors:
    """The rows that failed, in file order, each with its number from 1. Raises NotAllowed, ImportNotFound."""

    begin: BeginWork

    async def __call__(
        self, import_id: ImportId, *, after: int, limit: int, actor: Actor
    ) -> Sequence[tuple[int, RowError]]:
        actor.require_operator()
        async with self.begin() as work:
            await work.imports.get(import_id)
            return await work.imports.errors(import_id, after=after, limit=limit)


@dataclass(frozen=True, slots=True)
class ExportImportErrors:
    """The rows that failed as a file, CSV or NDJSON, that can be mended and imported: in pieces, of any number of rows.

    Raises NotAllowed, ImportNotFound, at the first step.
    """

    begin: BeginWork
    formats: Formats
    batch: int = 20
    """Rows, of up to a quarter of a megabyte each."""

    async def __call__(self, import_id: ImportId, form: ImportFormat, *, actor: Actor) -> AsyncGenerator[bytes]:
        actor.require_operator()
        write = self.formats.error_writer(form)
        async with self.begin() as work:
            await work.imports.get(import_id)
        yield write.head
        after = 0
        while True:
            async with self.begin() as work:
                found = await work.imports.errors(import_id, after=after, limit=self.batch)
            if not found:
                return
            after = found[-1][0]
            yield write([error for _, error in found])


async def wake_worker(work: UnitOfWork, job: ImportJob, queue: JobQueue, ids: Ids, clock: Clock) -> None:
    """Once `work` is committed."""
    key = str(job.id)
    await work.outbox.add(Message(MessageId(ids.next()), START_IMPORT, {"import_id": key}, clock.now()))
    work.after_commit(lambda: queue.wake(START_IMPORT, key))


async def _author(work: UnitOfWork, named: str | None) -> UserId | None:
    """Raises InvalidValue."""
    if named is None:
        return None
    user = await work.users.find_by_login(named)
    if user is None:
        try:
            user = await work.users.get(UserId(UUID(named)))
        except (ValueError, UserNotFound):
            raise InvalidValue(
                "default_author", f"Nobody has {named!r} as username, email address or id.", code="unknown_author"
            ) from None
    return user.id


@dataclass(frozen=True, slots=True)
class DispatchImports:
    """Wakes the worker for every job that nobody has, until somebody claims it: wake-ups may be lost."""

    begin: BeginWork
    queue: JobQueue
    clock: Clock
    limit: int = 100

    async def __call__(self) -> int:
        """How many were woken."""
        async with self.begin() as work:
            waiting = await work.imports.claimable(self.limit, at=self.clock.now())
        for import_id in waiting:
            await self.queue.wake(START_IMPORT, str(import_id))
        return len(waiting)
