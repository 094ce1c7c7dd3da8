"""A cache that tells what it was asked to forget, can be away, and can be made to wait."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field

from application.caching.forgetting import Forgetting
from infrastructure.cache.memory import MemoryCache
from tests.builders import CountingIds, FixedClock


class RecordingCache(MemoryCache):
    """`forgotten` has the tags of each call that was answered. `before` is awaited first in each."""

    def __init__(self) -> None:
        super().__init__()
        self.forgotten: list[frozenset[str]] = []
        self.before: Callable[[], Awaitable[None]] = _at_once

    async def forget(self, tags: Collection[str]) -> None:
        await self.before()
        await super().forget(tags)
        self.forgotten.append(frozenset(tags))

    def taken(self) -> frozenset[str]:
        """All that was forgotten since this was asked last."""
        tags = frozenset[str]().union(*self.forgotten)
        self.forgotten.clear()
        return tags


class RecordingHost:
    def __init__(self) -> None:
        self.table: Sequence[int] = (0,)
        self.trusted_until = float("inf")
        self.epoch = 0
        self.forgotten: list[frozenset[str]] = []

    def slots(self, tags: Sequence[str]) -> tuple[int, ...]:
        return (0,) * len(tags)

    def forget(self, tags: Collection[str]) -> None:
        self.forgotten.append(frozenset(tags))


@dataclass
class Recording:
    """A Forgetting whose cache, host and clock a test can look at."""

    cache: RecordingCache = field(default_factory=RecordingCache)
    host: RecordingHost = field(default_factory=RecordingHost)
    clock: FixedClock = field(default_factory=FixedClock)

    def __post_init__(self) -> None:
        self.forgetting = Forgetting(self.cache, self.host, self.clock, CountingIds(start=10**6))


class Gate:
    """Whoever comes waits until it is opened."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self._opened = asyncio.Event()

    async def __call__(self) -> None:
        self.reached.set()
        await self._opened.wait()

    def open(self) -> None:
        self._opened.set()


async def _at_once() -> None:
    pass
