"""Import jobs in memory."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from domain.errors import ImportNotFound, LeaseLost, UserNotFound
from domain.ids import ImportId
from domain.imports import ImportJob, ImportState, RowError
from infrastructure.memory.locks import Strength
from infrastructure.memory.transaction import Transaction


class MemoryImports:
    def __init__(self, transaction: Transaction) -> None:
        self._tx = transaction

    async def get(self, import_id: ImportId) -> ImportJob:
        await self._tx.statement()
        job = self._tx.imports.find(import_id)
        if job is None:
            raise ImportNotFound(import_id)
        return job

    async def lock(self, import_id: ImportId) -> ImportJob:
        await self._tx.statement()
        job = await self._tx.imports.lock(import_id)
        if job is None:
            raise ImportNotFound(import_id)
        return job

    async def newest(self, limit: int, *, before: ImportId | None = None) -> list[ImportJob]:
        await self._tx.statement()
        jobs = [job for job in self._tx.imports.values() if before is None or job.id < before]
        return sorted(jobs, key=lambda job: job.id, reverse=True)[:limit]

    async def claimable(self, limit: int, *, at: datetime) -> list[ImportId]:
        await self._tx.statement()
        return sorted(job.id for job in self._tx.imports.values() if job.claimable(at=at))[:limit]

    async def blobs_needed(self, keys: Collection[str], *, finished_after: datetime) -> set[str]:
        await self._tx.statement()
        jobs = (job for job in self._tx.imports.values() if job.blob_key in keys)
        return {job.blob_key for job in jobs if job.finished_at is None or job.finished_at > finished_after}

    async def add(self, job: ImportJob) -> None:
        await self._tx.statement()
        if job.created_by is not None and not await self._tx.users.refer(job.created_by):
            raise self._tx.refused(UserNotFound(job.created_by))
        self._tx.imports.put(job.id, job)

    async def save_claim(self, job: ImportJob) -> None:
        await self._tx.statement()
        self._tx.imports.end_holders(job.id)
        stored = await self._tx.imports.lock(job.id, Strength.UPDATE)
        if stored is None:
            return
        claimed = replace(
            stored,
            state=job.state,
            fence=job.fence,
            lease_until=job.lease_until,
            started_at=job.started_at,
            attempts=job.attempts,
        )
        self._tx.imports.put(job.id, claimed)

    async def hold(self, job: ImportJob) -> None:
        await self._tx.statement()
        await self._held(job, Strength.KEY_SHARE)

    async def renew(self, job: ImportJob, *, until: datetime) -> None:
        await self._tx.statement()
        stored = await self._held(job)
        self._tx.imports.put(job.id, replace(stored, lease_until=until))

    async def save(self, job: ImportJob) -> None:
        await self._tx.statement()
        stored = await self._held(job)
        lease_until = stored.lease_until if job.state is ImportState.RUNNING else None
        self._tx.imports.put(job.id, replace(job, lease_until=lease_until, created_by=stored.created_by))

    async def add_errors(self, import_id: ImportId, errors: Sequence[RowError]) -> None:
        await self._tx.statement()
        if errors and not await self._tx.imports.refer(import_id):
            raise self._tx.refused(ImportNotFound(import_id))
        last = max((number for of, number in self._numbers() if of == import_id), default=0)
        for number, error in enumerate(errors, last + 1):
            self._tx.import_errors.put((import_id, number), error)

    async def errors(self, import_id: ImportId, *, after: int, limit: int) -> Sequence[tuple[int, RowError]]:
        await self._tx.statement()
        numbers = sorted(number for of, number in self._numbers() if of == import_id and number > after)[:limit]
        found = ((number, self._tx.import_errors.find((import_id, number))) for number in numbers)
        return [(number, error) for number, error in found if error is not None]

    def _numbers(self) -> list[tuple[ImportId, int]]:
        return [key for key, _ in self._tx.import_errors.items()]

    async def _held(self, job: ImportJob, strength: Strength = Strength.NO_KEY_UPDATE) -> ImportJob:
        """A lease can be renewed while others hold the job."""
        stored = await self._tx.imports.lock(job.id, strength)
        if stored is None or stored.fence != job.fence or stored.state is not ImportState.RUNNING:
            raise LeaseLost(job.id)
        return stored
