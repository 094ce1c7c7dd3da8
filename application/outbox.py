"""What must happen after a commit: messages written in the transaction, delivered by the relay until done."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from application.caching.forgetting import FORGET, Forgetting
from application.periodic import Periodic
from application.ports.services import Clock
from application.ports.work import BeginWork, Message
from domain.errors import Unavailable
from domain.ids import MessageId

log = logging.getLogger(__name__)

START_IMPORT = "import.start"

Deliver = Callable[[Message], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class RelayOutbox:
    """Delivers what is due, each message outside any transaction; what fails is due again after `retry_after`. Once a
    topic is Unavailable, the rest of it waits for that too: each might take a timeout.

    What is to be forgotten is claimed apart from all else, so that it holds up nothing while the cache is away, and is
    forgotten in one call; where that fails, one message takes the place of all, so that they do not pile up.

    At least once: a relay that dies between delivery and `done` leaves a repeat, and a batch that takes longer than
    `retry_after` may be delivered by another relay meanwhile.
    """

    begin: BeginWork
    clock: Clock
    deliveries: Mapping[str, Deliver]
    forgetting: Forgetting | None = None
    """None: nothing is cached."""
    batch: int = 100
    forgotten_at_once: int = 1_000
    retry_after: timedelta = timedelta(seconds=1)

    async def __call__(self) -> tuple[int, list[Exception]]:
        """How many were delivered, and why others were not."""
        now = self.clock.now()
        until = now + self.retry_after
        delivered: list[MessageId] = []
        failures: list[Exception] = []
        if self.forgetting is None:
            due = await self._claimed(now, until)
        else:
            stale, due = await self._claimed_apart(self.forgetting, now, until)
            delivered, failures = await self._forgotten(self.forgetting, stale, until)
        away = set()
        for message in due:
            if message.topic in away:
                continue
            try:
                await self.deliveries[message.topic](message)
            except Exception as error:
                if isinstance(error, Unavailable):
                    away.add(message.topic)
                failures.append(_noted(error, message))
            else:
                delivered.append(message.id)
        if delivered:
            async with self.begin() as work:
                await work.outbox.done_many(delivered)
                await work.commit()
        return len(delivered), failures

    async def step(self) -> bool:
        """Of a Periodic: whether there may be more to do at once."""
        delivered, failures = await self()
        if failures:
            first = failures[0]
            notes = getattr(first, "__notes__", None)
            log.warning("messages_put_off", extra={"messages": len(failures), "reason": str(first), "first": notes})
        return delivered >= self.batch

    async def _claimed(self, now: datetime, until: datetime) -> list[Message]:
        async with self.begin() as work:
            due = await work.outbox.claim(self.batch, at=now, until=until)
            await work.commit()
        return due

    async def _claimed_apart(
        self, forgetting: Forgetting, now: datetime, until: datetime
    ) -> tuple[list[Message], list[Message]]:
        """What is to be forgotten, and the rest; those that this process has done meanwhile are none of them."""
        with forgetting.done() as done:
            async with self.begin() as work:
                if done:
                    await work.outbox.done_many(done)
                stale = await work.outbox.claim(self.forgotten_at_once, at=now, until=until, only=FORGET)
                due = await work.outbox.claim(self.batch, at=now, until=until, but=FORGET)
                await work.commit()
        return stale, due

    async def _forgotten(
        self, forgetting: Forgetting, stale: Sequence[Message], until: datetime
    ) -> tuple[list[MessageId], list[Exception]]:
        """The messages that are delivered, and why they are not."""
        if not stale:
            return [], []
        ids = [message.id for message in stale]
        try:
            await forgetting.deliver(stale)
        except Exception as error:
            # Two relays that claimed the same one after the other may leave two, and never more than there were.
            if len(stale) > 1:
                async with self.begin() as work:
                    await work.outbox.done_many(ids)
                    await work.outbox.add(forgetting.merged(stale, due_at=until))
                    await work.commit()
            return [], [_noted(error, stale[0])]
        return ids, []


def relaying(relay: RelayOutbox) -> Periodic:
    return Periodic("relay_outbox", 0.5, relay.step)


def _noted(error: Exception, message: Message) -> Exception:
    error.add_note(f"outbox message {message.id}, topic {message.topic}, attempt {message.attempts}")
    return error
