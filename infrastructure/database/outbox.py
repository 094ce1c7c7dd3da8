"""The outbox."""

from collections.abc import Collection
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, insert, select, update

from application.ports.work import Message
from domain.ids import MessageId
from infrastructure.database.tables import outbox
from infrastructure.database.transaction import Transaction

# Without waiting, so that two who delete the same cannot deadlock: what somebody else holds is theirs to delete.
_DELETE_MANY: Final = """
    DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE id = ANY($1::uuid[]) FOR UPDATE SKIP LOCKED)
"""


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

    async def claim(
        self, limit: int, *, at: datetime, until: datetime, only: str | None = None, but: str | None = None
    ) -> list[Message]:
        # By when they fell due, not by when they were written: messages that fail again and again hold up no others.
        due = (
            select(outbox.c.id)
            .where(outbox.c.due_at <= at, *_of_topics(only, but))
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

    async def done_many(self, message_ids: Collection[MessageId]) -> None:
        await self._tx.fetch(_DELETE_MANY, list(message_ids))


def _of_topics(only: str | None, but: str | None) -> list[ColumnElement[bool]]:
    return [
        *([] if only is None else [outbox.c.topic == only]),
        *([] if but is None else [outbox.c.topic != but]),
    ]
