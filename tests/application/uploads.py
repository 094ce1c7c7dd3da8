"""Uploads, requests to import them, and jobs that somebody has."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta

from application.imports import NewImport
from application.ports.services import Blob
from domain.import_options import ImportFormat, ImportKind, ImportOptions
from domain.imports import ImportJob, RowError, Tally
from tests.application.house import House

BLOB = Blob("imports/1", 1_000, "0" * 64)
LEASE = timedelta(seconds=10)


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def a_request(
    *, detached: bool = True, kind: ImportKind = ImportKind.POSTS, blob: Blob = BLOB, key: str | None = None
) -> NewImport:
    return NewImport(blob, ImportOptions(kind), ImportFormat.CSV, "archive.csv", detached=detached, idempotency_key=key)


async def claimed(house: House, job: ImportJob) -> ImportJob:
    async with house.store.begin() as work:
        running = (await work.imports.lock(job.id)).claimed(at=house.clock.now(), lease=LEASE, chunk_rows=100)
        await work.imports.save_claim(running)
        await work.commit()
    return running


async def saved(house: House, job: ImportJob, change: Callable[[ImportJob], ImportJob]) -> ImportJob:
    """By its worker."""
    async with house.store.begin() as work:
        await work.imports.hold(job)
        changed = change(await work.imports.lock(job.id))
        await work.imports.save(changed)
        await work.commit()
    return changed


async def finished(house: House, job: ImportJob, *errors: RowError) -> ImportJob:
    """With so many failed rows."""
    running = await claimed(house, job)
    async with house.store.begin() as work:
        await work.imports.add_errors(job.id, errors)
        await work.commit()
    now = house.clock.now()
    rows = Tally(created=1, failed=len(errors))
    return await saved(house, running, lambda job: job.advanced(rows, job.checkpoint, at=now).finished(at=now))
