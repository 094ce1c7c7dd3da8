"""Warmings of the cache in memory."""

from datetime import datetime

from domain.errors import WarmingNotFound
from domain.ids import WarmingId
from domain.warmings import Warming, WarmingState
from infrastructure.memory.locks import Strength
from infrastructure.memory.transaction import Transaction


class MemoryWarmings:
    def __init__(self, transaction: Transaction) -> None:
        self._tx = transaction

    async def queue_up(self) -> None:
        await self._tx.statement()
        await self._tx.acquire("the queue of warmings", Strength.UPDATE)

    async def get(self, warming_id: WarmingId) -> Warming:
        await self._tx.statement()
        warming = self._tx.warmings.find(warming_id)
        if warming is None:
            raise WarmingNotFound(warming_id)
        return warming

    async def newest(self, limit: int, *, before: WarmingId | None = None) -> list[Warming]:
        await self._tx.statement()
        found = (warming for warming in self._tx.warmings.values() if before is None or warming.id < before)
        return sorted(found, key=lambda warming: warming.id, reverse=True)[:limit]

    async def find_queued(self) -> Warming | None:
        await self._tx.statement()
        queued = (warming for warming in self._tx.warmings.values() if warming.state is WarmingState.QUEUED)
        return min(queued, key=lambda warming: warming.id, default=None)

    async def add(self, warming: Warming) -> None:
        await self._tx.statement()
        self._tx.warmings.put(warming.id, warming)

    async def claim(self, *, at: datetime, until: datetime) -> Warming | None:
        await self._tx.statement()
        found = list(self._tx.warmings.values())
        if any(warming.runs(at=at) for warming in found):
            return None
        for warming in sorted(found, key=lambda warming: warming.id):
            if warming.claimable(at=at) and self._tx.warmings.try_lock(warming.id):
                claimed = warming.claimed(until=until)
                self._tx.warmings.put(claimed.id, claimed)
                return claimed
        return None

    async def finish(self, warming: Warming) -> bool:
        await self._tx.statement()
        stored = await self._tx.warmings.lock(warming.id)
        if stored is None or stored.state is not WarmingState.RUNNING or stored.claimed_until != warming.claimed_until:
            return False
        self._tx.warmings.put(warming.id, warming)
        return True

    async def delete_old(self, *, requested_before: datetime, kept: int) -> int:
        await self._tx.statement()
        newest = sorted(self._tx.warmings.values(), key=lambda warming: warming.id, reverse=True)
        old = [
            warming.id
            for number, warming in enumerate(newest)
            if warming.is_finished and (number >= kept or warming.requested_at < requested_before)
        ]
        for warming_id in old:
            await self._tx.warmings.remove(warming_id)
        return len(old)
