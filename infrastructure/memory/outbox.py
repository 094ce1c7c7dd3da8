"""The outbox in memory."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from application.ports.work import Message
from domain.ids import MessageId
from infrastructure.memory.tables import StoredMessage
from infrastructure.memory.transaction import Transaction


class MemoryOutbox:
    def __init__(self, transaction: Transaction) -> None:
        self._tx = transaction

    async def add(self, message: Message) -> None:
        await self._tx.statement()
        self._tx.outbox.put(message.id, StoredMessage(message, due_at=message.created_at))

    async def claim(
        self, limit: int, *, at: datetime, until: datetime, only: str | None = None, but: str | None = None
    ) -> list[Message]:
        await self._tx.statement()
        due = sorted(
            (
                stored
                for stored in self._tx.outbox.values()
                if stored.due_at <= at and only in (None, stored.message.topic) and but != stored.message.topic
            ),
            key=lambda stored: (stored.due_at, stored.message.id),
        )
        claimed: list[Message] = []
        for stored in due:
            if len(claimed) == limit:
                break
            if self._tx.outbox.try_lock(stored.message.id):
                message = replace(stored.message, attempts=stored.message.attempts + 1)
                self._tx.outbox.put(message.id, StoredMessage(message, due_at=until))
                claimed.append(message)
        return sorted(claimed, key=lambda message: (message.created_at, message.id))

    async def done_many(self, message_ids: Collection[MessageId]) -> None:
        await self._tx.statement()
        for message_id in message_ids:
            if self._tx.outbox.try_lock(message_id):
                await self._tx.outbox.remove(message_id)
