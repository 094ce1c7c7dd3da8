"""What workers do to jobs, in transactions of their own."""

from dataclasses import replace
from datetime import datetime, timedelta

from domain.ids import ImportId
from domain.imports import ImportJob
from tests.builders import NOON
from tests.contract.adapters import Adapters

LEASE = timedelta(seconds=10)
CHUNK_ROWS = 100
EXPIRED = NOON + LEASE


async def claim(adapters: Adapters, import_id: ImportId, *, at: datetime = NOON) -> ImportJob:
    async with adapters.begin() as work:
        claimed = (await work.imports.lock(import_id)).claimed(at=at, lease=LEASE, chunk_rows=CHUNK_ROWS)
        await work.imports.save_claim(claimed)
        await work.commit()
    return replace(claimed, revision=claimed.revision + 1)


async def save(adapters: Adapters, job: ImportJob) -> None:
    async with adapters.begin() as work:
        await work.imports.hold(job)
        await work.imports.save(job)
        await work.commit()


async def claimable(adapters: Adapters, *, limit: int = 100, at: datetime = NOON) -> list[ImportId]:
    async with adapters.begin() as work:
        return await work.imports.claimable(limit, at=at)
