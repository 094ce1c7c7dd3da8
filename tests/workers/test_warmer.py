"""When a worker has the cache warmed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
import structlog

from application.caching.reading import ReadThrough
from application.caching.warming import WarmCache
from application.ports.work import Isolation, UnitOfWork
from application.warmings import WARM_CACHE, RequestWarming, RunWarming
from domain.errors import Unavailable
from domain.imports import Tally
from domain.warmings import Warming, WarmingReason, WarmingState
from infrastructure.cache.memory import MemoryCache
from infrastructure.memory.pages import MemoryPages
from infrastructure.memory.queue import MemoryQueue
from infrastructure.memory.store import MemoryStore
from tests.builders import CountingIds, FixedClock, a_job
from workers.warmer import Warmer

HOUR_S = 3600.0


class Faulty(MemoryCache):
    def __init__(self, place: "Place") -> None:
        super().__init__()
        self._place = place

    async def most_read(self, limit: int) -> list[str]:
        if self._place.fault is not None:
            raise self._place.fault
        return await super().most_read(limit)


class Place:
    """Warmers over one store, in memory."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.clock = FixedClock()
        self.queue = MemoryQueue()
        self.cache = Faulty(self)
        warm = WarmCache(self.cache, ReadThrough(self.cache, ttl_s=60), MemoryPages(self.store), share=1)
        self.request_warming = RequestWarming(self.begin, self.queue, self.clock, CountingIds())
        self.run_warming = RunWarming(self.begin, warm, self.clock)
        self.looks = 0
        self.is_away = False
        self.meanwhile: Callable[[], None] | None = None
        """Happens once, while somebody begins."""
        self.fault: Exception | None = None

    @asynccontextmanager
    async def begin(self, *, isolation: Isolation = Isolation.READ_COMMITTED) -> AsyncIterator[UnitOfWork]:
        self.looks += 1
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        if self.is_away:
            raise Unavailable("The database")
        async with self.store.begin(isolation=isolation) as work:
            yield work

    @property
    def scheduled(self) -> int:
        """How many warmings there are by the schedule."""
        return [warming.reason for warming in self.warmings()].count(WarmingReason.SCHEDULE)

    @property
    def is_quiet(self) -> bool:
        return bool(self.warmings()) and all(warming.is_finished for warming in self.warmings())

    def warmer(self, *, every_s: float = 0, look_every_s: float = HOUR_S) -> Warmer:
        return Warmer(self.request_warming, self.run_warming, every_s=every_s, look_every_s=look_every_s)

    @asynccontextmanager
    async def at_work(self, *warmers: Warmer) -> AsyncIterator[None]:
        stop = asyncio.Event()
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            for warmer in warmers:
                group.create_task(warmer.repeat(stop))
            yield
            stop.set()

    def warmings(self) -> list[Warming]:
        return sorted(self.store.tables.warmings.rows.values(), key=lambda warming: warming.id)

    async def until(self, true: Callable[[], bool]) -> None:
        """Within the bound of `at_work`."""
        while not true():  # noqa: ASYNC110 -- the tables tell nobody
            await asyncio.sleep(0.001)

    async def until_done(self, *reasons: WarmingReason) -> None:
        await self.until(lambda: [warming.reason for warming in self.warmings() if warming.is_finished] == [*reasons])


@pytest.fixture
def place() -> Place:
    return Place()


async def test_the_cache_is_warmed_when_a_worker_starts(place: Place) -> None:
    with structlog.testing.capture_logs() as logs:
        async with place.at_work(place.warmer()):
            await place.until_done(WarmingReason.START)
    assert [warming.state for warming in place.warmings()] == [WarmingState.DONE]
    assert [(each["event"], each["reason"], each["ended"]) for each in logs] == [("cache_warmed", "start", "done")]


async def test_it_is_warmed_when_it_is_asked_for(place: Place) -> None:
    warmer = place.warmer()
    place.queue.on_wake(warmer.wake)
    async with place.at_work(warmer):
        await place.until_done(WarmingReason.START)
        await place.request_warming.because(WarmingReason.REQUEST)
        await place.until_done(WarmingReason.START, WarmingReason.REQUEST)
    assert {topic for topic, _ in place.queue.wakes} == {WARM_CACHE}


async def test_what_is_queued_is_found_without_a_wake(place: Place) -> None:
    place.queue.is_reachable = False
    async with place.at_work(place.warmer(look_every_s=0.001)):
        await place.until_done(WarmingReason.START)
        await place.request_warming.because(WarmingReason.REQUEST)
        await place.until_done(WarmingReason.START, WarmingReason.REQUEST)


async def test_it_is_warmed_after_imports_that_changed_something(place: Place) -> None:
    warmer = place.warmer()
    job = a_job()
    async with place.at_work(warmer):
        await place.until_done(WarmingReason.START)
        for number, tally in enumerate((Tally(created=1), Tally(updated=1), Tally(authors_created=1)), 1):
            warmer.imported(replace(job, tally=tally))
            await place.until_done(WarmingReason.START, *[WarmingReason.IMPORT] * number)


async def test_an_import_that_ends_while_one_is_asked_for_is_followed_by_another(place: Place) -> None:
    warmer = place.warmer()
    job = replace(a_job(), tally=Tally(created=1))
    async with place.at_work(warmer):
        await place.until_done(WarmingReason.START)
        place.meanwhile = lambda: warmer.imported(job)
        warmer.imported(job)
        await place.until_done(WarmingReason.START, *[WarmingReason.IMPORT] * 2)


async def test_imports_that_changed_nothing_are_let_pass(place: Place) -> None:
    warmer = place.warmer(look_every_s=0.001)
    job = a_job()
    async with place.at_work(warmer):
        await place.until_done(WarmingReason.START)
        warmer.imported(replace(job, tally=Tally(skipped=3, failed=1, unchanged=2)))
        warmer.imported(replace(job, tally=Tally(created=3), options=replace(job.options, dry_run=True)))
        looks = place.looks
        await place.until(lambda: place.looks > looks + 5)
    assert [warming.reason for warming in place.warmings()] == [WarmingReason.START]


async def test_it_is_warmed_on_schedule_once_for_all_workers(place: Place) -> None:
    # The clock of the warmings stands still between its hours.
    warmers = [place.warmer(every_s=0.01, look_every_s=0.001) for _ in range(3)]
    async with place.at_work(*warmers):
        await place.until(lambda: place.is_quiet)
        for number in range(1, 4):
            place.clock.advance(timedelta(hours=1))
            await place.until(lambda n=number: place.scheduled == n)  # type: ignore[misc]  # its default
            await place.until(lambda: place.is_quiet)
    assert place.scheduled == 3


async def test_where_nothing_is_to_be_warmed_unasked_it_waits_to_be_asked(place: Place) -> None:
    place.request_warming = replace(place.request_warming, is_wanted=False)
    warmer = place.warmer(every_s=0.001, look_every_s=0.001)
    async with place.at_work(warmer):
        warmer.imported(replace(a_job(), tally=Tally(created=3)))
        looks = place.looks
        await place.until(lambda: place.looks > looks + 5)
        assert place.warmings() == []
        await place.request_warming.because(WarmingReason.REQUEST)
        await place.until_done(WarmingReason.REQUEST)


async def test_without_a_schedule_nobody_asks(place: Place) -> None:
    async with place.at_work(place.warmer(every_s=0, look_every_s=0.001)):
        await place.until_done(WarmingReason.START)
        place.clock.advance(timedelta(days=1))
        looks = place.looks
        await place.until(lambda: place.looks > looks + 5)
    assert [warming.reason for warming in place.warmings()] == [WarmingReason.START]


async def test_what_cannot_be_asked_for_now_is_asked_for_later(place: Place) -> None:
    place.is_away = True
    with structlog.testing.capture_logs() as logs:
        async with place.at_work(place.warmer(look_every_s=0.001)):
            await place.until(lambda: place.looks > 3)
            place.is_away = False
            await place.until_done(WarmingReason.START)
    assert [each["event"] for each in logs][-2:] == ["warming_put_off", "cache_warmed"]


async def test_a_defect_of_a_warming_does_not_end_the_warmer(place: Place) -> None:
    place.fault = RuntimeError("A defect")
    warmer = place.warmer(look_every_s=0.001)
    with structlog.testing.capture_logs() as logs:
        async with place.at_work(warmer):
            await place.until_done(WarmingReason.START)
            place.fault = None
            await place.request_warming.because(WarmingReason.REQUEST)
            await place.until_done(WarmingReason.START, WarmingReason.REQUEST)
    assert [warming.state for warming in place.warmings()] == [WarmingState.FAILED, WarmingState.DONE]
    assert [each["event"] for each in logs] == ["warming_failed", "cache_warmed"]


async def test_it_stops_without_waiting_for_the_next_look(place: Place) -> None:
    async with place.at_work(place.warmer(look_every_s=HOUR_S)):
        await place.until_done(WarmingReason.START)
