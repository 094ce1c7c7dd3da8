"""The outbox."""

from datetime import datetime

from sqlalchemy import delete, insert, select, update

from application.ports.work import Message
from domain.ids import MessageId
from infrastructure.database.tables import outbox
from infrastructure.database.transaction import Transaction


class SqlOutbox:
    def __init__(self, transaction: Transaction) -> None:
        self._tx = transaction

    async def add(self, message: Message) -> None:
        await self._tx.execute(
            insert(outbox).values(
                id=message.id,
                topic=message.topic,
                body=dict(message.body),
                created_at=message.created_at,
                attempts=message.attempts,
                due_at=message.created_at,
            )
        )

    async def claim(self, limit: int, *, at: datetime, until: datetime) -> list[Message]:
        # By when they fell due, not by when they were written: messages that fail again and again hold up no others.
        due = (
            select(outbox.c.id)
            .where(outbox.c.due_at <= at)
            .order_by(outbox.c.due_at, outbox.c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
            .cte("due")
        )
        claimed = await self._tx.execute(
            update(outbox)
            .where(outbox.c.id == due.c.id)
            .values(due_at=until, attempts=outbox.c.attempts + 1)
            .returning(outbox)
        )
        messages = [Message(MessageId(row.id), row.topic, row.body, row.created_at, row.attempts) for row in claimed]
        return sorted(messages, key=lambda message: (message.created_at, message.id))

    async def done(self, message_id: MessageId) -> None:
        await self._tx.execute(delete(outbox).where(outbox.c.id == message_id))
