"""When this worker has the cache warmed, and that it does what it finds in the queue of warmings."""

import asyncio
import time
from dataclasses import asdict
from datetime import timedelta

import structlog

from application.periodic import until_set
from application.warmings import RequestWarming, RunWarming, has_changed_pages
from domain.errors import Busy, Unavailable
from domain.imports import ImportJob
from domain.warmings import Warming, WarmingReason

log = structlog.get_logger(__name__)


class Warmer:
    """Where warmings are wanted that no operator asks for, asks for one when it starts, when an import has changed
    something, and every `every_s` (0: never), for all workers together. Looks into the queue when it is woken, and
    every `look_every_s`: wake-ups may be lost."""

    def __init__(
        self,
        request_warming: RequestWarming,
        run_warming: RunWarming,
        *,
        every_s: float,
        look_every_s: float = 2.0,
    ) -> None:
        self._request_warming = request_warming
        self._run_warming = run_warming
        self._every_s = every_s if request_warming.is_wanted else 0.0
        self._look_every_s = look_every_s
        self._schedule_due_at = 0.0
        self._wanted = {WarmingReason.START: None} if request_warming.is_wanted else {}
        self._woken = asyncio.Event()

    async def wake(self, _topic: str, _key: str) -> None:
        self._woken.set()

    def imported(self, job: ImportJob) -> None:
        """An import has finished."""
        if self._request_warming.is_wanted and has_changed_pages(job):
            self._wanted[WarmingReason.IMPORT] = None
            self._woken.set()

    async def repeat(self, stop: asyncio.Event) -> None:
        """Until `stop` is set; a warming ends then after the page at hand. What fails is logged, and tried again."""
        stopping = asyncio.create_task(self._wake_at(stop))
        try:
            while not stop.is_set():
                self._woken.clear()
                if not await self._has_warmed(stop):
                    await until_set(self._woken, self._look_every_s)
        finally:
            stopping.cancel()

    async def _wake_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._woken.set()

    async def _has_warmed(self, stop: asyncio.Event) -> bool:
        try:
            await self._ask()
            warming = await self._run_warming(stop=stop)
        except (Busy, Unavailable) as error:
            log.warning("warming_put_off", reason=str(error))
        except Exception:
            log.exception("warming_failed")
        else:
            if warming is not None:
                _tell(warming)
                return True
        return False

    async def _ask(self) -> None:
        for reason in tuple(self._wanted):
            del self._wanted[reason]  # before it is asked for: it may be wanted again meanwhile
            try:
                await self._request_warming.because(reason)
            except BaseException:
                self._wanted[reason] = None
                raise
        if self._every_s and time.monotonic() >= self._schedule_due_at:
            await self._request_warming.unless_within(timedelta(seconds=self._every_s))
            # Whatever else was asked for meanwhile puts the schedule off: looked at often, it is late by little.
            self._schedule_due_at = time.monotonic() + self._every_s / 10


def _tell(warming: Warming) -> None:
    told = {} if warming.report is None else asdict(warming.report)
    log.info("cache_warmed", warming_id=str(warming.id), reason=warming.reason.value, state=warming.state.value, **told)
