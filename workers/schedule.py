"""What a worker does now and then, whether Redis is there or not."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from application.auth import SweepSessions
from application.imports import DispatchImports
from application.outbox import RelayOutbox
from application.uploads import SweepUploads
from domain.errors import Busy, Unavailable

log = structlog.get_logger(__name__)


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
                await _set_within(stop, self.every_s)

    async def _taken(self) -> bool:
        try:
            return await self.step()
        except (Busy, Unavailable) as error:
            log.warning("step_put_off", step=self.name, reason=str(error))
        except Exception:
            log.exception("step_failed", step=self.name)
        return False


def schedule(
    relay: RelayOutbox, dispatch: DispatchImports, sessions: SweepSessions, uploads: SweepUploads
) -> tuple[Periodic, ...]:
    async def relay_outbox() -> bool:
        delivered, failures = await relay()
        if failures:
            first = failures[0]
            notes = getattr(first, "__notes__", None)
            log.warning("messages_put_off", messages=len(failures), reason=str(first), first=notes)
        return delivered >= relay.batch

    async def dispatch_imports() -> bool:
        await dispatch()
        return False

    async def sweep_sessions() -> bool:
        swept = await sessions()
        if swept:
            log.info("sessions_swept", sessions=swept)
        return False

    async def sweep_uploads() -> bool:
        swept = await uploads()
        if swept:
            log.info("uploads_swept", files=swept)
        return False

    return (
        Periodic("relay_outbox", 0.5, relay_outbox),
        Periodic("dispatch_imports", 2.0, dispatch_imports),
        Periodic("sweep_sessions", 3600.0, sweep_sessions),
        Periodic("sweep_uploads", 3600.0, sweep_uploads),
    )


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
