"""What an API process does now and then, beside its requests."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial

from application.outbox import relaying
from application.periodic import Periodic
from application.use_cases import UseCases
from application.views import flush_views
from interfaces.http.local_pages import LocalPages

STOPPED_WITHIN_S = 5.0
NOTE_READS_EVERY_S = 10.0
NOTED_READS = 500


def periodics(use_cases: UseCases, local: LocalPages, *, flush_s: float) -> tuple[Periodic, ...]:
    """Of every API process."""

    async def note_reads() -> bool:
        await use_cases.note_reads(local.take_reads(NOTED_READS))
        return False

    return (
        relaying(use_cases.relay_outbox),
        Periodic("flush_views", flush_s, partial(flush_views, use_cases.views)),
        Periodic("note_reads", NOTE_READS_EVERY_S, note_reads),
    )


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
