"""What must happen after a commit: messages written in the transaction, delivered by the relay until done."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from application.ports.services import Clock
from application.ports.work import BeginWork, Message
from domain.errors import Unavailable

START_IMPORT = "import.start"

Deliver = Callable[[Message], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class RelayOutbox:
    """Delivers what is due, each message outside any transaction; what fails is due again after `retry_after`. Once a
    topic is Unavailable, the rest of it waits for that too: each might take a timeout.

    At least once: a relay that dies between delivery and `done` leaves a repeat, and a batch that takes longer than
    `retry_after` may be delivered by another relay meanwhile.
    """

    begin: BeginWork
    clock: Clock
    deliveries: Mapping[str, Deliver]
    batch: int = 100
    retry_after: timedelta = timedelta(seconds=2)

    async def __call__(self) -> tuple[int, list[Exception]]:
        """How many were delivered, and why others were not."""
        now = self.clock.now()
        async with self.begin() as work:
            due = await work.outbox.claim(self.batch, at=now, until=now + self.retry_after)
            await work.commit()
        failures = []
        delivered = []
        away = set()
        for message in due:
            if message.topic in away:
                continue
            try:
                await self.deliveries[message.topic](message)
            except Exception as error:
                if isinstance(error, Unavailable):
                    away.add(message.topic)
                error.add_note(f"outbox message {message.id}, topic {message.topic}, attempt {message.attempts}")
                failures.append(error)
            else:
                delivered.append(message.id)
        if delivered:
            async with self.begin() as work:
                for message_id in delivered:
                    await work.outbox.done(message_id)
                await work.commit()
        return len(delivered), failures
