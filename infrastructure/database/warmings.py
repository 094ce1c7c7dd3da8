"""Warmings of the cache."""

from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, delete, insert, null, or_, select, text, update

from domain.errors import WarmingNotFound
from domain.ids import WarmingId
from domain.warmings import Ending, Warming, WarmingReason, WarmingReport, WarmingState
from infrastructure.database.tables import warmings
from infrastructure.database.transaction import Transaction

_QUEUE_UP: Final = text("SELECT pg_advisory_xact_lock(hashtextextended('byline.warmings', 0))")
_IS_QUEUED = warmings.c.state == WarmingState.QUEUED.value
_IS_RUNNING = warmings.c.state == WarmingState.RUNNING.value


class SqlWarmings:
    def __init__(self, transaction: Transaction) -> None:
        self._tx = transaction

    async def queue_up(self) -> None:
        await self._tx.execute(_QUEUE_UP)

    async def get(self, warming_id: WarmingId) -> Warming:
        row = (await self._tx.execute(select(warmings).where(warmings.c.id == warming_id))).first()
        if row is None:
            raise WarmingNotFound(warming_id)
        return _warming(row)

    async def newest(self, limit: int, *, before: WarmingId | None = None) -> list[Warming]:
        # Ids are UUIDv7: their order is that of their making.
        asked = () if before is None else (warmings.c.id < before,)
        newest = select(warmings).where(*asked).order_by(warmings.c.id.desc()).limit(limit)
        return [_warming(row) for row in await self._tx.execute(newest)]

    async def find_queued(self) -> Warming | None:
        queued = select(warmings).where(_IS_QUEUED).order_by(warmings.c.id).limit(1)
        row = (await self._tx.execute(queued)).first()
        return None if row is None else _warming(row)

    async def add(self, warming: Warming) -> None:
        await self._tx.execute(
            insert(warmings).values(
                id=warming.id,
                reason=warming.reason.value,
                requested_at=warming.requested_at,
                state=warming.state.value,
                claimed_until=warming.claimed_until,
                **_end_of(warming),
            )
        )

    async def claim(self, *, at: datetime, until: datetime) -> Warming | None:
        running = warmings.alias()
        another = select(running.c.id).where(
            running.c.state == WarmingState.RUNNING.value, running.c.claimed_until > at
        )
        claimable = (
            select(warmings.c.id)
            .where(or_(_IS_QUEUED, _IS_RUNNING), ~another.exists())
            .order_by(warmings.c.id)
            .limit(1)
            .with_for_update(skip_locked=True)
            .cte("claimable")
        )
        claimed = await self._tx.execute(
            update(warmings)
            .where(warmings.c.id == claimable.c.id)
            .values(state=WarmingState.RUNNING.value, claimed_until=until)
            .returning(warmings)
        )
        row = claimed.first()
        return None if row is None else _warming(row)

    async def finish(self, warming: Warming) -> bool:
        finished = await self._tx.execute(
            update(warmings)
            .where(warmings.c.id == warming.id, _IS_RUNNING, warmings.c.claimed_until == warming.claimed_until)
            .values(state=warming.state.value, **_end_of(warming))
        )
        return finished.rowcount > 0

    async def delete_old(self, *, requested_before: datetime, kept: int) -> int:
        newest = select(warmings.c.id).order_by(warmings.c.id.desc()).limit(kept).scalar_subquery()
        is_old = or_(warmings.c.requested_at < requested_before, warmings.c.id.not_in(newest))
        deleted = await self._tx.execute(delete(warmings).where(warmings.c.finished_at.is_not(None), is_old))
        return deleted.rowcount


def _end_of(warming: Warming) -> dict[str, object]:
    return {
        "finished_at": warming.finished_at,
        "report": null() if warming.report is None else asdict(warming.report),
    }


def _warming(row: Row[Any]) -> Warming:
    report = None
    if row.report is not None:
        report = WarmingReport(**{**row.report, "ended": Ending(row.report["ended"])})
    return Warming(
        WarmingId(row.id),
        WarmingReason(row.reason),
        row.requested_at,
        WarmingState(row.state),
        row.claimed_until,
        row.finished_at,
        report,
    )
