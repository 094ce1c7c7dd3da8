"""Import jobs, the fence that keeps workers apart, and the rows that failed.

A transaction of a job shares its row (`hold`), so that the lease can be renewed beside it, and takes an advisory lock,
so that its backend can be found. A claim ends such backends, waits until the row is free, and only then raises the
fence: a process frozen in the middle of a COPY keeps its locks through every timeout.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Select,
    Text,
    TextClause,
    any_,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    update,
)

from application.ports.imports import ImportQuery
from domain.errors import ImportNotFound, LeaseLost
from domain.ids import ImportId, UserId
from domain.imports import CLAIMED, ImportJob, ImportState, RowError
from infrastructure.database.import_jobs import caution_of, job_of, origin_of, progress_of, state_of, storable
from infrastructure.database.tables import import_errors, imports
from infrastructure.database.transaction import Transaction

_HOLDERS = """
    SELECT pg_terminate_backend(pid) FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND pid <> pg_backend_pid()
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND (classid::bigint << 32) | objid::bigint = :job
"""
_END_HOLDERS: Final = text(_HOLDERS)

# Whoever has written the job's checkpoint, and not committed it, has locked its row.
_END_EXPIRED: Final = text(f"""{_HOLDERS}
      AND EXISTS (SELECT FROM imports WHERE id = :id AND state IN ('running', 'cancelling') AND lease_until <= :at)
""")

_ADD_MARKS: Final = "INSERT INTO import_marks SELECT $1, unnest($2::bytea[]) ON CONFLICT DO NOTHING"
_MARKS_AMONG: Final = "SELECT mark FROM import_marks WHERE import_id = $1 AND mark = ANY($2::bytea[])"


def _delete(table: str, key: str, done: str) -> TextClause:
    """Few jobs have rows in `table`, and one may have millions: which have is told by one step into the index for each,
    and of those that are `done` no more are read than are deleted. The order keeps the planner to the index."""
    return text(f"""
        WITH RECURSIVE owner AS (
            (SELECT import_id FROM {table} ORDER BY import_id LIMIT 1)
            UNION ALL
            SELECT (SELECT import_id FROM {table} WHERE import_id > owner.import_id ORDER BY import_id LIMIT 1)
            FROM owner WHERE import_id IS NOT NULL
        )
        DELETE FROM {table} WHERE ctid = ANY (ARRAY (
            SELECT one.ctid FROM owner JOIN imports ON imports.id = owner.import_id
            CROSS JOIN LATERAL (
                SELECT ctid FROM {table} WHERE import_id = imports.id ORDER BY {key} LIMIT :limit
            ) AS one
            WHERE {done}
            LIMIT :limit
        ))
    """)  # noqa: S608  # of constants


_DELETE_MARKS: Final = _delete(
    "import_marks",
    "mark",
    "imports.state IN ('succeeded', 'completed_with_errors') OR imports.finished_at < :before",
)
# Which rows failed is for a job that tries them again to know, up to its end.
_DELETE_ERRORS: Final = _delete(
    "import_errors",
    "number",
    """imports.finished_at < :before AND NOT EXISTS (
                SELECT FROM imports AS child WHERE child.parent_id = imports.id AND child.finished_at IS NULL
            )""",
)

_ERROR_COLUMNS = ("import_id", "number", "line", "field", "code", "message", "row", "place")
_CLAIMED = [state.value for state in CLAIMED]


class SqlImports:
    def __init__(self, transaction: Transaction) -> None:
        self._tx = transaction

    async def get(self, import_id: ImportId) -> ImportJob:
        return await self._one(select(imports).where(imports.c.id == import_id), import_id)

    async def lock(self, import_id: ImportId) -> ImportJob:
        locked = select(imports).where(imports.c.id == import_id).with_for_update(key_share=True)
        return await self._one(locked, import_id)

    async def newest(self, query: ImportQuery) -> list[ImportJob]:
        asked = []
        if query.before is not None:
            # Ids are UUIDv7: their order is that of their making.
            asked.append(imports.c.id < query.before)
        if query.state is not None:
            asked.append(imports.c.state == query.state.value)
        if query.kind is not None:
            asked.append(imports.c.kind == query.kind.value)
        if query.parent_id is not None:
            asked.append(imports.c.parent_id == query.parent_id)
        newest = select(imports).where(*asked).order_by(imports.c.id.desc()).limit(query.limit)
        return [job_of(row) for row in await self._tx.execute(newest)]

    async def find_by_key(self, created_by: UserId, idempotency_key: str) -> ImportJob | None:
        is_asked = (imports.c.created_by == created_by, imports.c.idempotency_key == storable(idempotency_key))
        row = (await self._tx.execute(select(imports).where(*is_asked))).first()
        return job_of(row) if row else None

    async def lock_key(self, created_by: UserId, idempotency_key: str) -> None:
        name = created_by.bytes + storable(idempotency_key).encode()
        number = int.from_bytes(blake2b(name, digest_size=8).digest(), signed=True)
        await self._tx.execute(select(func.pg_advisory_xact_lock(literal(number, BigInteger))))

    async def claimable(self, limit: int, *, at: datetime) -> list[ImportId]:
        expired = or_(imports.c.lease_until.is_(None), imports.c.lease_until <= at)
        waiting = or_(imports.c.state == ImportState.QUEUED.value, imports.c.state.in_(_CLAIMED) & expired)
        found = await self._tx.execute(select(imports.c.id).where(waiting).order_by(imports.c.id).limit(limit))
        return list(found.scalars())

    async def blobs_needed(self, keys: Collection[str], *, finished_after: datetime) -> set[str]:
        is_needed = or_(imports.c.finished_at.is_(None), imports.c.finished_at > finished_after)
        is_asked = imports.c.blob_key == any_(literal(list(keys), ARRAY(Text)))
        found = await self._tx.execute(select(imports.c.blob_key).where(is_asked, is_needed))
        return set(found.scalars())

    async def add(self, job: ImportJob) -> None:
        made = {**origin_of(job), **progress_of(job), **state_of(job), "fence": job.fence, "revision": job.revision}
        await self._tx.execute(insert(imports).values(made))

    async def lock_to_claim(self, import_id: ImportId, *, at: datetime) -> ImportJob:
        await self._tx.execute(_END_EXPIRED, {"job": _lock_key(import_id), "id": import_id, "at": at})
        return await self.lock(import_id)

    async def save_claim(self, job: ImportJob) -> None:
        await self._tx.execute(_END_HOLDERS, {"job": _lock_key(job.id)})
        await self._tx.execute(select(imports.c.id).where(imports.c.id == job.id).with_for_update())
        await self._change(job, fence=job.fence)

    async def change(self, job: ImportJob) -> ImportJob:
        revision = await self._change(job)
        if revision is None:
            raise ImportNotFound(job.id)
        return replace(job, revision=revision)

    async def hold(self, job: ImportJob) -> ImportJob:
        number = literal(_lock_key(job.id), BigInteger)
        held = select(imports, func.pg_advisory_xact_lock_shared(number)).where(*_held_by(job))
        row = (await self._tx.execute(held.with_for_update(read=True, key_share=True, of=imports))).first()
        if row is None:
            raise LeaseLost(job.id)
        return job_of(row)

    async def renew(self, job: ImportJob, *, until: datetime) -> None:
        renewed = await self._tx.execute(update(imports).where(*_held_by(job)).values(lease_until=until))
        if renewed.rowcount == 0:
            raise LeaseLost(job.id)

    async def save(self, job: ImportJob) -> None:
        values = progress_of(job)
        if job.state not in CLAIMED:
            values |= {**state_of(job), "lease_until": None}
        values["revision"] = imports.c.revision + 1
        saved = await self._tx.execute(update(imports).where(*_held_by(job)).values(values))
        if saved.rowcount == 0:
            raise LeaseLost(job.id)

    async def save_caution(self, job: ImportJob) -> None:
        values = {**caution_of(job), "revision": imports.c.revision + 1}
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
                None if error.field is None else storable(error.field),
                error.code,
                storable(error.message),
                None if error.row is None else _json(error.row),
                error.place,
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
        return [(row.number, RowError(row.line, row.field, row.code, row.message, row.row, row.place)) for row in found]

    async def error_places(self, import_id: ImportId, *, after: int, limit: int) -> list[int]:
        place = import_errors.c.place
        places = select(place).distinct().where(import_errors.c.import_id == import_id, place > after)
        return list((await self._tx.execute(places.order_by(place).limit(limit))).scalars())

    async def delete_errors(self, *, finished_before: datetime, limit: int) -> int:
        return (await self._tx.execute(_DELETE_ERRORS, {"before": finished_before, "limit": limit})).rowcount

    async def add_marks(self, import_id: ImportId, marks: Collection[bytes]) -> None:
        await self._tx.fetch(_ADD_MARKS, import_id, list(marks))

    async def marks_among(self, import_id: ImportId, marks: Collection[bytes]) -> set[bytes]:
        return {row["mark"] for row in await self._tx.fetch(_MARKS_AMONG, import_id, list(marks))}

    async def delete_marks(self, *, finished_before: datetime, limit: int) -> int:
        return (await self._tx.execute(_DELETE_MARKS, {"before": finished_before, "limit": limit})).rowcount

    async def _change(self, job: ImportJob, **more: object) -> int | None:
        """The revision after it; None where there is no such job."""
        changed = update(imports).where(imports.c.id == job.id)
        values = {**state_of(job), "revision": imports.c.revision + 1, **more}
        return (await self._tx.execute(changed.values(values).returning(imports.c.revision))).scalar_one_or_none()

    async def _one(self, statement: Select[Any], import_id: ImportId) -> ImportJob:
        row = (await self._tx.execute(statement)).first()
        if row is None:
            raise ImportNotFound(import_id)
        return job_of(row)


def _held_by(job: ImportJob) -> tuple[Any, ...]:
    return (
        imports.c.id == job.id,
        imports.c.fence == job.fence,
        imports.c.state.in_(_CLAIMED),
    )


def _lock_key(import_id: ImportId) -> int:
    """The random half of the id, as the signed number that advisory locks have."""
    return int.from_bytes(import_id.bytes[8:], signed=True)


def _json(row: Mapping[str, object] | str) -> str:
    """In ASCII, where NUL and lone surrogates are escapes that the column's type keeps as they are."""
    return json.dumps(row if isinstance(row, str) else dict(row), default=str)
