"""Bulk imports from the outside: receive a file, queue a job, tell how it goes. `import_runs` is the inside."""

from collections.abc import AsyncIterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from application.outbox import START_IMPORT
from application.ports.services import Blob, BlobStorage, Clock, Ids, JobQueue
from application.ports.work import BeginWork, Message
from domain.actors import Actor
from domain.ids import ImportId, MessageId
from domain.imports import ImportFormat, ImportJob, ImportKind, RowError

# Long after the last upload whose job is still to be queued.
_ORPHANED = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ReceiveUpload:
    """The file, stored durably before any job names it. Raises NotAllowed, TooLarge, StorageFull."""

    blobs: BlobStorage
    ids: Ids
    max_bytes: int

    async def __call__(self, chunks: AsyncIterable[bytes], *, actor: Actor) -> Blob:
        actor.require_operator()
        return await self.blobs.write(f"imports/{self.ids.next()}", chunks, limit=self.max_bytes)


@dataclass(frozen=True, slots=True)
class DiscardUpload:
    """For an upload that no job came of."""

    blobs: BlobStorage

    async def __call__(self, blob: Blob) -> None:
        await self.blobs.delete(blob.key)


@dataclass(frozen=True, slots=True)
class NewImport:
    """`detached`: left to the worker, which is woken; else the caller runs it."""

    blob: Blob
    kind: ImportKind
    format: ImportFormat
    file_name: str | None = None
    detached: bool = True


@dataclass(frozen=True, slots=True)
class StartImport:
    """A queued job. Waking the worker must happen, so it is in the outbox; the try after the commit saves the wait.

    Raises NotAllowed.
    """

    begin: BeginWork
    queue: JobQueue
    clock: Clock
    ids: Ids

    async def __call__(self, request: NewImport, *, actor: Actor) -> ImportJob:
        actor.require_operator()
        now = self.clock.now()
        job = ImportJob(
            id=ImportId(self.ids.next()),
            kind=request.kind,
            format=request.format,
            blob_key=request.blob.key,
            file_name=request.file_name,
            file_hash=request.blob.sha256,
            bytes_total=request.blob.size,
            created_by=actor.id,
            created_at=now,
        )
        async with self.begin() as work:
            await work.imports.add(job)
            if request.detached:
                key = str(job.id)
                await work.outbox.add(Message(MessageId(self.ids.next()), START_IMPORT, {"import_id": key}, now))
                work.after_commit(lambda: self.queue.wake(START_IMPORT, key))
            await work.commit()
        return job


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

    async def __call__(self, *, limit: int, before: ImportId | None, actor: Actor) -> list[ImportJob]:
        actor.require_operator()
        async with self.begin() as work:
            return await work.imports.newest(limit, before=before)


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
class SweepUploads:
    """Deletes the files of jobs that finished longer than `kept` ago, and, a day after they were written, those that no
    job names. Their jobs stay."""

    begin: BeginWork
    blobs: BlobStorage
    clock: Clock
    kept: timedelta
    batch: int = 1_000

    async def __call__(self) -> int:
        """How many were deleted."""
        now = self.clock.now()
        swept = await self.blobs.drop_unfinished(now - _ORPHANED)
        old = await self.blobs.older_than(now - _ORPHANED)
        for first in range(0, len(old), self.batch):
            keys = old[first : first + self.batch]
            async with self.begin() as work:
                needed = await work.imports.blobs_needed(keys, finished_after=now - self.kept)
            for key in keys:
                if key not in needed:
                    await self.blobs.delete(key)
                    swept += 1
        return swept


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
