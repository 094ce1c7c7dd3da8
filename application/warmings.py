"""Warmings of the cache as jobs: asked for by operators and by workers, done by one worker at a time, kept for a while.

PostgreSQL holds the truth about them; a wake-up only saves the wait until a worker looks.
"""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from application.caching.warming import WarmCache
from application.ports.services import Clock, Ids, JobQueue
from application.ports.work import BeginWork, UnitOfWork
from domain.actors import Actor
from domain.ids import WarmingId
from domain.imports import ImportJob
from domain.warmings import Warming, WarmingReason, WarmingReport

WARM_CACHE = "cache.warm"


def has_changed_pages(job: ImportJob) -> bool:
    return not job.options.dry_run and bool(job.tally.created or job.tally.updated or job.tally.authors_created)


@dataclass(frozen=True, slots=True)
class RequestWarming:
    """A queued warming: the one that waits already, if one does."""

    begin: BeginWork
    queue: JobQueue
    clock: Clock
    ids: Ids
    is_wanted: bool = True
    """Whether there are any that no operator asks for: after starts and imports, and by the schedule."""

    async def __call__(self, *, actor: Actor) -> Warming:
        """Raises NotAllowed."""
        actor.require_operator()
        return await self.because(WarmingReason.REQUEST)

    async def after(self, job: ImportJob) -> None:
        """Where an import that has finished has changed what is shown, and it `is_wanted`."""
        if self.is_wanted and has_changed_pages(job):
            await self.because(WarmingReason.IMPORT)

    async def because(self, reason: WarmingReason) -> Warming:
        async with self.begin() as work:
            await work.warmings.queue_up()
            return await self._queued(work, reason)

    async def unless_within(self, every: timedelta) -> Warming | None:
        """By the schedule, however many workers keep to it: none where one was asked for less than `every` ago."""
        async with self.begin() as work:
            await work.warmings.queue_up()
            newest = await work.warmings.newest(1)
            if newest and newest[0].requested_at + every > self.clock.now():
                return None
            return await self._queued(work, WarmingReason.SCHEDULE)

    async def _queued(self, work: UnitOfWork, reason: WarmingReason) -> Warming:
        warming = await work.warmings.find_queued()
        if warming is None:
            warming = Warming(WarmingId(self.ids.next()), reason, self.clock.now())
            await work.warmings.add(warming)
        key = str(warming.id)
        work.after_commit(lambda: self.queue.wake(WARM_CACHE, key))
        await work.commit()
        return warming


@dataclass(frozen=True, slots=True)
class RunWarming:
    """The next warming in the queue, to its end. Whoever dies over it has it for `grace` longer than a warming may
    last; then it is done again, and what the first one says of it counts no more."""

    begin: BeginWork
    warm: WarmCache
    clock: Clock
    grace: timedelta = timedelta(seconds=30)

    async def __call__(self, *, stop: asyncio.Event | None = None) -> Warming | None:
        """None where none waits, and while another worker is at one. Raises what a defect of the warming raises."""
        now = self.clock.now()
        async with self.begin() as work:
            await work.warmings.queue_up()
            until = now + timedelta(seconds=self.warm.max_s) + self.grace
            warming = await work.warmings.claim(at=now, until=until)
            await work.commit()
        if warming is None:
            return None
        try:
            report = await self.warm(stop=stop)
        except Exception:
            await self._finish(warming, None)
            raise
        return await self._finish(warming, report)

    async def _finish(self, warming: Warming, report: WarmingReport | None) -> Warming:
        """As it is stored."""
        finished = warming.finished(report, at=self.clock.now())
        async with self.begin() as work:
            if not await work.warmings.finish(finished):
                return await work.warmings.get(warming.id)
            await work.commit()
        return finished


@dataclass(frozen=True, slots=True)
class ShowWarming:
    """Raises NotAllowed, WarmingNotFound."""

    begin: BeginWork

    async def __call__(self, warming_id: WarmingId, *, actor: Actor) -> Warming:
        actor.require_operator()
        async with self.begin() as work:
            return await work.warmings.get(warming_id)


@dataclass(frozen=True, slots=True)
class ListWarmings:
    """Newest first, of those made before `before`. Raises NotAllowed."""

    begin: BeginWork

    async def __call__(self, limit: int, *, before: WarmingId | None = None, actor: Actor) -> list[Warming]:
        actor.require_operator()
        async with self.begin() as work:
            return await work.warmings.newest(limit, before=before)


@dataclass(frozen=True, slots=True)
class SweepWarmings:
    """Finished ones are kept for `kept_for`, and no more than the newest `kept`."""

    begin: BeginWork
    clock: Clock
    kept_for: timedelta = timedelta(days=7)
    kept: int = 100

    async def __call__(self) -> int:
        """How many were deleted."""
        async with self.begin() as work:
            deleted = await work.warmings.delete_old(requested_before=self.clock.now() - self.kept_for, kept=self.kept)
            await work.commit()
        return deleted
