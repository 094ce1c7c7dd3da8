"""Import jobs, the fence that keeps workers apart, and the rows that failed.

A transaction of a job shares its row (`hold`), so that the lease can be renewed beside it, and takes an advisory lock,
so that its backend can be found. A claim ends such backends, waits until the row is free, and only then raises the
fence: a process frozen in the middle of a COPY keeps its locks through every timeout.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ARRAY, BigInteger, Row, Select, Text, any_, func, insert, literal, or_, select, text, update

from domain.errors import ImportNotFound, LeaseLost
from domain.ids import ImportId, UserId
from domain.imports import Checkpoint, ImportFormat, ImportJob, ImportKind, ImportState, RowError, Tally
from infrastructure.database.tables import import_errors, imports
from infrastructure.database.transaction import Transaction

_END_HOLDERS: Final = text("""
    SELECT pg_terminate_backend(pid) FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND pid <> pg_backend_pid()
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND (classid::bigint << 32) | objid::bigint = :job
""")

_ERROR_COLUMNS = ("import_id", "number", "line", "field", "code", "message", "row")


class SqlImports:
    def __init__(self, transaction: Transaction) -> None:
        self._tx = transaction

    async def get(self, import_id: ImportId) -> ImportJob:
        return await self._one(_jobs().where(imports.c.id == import_id), import_id)

    async def lock(self, import_id: ImportId) -> ImportJob:
        return await self._one(_jobs().where(imports.c.id == import_id).with_for_update(key_share=True), import_id)

    async def newest(self, limit: int, *, before: ImportId | None = None) -> list[ImportJob]:
        # Ids are UUIDv7: their order is that of their making.
        newest = _jobs().order_by(imports.c.id.desc()).limit(limit)
        found = await self._tx.execute(newest if before is None else newest.where(imports.c.id < before))
        return [_job(row) for row in found]

    async def claimable(self, limit: int, *, at: datetime) -> list[ImportId]:
        expired = or_(imports.c.lease_until.is_(None), imports.c.lease_until <= at)
        waiting = or_(
            imports.c.state == ImportState.QUEUED.value, (imports.c.state == ImportState.RUNNING.value) & expired
        )
        found = await self._tx.execute(select(imports.c.id).where(waiting).order_by(imports.c.id).limit(limit))
        return list(found.scalars())

    async def blobs_needed(self, keys: Collection[str], *, finished_after: datetime) -> set[str]:
        is_needed = or_(imports.c.finished_at.is_(None), imports.c.finished_at > finished_after)
        is_asked = imports.c.blob_key == any_(literal(list(keys), ARRAY(Text)))
        found = await self._tx.execute(select(imports.c.blob_key).where(is_asked, is_needed))
        return set(found.scalars())

    async def add(self, job: ImportJob) -> None:
        made = insert(imports).values(
            id=job.id,
            kind=job.kind.value,
            format=job.format.value,
            blob_key=job.blob_key,
            file_name=None if job.file_name is None else _storable(job.file_name),
            file_hash=job.file_hash,
            bytes_total=job.bytes_total,
            created_by=job.created_by,
            created_at=job.created_at,
            fence=job.fence,
            lease_until=job.lease_until,
            **_progress(job),
        )
        await self._tx.execute(made)

    async def save_claim(self, job: ImportJob) -> None:
        await self._tx.execute(_END_HOLDERS, {"job": _lock_key(job.id)})
        of_the_job = imports.c.id == job.id
        await self._tx.execute(select(imports.c.id).where(of_the_job).with_for_update())
        claimed = update(imports).where(of_the_job)
        await self._tx.execute(
            claimed.values(
                state=job.state.value,
                fence=job.fence,
                lease_until=job.lease_until,
                started_at=job.started_at,
                attempts=job.attempts,
            )
        )

    async def hold(self, job: ImportJob) -> None:
        held = select(func.pg_advisory_xact_lock_shared(literal(_lock_key(job.id), BigInteger))).where(*_held_by(job))
        found = await self._tx.execute(held.select_from(imports).with_for_update(read=True, key_share=True))
        if found.first() is None:
            raise LeaseLost(job.id)

    async def renew(self, job: ImportJob, *, until: datetime) -> None:
        renewed = await self._tx.execute(update(imports).where(*_held_by(job)).values(lease_until=until))
        if renewed.rowcount == 0:
            raise LeaseLost(job.id)

    async def save(self, job: ImportJob) -> None:
        values = _progress(job)
        if job.state is not ImportState.RUNNING:
            values["lease_until"] = None
        saved = await self._tx.execute(update(imports).where(*_held_by(job)).values(values))
        if saved.rowcount == 0:
            raise LeaseLost(job.id)

    async def add_errors(self, import_id: ImportId, errors: Sequence[RowError]) -> None:
        if not errors:
            return
        highest = select(func.coalesce(func.max(import_errors.c.number), 0))
        last = (await self._tx.execute(highest.where(import_errors.c.import_id == import_id))).scalar_one()
        rows = (
            (
                import_id,
                number,
                error.line,
                None if error.field is None else _storable(error.field),
                error.code,
                _storable(error.message),
                None if error.row is None else _json(error.row),
            )
            for number, error in enumerate(errors, last + 1)
        )
        await self._tx.copy(import_errors, _ERROR_COLUMNS, rows)

    async def errors(self, import_id: ImportId, *, after: int, limit: int) -> Sequence[tuple[int, RowError]]:
        found = await self._tx.execute(
            select(import_errors)
            .where(import_errors.c.import_id == import_id, import_errors.c.number > after)
            .order_by(import_errors.c.number)
            .limit(limit)
        )
        return [(row.number, RowError(row.line, row.field, row.code, row.message, row.row)) for row in found]

    async def _one(self, statement: Select[Any], import_id: ImportId) -> ImportJob:
        row = (await self._tx.execute(statement)).first()
        if row is None:
            raise ImportNotFound(import_id)
        return _job(row)


def _jobs() -> Select[Any]:
    return select(imports)


def _held_by(job: ImportJob) -> tuple[Any, ...]:
    return (
        imports.c.id == job.id,
        imports.c.fence == job.fence,
        imports.c.state == ImportState.RUNNING.value,
    )


def _lock_key(import_id: ImportId) -> int:
    """The random half of the id, as the signed number that advisory locks have."""
    return int.from_bytes(import_id.bytes[8:], signed=True)


def _progress(job: ImportJob) -> dict[str, object]:
    tally = job.tally
    return {
        "state": job.state.value,
        "created": tally.created,
        "updated": tally.updated,
        "unchanged": tally.unchanged,
        "skipped": tally.skipped,
        "failed": tally.failed,
        "next_offset": job.checkpoint.offset,
        "next_line": job.checkpoint.line,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "attempts": job.attempts,
        "error": None if job.error is None else _storable(job.error),
    }


def _job(row: Row[Any]) -> ImportJob:
    return ImportJob(
        id=ImportId(row.id),
        kind=ImportKind(row.kind),
        format=ImportFormat(row.format),
        blob_key=row.blob_key,
        file_name=row.file_name,
        file_hash=row.file_hash,
        bytes_total=row.bytes_total,
        created_by=None if row.created_by is None else UserId(row.created_by),
        created_at=row.created_at,
        state=ImportState(row.state),
        tally=Tally(row.created, row.updated, row.unchanged, row.skipped, row.failed),
        checkpoint=Checkpoint(row.next_offset, row.next_line),
        started_at=row.started_at,
        finished_at=row.finished_at,
        error=row.error,
        fence=row.fence,
        lease_until=row.lease_until,
        attempts=row.attempts,
    )


def _storable(words: str) -> str:
    """NUL and lone surrogates written as escapes: PostgreSQL's text can hold neither."""
    return words.encode(errors="backslashreplace").decode().replace("\x00", "\\x00")


def _json(row: Mapping[str, object] | str) -> str:
    """In ASCII, where NUL and lone surrogates are escapes that the column's type keeps as they are."""
    return json.dumps(row if isinstance(row, str) else dict(row), default=str)
