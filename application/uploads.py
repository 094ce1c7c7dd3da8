"""Files of bulk imports: received, discarded, and swept when nobody needs them any more."""

from collections.abc import AsyncIterable, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from application.ports.services import Blob, BlobStorage, Clock, Ids
from application.ports.work import BeginWork, UnitOfWork
from domain.actors import Actor

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
class SweepUploads:
    """Deletes the files, the row errors and the marks of jobs that finished longer than `kept` ago, the marks of those
    that succeeded at once, and, a day after they were written, files that no job names. The jobs stay."""

    begin: BeginWork
    blobs: BlobStorage
    clock: Clock
    kept: timedelta
    batch: int = 1_000
    marks_batch: int = 20_000

    async def __call__(self) -> int:
        """How many files were deleted."""
        now = self.clock.now()
        before = now - self.kept
        swept = await self.blobs.drop_unfinished(now - _ORPHANED)
        old = await self.blobs.older_than(now - _ORPHANED)
        for first in range(0, len(old), self.batch):
            keys = old[first : first + self.batch]
            async with self.begin() as work:
                needed = await work.imports.blobs_needed(keys, finished_after=before)
            for key in keys:
                if key not in needed:
                    await self.blobs.delete(key)
                    swept += 1
        await self._delete(lambda work: work.imports.delete_errors(finished_before=before, limit=self.batch))
        await self._delete(lambda work: work.imports.delete_marks(finished_before=before, limit=self.marks_batch))
        return swept

    async def _delete(self, some: Callable[[UnitOfWork], Awaitable[int]]) -> None:
        """Each time in a transaction of its own, until there are none."""
        deleted = 1
        while deleted:
            async with self.begin() as work:
                deleted = await some(work)
                await work.commit()
