"""Views in memory."""

from datetime import datetime
from itertools import islice

from application.ports.repositories import ViewBatch
from domain.posts import VIEWS_MAX
from infrastructure.memory.tables import StoredBatch
from infrastructure.memory.transaction import Transaction


class MemoryViews:
    def __init__(self, transaction: Transaction) -> None:
        self._tx = transaction

    async def add(self, batch: ViewBatch, *, at: datetime) -> None:
        await self._tx.statement()
        last = await self._tx.view_batches.lock(batch.process)
        if last is not None and last.sequence >= batch.sequence:
            return
        self._tx.view_batches.put(batch.process, StoredBatch(batch.sequence, at))
        for post_id, count in sorted(batch.counts.items()):
            if await self._tx.posts.refer(post_id):
                views = await self._tx.views.lock(post_id) or 0
                self._tx.views.put(post_id, min(views + count, VIEWS_MAX))

    async def forget_processes(self, *, before: datetime, limit: int) -> int:
        await self._tx.statement()
        silent = sorted(
            (batch.counted_at, process) for process, batch in self._tx.view_batches.items() if batch.counted_at < before
        )
        gone = list(islice((process for _, process in silent if self._tx.view_batches.try_lock(process)), limit))
        for process in gone:
            await self._tx.view_batches.remove(process)
        return len(gone)
