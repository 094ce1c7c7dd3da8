"""Forgetting what a commit has changed: at once, after the commit and before its answer, and by the outbox until it is
done.

First the shared cache, then this host: whoever keeps something under the host's new tokens has looked into the shared
cache after its tokens were set.
"""

import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from application.ports.cache import HostTokens, SharedCache
from application.ports.services import Clock, Ids
from application.ports.work import Message
from domain.errors import Unavailable
from domain.ids import MessageId

log = logging.getLogger(__name__)

FORGET = "cache.forget"


@dataclass(frozen=True, slots=True)
class Forgetting:
    shared: SharedCache
    host: HostTokens
    clock: Clock
    ids: Ids
    grace: timedelta = timedelta(seconds=1)
    """How long the relay leaves it to whoever committed."""

    def message(self, tags: Collection[str]) -> Message:
        """To be written in the transaction, due after `grace`."""
        return Message(MessageId(self.ids.next()), FORGET, {"tags": sorted(tags)}, self.clock.now() + self.grace)

    async def at_once(self, tags: Collection[str]) -> bool:
        """Whether it is done; where the shared cache is away, it is left to the relay."""
        try:
            await self(tags)
        except Unavailable:
            return False
        return True

    async def deliver(self, message: Message) -> None:
        """Raises Unavailable."""
        tags = message.body["tags"]
        assert isinstance(tags, list)  # noqa: S101 -- what `message` wrote, for the type checker
        await self(tags)

    async def __call__(self, tags: Collection[str]) -> None:
        """Raises Unavailable; this host has forgotten them even so."""
        try:
            await self.shared.forget(tags)
        finally:
            self.host.forget(tags)
