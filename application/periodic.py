"""What a process does now and then."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from domain.errors import Busy, Unavailable

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Periodic:
    """`step` answers whether there is more to do at once."""

    name: str
    every_s: float
    step: Callable[[], Awaitable[bool]]

    async def repeat(self, stop: asyncio.Event) -> None:
        """Until `stop` is set. What a step fails with is logged, and the next one is taken in its time."""
        while not stop.is_set():
            if not await self._taken():
                await until_set(stop, self.every_s)

    async def _taken(self) -> bool:
        try:
            return await self.step()
        except (Busy, Unavailable) as error:
            log.warning("step_put_off", extra={"step": self.name, "reason": str(error)})
        except Exception:
            log.exception("step_failed", extra={"step": self.name})
        return False


async def until_set(event: asyncio.Event, seconds: float) -> None:
    """Or until so many seconds have passed."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
