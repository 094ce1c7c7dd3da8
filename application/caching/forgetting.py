"""Forgetting what a commit has changed: at once, after the commit and before its answer, and by the outbox until it is
done.

First the shared cache, then this host: whoever keeps something under the host's new tokens has looked into the shared
cache after its tokens were set.
"""

import asyncio
import logging
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice

from application.caching.tags import at_most_many
from application.ports.cache import HostTokens, SharedCache
from application.ports.services import Clock, Ids
from application.ports.work import Message
from domain.errors import Unavailable
from domain.ids import MessageId

log = logging.getLogger(__name__)

FORGET = "cache.forget"

_NOTED_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Forgetting:
    shared: SharedCache
    host: HostTokens
    clock: Clock
    ids: Ids
    grace: timedelta = timedelta(seconds=1)
    """How long the relay leaves it to whoever committed."""
    _done: dict[MessageId, None] = field(default_factory=dict)
    _under_way: set[asyncio.Task[None]] = field(default_factory=set)

    def message(self, tags: Iterable[str]) -> Message:
        """To be written in the transaction, due after `grace`. More than MANY tags are ALL."""
        body = {"tags": sorted(at_most_many(tags))}
        return Message(MessageId(self.ids.next()), FORGET, body, self.clock.now() + self.grace)

    async def at_once(self, message: Message) -> None:
        """After the commit that wrote it. What fails is left to the relay; whoever is cancelled meanwhile leaves the
        forgetting going on."""
        task = asyncio.ensure_future(self._try(message))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        await asyncio.shield(task)

    async def deliver(self, messages: Iterable[Message]) -> None:
        """All of them in one call. Raises Unavailable."""
        await self(at_most_many(tag for message in messages for tag in _tags(message)))

    def merged(self, messages: Collection[Message], *, due_at: datetime) -> Message:
        """One that stands for all of them."""
        merged = self.message(tag for message in messages for tag in _tags(message))
        return replace(merged, created_at=due_at, attempts=max(message.attempts for message in messages))

    @contextmanager
    def done(self) -> Iterator[list[MessageId]]:
        """The messages that nobody need deliver any more, noted up to now: to be deleted within, or else noted still.
        Those that are not noted in time are delivered once more by the relay."""
        ids = list(islice(self._done, _NOTED_MAX))
        yield ids
        for each in ids:
            self._done.pop(each, None)

    async def idle(self) -> None:
        """Until nothing is being forgotten at once."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def __call__(self, tags: Collection[str]) -> None:
        """Raises Unavailable; this host has forgotten them even so."""
        try:
            await self.shared.forget(tags)
        finally:
            self.host.forget(tags)

    async def _try(self, message: Message) -> None:
        try:
            await self(_tags(message))
        except Unavailable:
            pass  # The relay will tell, for all of them.
        except Exception:
            log.exception("forgetting_failed", extra={"message_id": str(message.id)})
        else:
            if len(self._done) < _NOTED_MAX:
                self._done[message.id] = None


def _tags(message: Message) -> list[str]:
    tags = message.body["tags"]
    assert isinstance(tags, list)  # noqa: S101 -- what `message` wrote, for the type checker
    return tags
