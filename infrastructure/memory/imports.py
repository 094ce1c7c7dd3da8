"""Import jobs in memory."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from application.ports.imports import ImportQuery
from domain.errors import Busy, ImportNotFound, LeaseLost, UserNotFound
from domain.ids import ImportId, UserId
from domain.imports import CLAIMED, ImportJob, RowError
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

    async def newest(self, query: ImportQuery) -> list[ImportJob]:
        await self._tx.statement()
        jobs = (job for job in self._tx.imports.values() if _is_asked(job, query))
        return sorted(jobs, key=lambda job: job.id, reverse=True)[: query.limit]

    async def find_by_key(self, created_by: UserId, idempotency_key: str) -> ImportJob | None:
        await self._tx.statement()
        jobs = (job for job in self._tx.imports.values() if job.idempotency_key == idempotency_key)
        return next((job for job in jobs if job.created_by == created_by), None)

    async def lock_key(self, created_by: UserId, idempotency_key: str) -> None:
        await self._tx.statement()
        await self._tx.acquire((created_by, idempotency_key), Strength.UPDATE)

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
        if job.parent_id is not None and not await self._tx.imports.refer(job.parent_id):
            raise self._tx.refused(ImportNotFound(job.parent_id))
        if job.idempotency_key is not None and any(
            (other.created_by, other.idempotency_key) == (job.created_by, job.idempotency_key)
            for other in self._tx.imports.latest_values()
        ):
            raise self._tx.refused(Busy("Another request has this idempotency key."))
        self._tx.imports.put(job.id, job)

    async def lock_to_claim(self, import_id: ImportId, *, at: datetime) -> ImportJob:
        await self._tx.statement()
        job = self._tx.imports.find(import_id)
        if job is not None and job.state in CLAIMED and job.claimable(at=at):
            self._tx.imports.end_holders(import_id)
        return await self.lock(import_id)

    async def save_claim(self, job: ImportJob) -> None:
        await self._tx.statement()
        self._tx.imports.end_holders(job.id)
        stored = await self._tx.imports.lock(job.id, Strength.UPDATE)
        if stored is not None:
            self._tx.imports.put(job.id, replace(_changed(stored, job), fence=job.fence))

    async def change(self, job: ImportJob) -> ImportJob:
        await self._tx.statement()
        stored = await self._tx.imports.lock(job.id)
        if stored is None:
            raise ImportNotFound(job.id)
        changed = _changed(stored, job)
        self._tx.imports.put(job.id, changed)
        return changed

    async def hold(self, job: ImportJob) -> ImportJob:
        await self._tx.statement()
        return await self._held(job, Strength.KEY_SHARE)

    async def renew(self, job: ImportJob, *, until: datetime) -> None:
        await self._tx.statement()
        stored = await self._held(job)
        self._tx.imports.put(job.id, replace(stored, lease_until=until))

    async def save(self, job: ImportJob) -> None:
        await self._tx.statement()
        stored = await self._held(job)
        is_on = job.state in CLAIMED
        saved = replace(
            job,
            state=stored.state if is_on else job.state,
            lease_until=stored.lease_until if is_on else None,
            revision=stored.revision + 1,
            created_by=stored.created_by,
        )
        self._tx.imports.put(job.id, saved)

    async def save_caution(self, job: ImportJob) -> None:
        await self._tx.statement()
        stored = await self._held(job)
        self._tx.imports.put(job.id, replace(stored, caution=job.caution, revision=stored.revision + 1))

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

    async def error_places(self, import_id: ImportId, *, after: int, limit: int) -> list[int]:
        await self._tx.statement()
        places = {error.place for (of, _), error in self._tx.import_errors.items() if of == import_id}
        return sorted(place for place in places if place > after)[:limit]

    async def delete_errors(self, *, finished_before: datetime, limit: int) -> int:
        await self._tx.statement()
        needed = {job.parent_id for job in self._tx.imports.values() if job.finished_at is None}
        jobs = {job.id for job in self._tx.imports.values() if _finished(job, finished_before)} - needed
        old = sorted(key for key in self._numbers() if key[0] in jobs)[:limit]
        for key in old:
            await self._tx.import_errors.remove(key)
        return len(old)

    async def add_marks(self, import_id: ImportId, marks: Collection[bytes]) -> None:
        await self._tx.statement()
        if marks and not await self._tx.imports.refer(import_id):
            raise self._tx.refused(ImportNotFound(import_id))
        for mark in marks:
            self._tx.import_marks.put((import_id, mark), mark)

    async def marks_among(self, import_id: ImportId, marks: Collection[bytes]) -> set[bytes]:
        await self._tx.statement()
        return {mark for mark in marks if self._tx.import_marks.find((import_id, mark)) is not None}

    async def delete_marks(self, *, finished_before: datetime, limit: int) -> int:
        await self._tx.statement()
        jobs = {job.id for job in self._tx.imports.values() if job.succeeded or _finished(job, finished_before)}
        done = sorted(key for key, _ in self._tx.import_marks.items() if key[0] in jobs)[:limit]
        for key in done:
            await self._tx.import_marks.remove(key)
        return len(done)

    def _numbers(self) -> list[tuple[ImportId, int]]:
        return [key for key, _ in self._tx.import_errors.items()]

    async def _held(self, job: ImportJob, strength: Strength = Strength.NO_KEY_UPDATE) -> ImportJob:
        """A lease can be renewed while others hold the job."""
        stored = await self._tx.imports.lock(job.id, strength)
        if stored is None or stored.fence != job.fence or stored.state not in CLAIMED:
            raise LeaseLost(job.id)
        return stored


def _is_asked(job: ImportJob, query: ImportQuery) -> bool:
    return (
        (query.before is None or job.id < query.before)
        and query.state in (None, job.state)
        and query.kind in (None, job.kind)
        and query.parent_id in (None, job.parent_id)
    )


def _finished(job: ImportJob, before: datetime) -> bool:
    return job.finished_at is not None and job.finished_at < before


def _changed(stored: ImportJob, job: ImportJob) -> ImportJob:
    """What others than its worker may change."""
    return replace(
        stored,
        state=job.state,
        error=job.error,
        caution=job.caution,
        started_at=job.started_at,
        progressed_at=job.progressed_at,
        finished_at=job.finished_at,
        lease_until=job.lease_until,
        forgiven=job.forgiven,
        revision=stored.revision + 1,
    )
