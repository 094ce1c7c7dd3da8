"""What is done to Redis, and to the posts, while they are read."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tests.cli.running import all_gone, eventually
from tests.soak.promises import Outage
from tests.soak.site import Site
from tests.soak.writers import Writers

FLUSH_EVERY_S = 0.7
CUT_EVERY_S = 4.0
"""Longer than it takes to repair what was missed, so that each cut is seen alone."""
RESTART_EVERY_S = 5.0
IMPORT_EVERY_S = 0.5


@dataclass(slots=True)
class Disturbance:
    """Goes on until `is_over`, which it may end by failing."""

    site: Site
    writers: Writers
    is_over: Callable[[], bool]
    times: int = 0
    outages: list[Outage] = field(default_factory=list)

    async def nothing(self) -> None:
        pass

    async def flushes(self) -> None:
        await self._again_and_again(FLUSH_EVERY_S, self._flush)

    async def cuts(self) -> None:
        await self._again_and_again(CUT_EVERY_S, self._cut)

    async def restarts(self) -> None:
        await self._again_and_again(RESTART_EVERY_S, self._restart)

    async def imports(self) -> None:
        await self.writers.import_again_and_again(IMPORT_EVERY_S)

    async def _again_and_again(self, every_s: float, disturb: Callable[[], Awaitable[None]]) -> None:
        while not self.is_over():
            await disturb()
            self.times += 1
            await asyncio.sleep(every_s)

    async def _flush(self) -> None:
        async with self.site.redis as redis:
            await redis.flushall()

    async def _cut(self) -> None:
        began = time.monotonic()
        async with self.site.redis as redis:
            await redis.client_kill_filter(_type="normal", skipme=True)
            await redis.client_kill_filter(_type="pubsub")
        self.outages.append(Outage(began, time.monotonic()))

    async def _restart(self) -> None:
        """By a kill; the append-only file brings back what was there a second before it, or less."""
        valkey = self.site.valkey()
        began = time.monotonic()
        valkey.kill()
        await all_gone([valkey])
        await eventually(self.site.has_redis, "Valkey is back")
        self.outages.append(Outage(began, time.monotonic()))
