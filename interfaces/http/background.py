"""What an API process does now and then, beside its requests."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from application.periodic import Periodic

STOPPED_WITHIN_S = 5.0


@asynccontextmanager
async def background(periodics: Iterable[Periodic]) -> AsyncIterator[None]:
    """Each is repeated until the end; a step that is under way then has `STOPPED_WITHIN_S` to end, and is cancelled."""
    stop = asyncio.Event()
    tasks = [asyncio.create_task(periodic.repeat(stop), name=periodic.name) for periodic in periodics]
    try:
        yield
    finally:
        stop.set()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=STOPPED_WITHIN_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
