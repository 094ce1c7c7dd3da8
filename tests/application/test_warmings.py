"""Warmings as jobs: asked for, run one at a time, taken again, swept."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from application.caching.reading import ReadThrough
from application.caching.warming import LISTS, WarmCache
from application.warmings import WARM_CACHE, ListWarmings, RequestWarming, RunWarming, ShowWarming, SweepWarmings
from domain.actors import Actor, Role
from domain.errors import NotAllowed, WarmingNotFound
from domain.imports import Tally
from domain.warmings import Ending, Warming, WarmingReason, WarmingState
from infrastructure.cache.memory import MemoryCache
from infrastructure.memory.pages import MemoryPages
from tests.application.house import House
from tests.builders import SECOND, a_job, a_warming, an_actor

EVERY = timedelta(minutes=5)


class Gate(MemoryCache):
    """Warmings wait at it."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived = asyncio.Event()
        self.opened = asyncio.Event()
        self.opened.set()
        self.fault: Exception | None = None

    async def somebody(self) -> None:
        """Until a warming waits at it."""
        async with asyncio.timeout(10):
            await self.arrived.wait()

    async def most_read(self, limit: int) -> list[str]:
        self.arrived.set()
        await self.opened.wait()
        if self.fault is not None:
            raise self.fault
        return await super().most_read(limit)


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def request_warming(house: House) -> RequestWarming:
    return RequestWarming(house.store.begin, house.queue, house.clock, house.ids)


@pytest.fixture
def run(house: House, gate: Gate) -> RunWarming:
    warm = WarmCache(gate, ReadThrough(gate, ttl_s=60), MemoryPages(house.store), max_s=30, share=1)
    return RunWarming(house.store.begin, warm, house.clock, grace=timedelta(seconds=30))


async def stored(house: House) -> list[Warming]:
    return await ListWarmings(house.store.begin)(100, actor=an_actor(Role.OPERATOR))


async def test_a_warming_is_queued_and_the_worker_is_woken(
    house: House, operator: Actor, request_warming: RequestWarming
) -> None:
    warming = await request_warming(actor=operator)
    assert (warming.state, warming.reason) == (WarmingState.QUEUED, WarmingReason.REQUEST)
    assert house.queue.wakes == [(WARM_CACHE, str(warming.id))]
    assert await stored(house) == [warming]


async def test_without_a_queue_that_wakes_it_waits_until_a_worker_looks(
    house: House, operator: Actor, request_warming: RequestWarming
) -> None:
    house.queue.is_reachable = False
    warming = await request_warming(actor=operator)
    assert await stored(house) == [warming]


async def test_while_one_is_queued_another_request_gives_that_one(
    house: House, operator: Actor, request_warming: RequestWarming, run: RunWarming
) -> None:
    made = await asyncio.gather(
        request_warming(actor=operator), *map(request_warming.because, WarmingReason), request_warming(actor=operator)
    )
    assert len({warming.id for warming in made}) == 1
    await run()
    assert (await request_warming(actor=operator)).id != made[0].id


async def test_while_one_runs_the_next_is_queued_and_waits_for_its_end(
    house: House, operator: Actor, request_warming: RequestWarming, run: RunWarming, gate: Gate
) -> None:
    gate.opened.clear()
    first = await request_warming(actor=operator)
    running = asyncio.create_task(run())
    await gate.somebody()
    assert [warming.state for warming in await stored(house)] == [WarmingState.RUNNING]
    second = await request_warming(actor=operator)
    assert second.id != first.id
    assert await run() is None
    gate.opened.set()
    done = await running
    assert done is not None
    assert (done.id, done.state) == (first.id, WarmingState.DONE)
    following = await run()
    assert following is not None
    assert following.id == second.id
    assert await run() is None


async def test_what_was_done_is_reported(
    house: House, operator: Actor, request_warming: RequestWarming, run: RunWarming
) -> None:
    asked = await request_warming(actor=operator)
    done = await run()
    shown = await ShowWarming(house.store.begin)(asked.id, actor=operator)
    assert shown == done
    assert shown.report is not None
    assert (shown.report.loaded, shown.report.ended) == (len(LISTS) + 1, Ending.DONE)
    assert shown.finished_at == house.clock.now()


async def test_a_warming_of_a_cache_that_is_away_has_failed_and_says_so(
    house: House, operator: Actor, request_warming: RequestWarming, run: RunWarming, gate: Gate
) -> None:
    gate.away = True
    await request_warming(actor=operator)
    failed = await run()
    assert failed is not None
    assert failed.report is not None
    assert (failed.state, failed.report.ended) == (WarmingState.FAILED, Ending.AWAY)


async def test_a_defect_ends_the_warming_and_is_told_to_the_worker(
    house: House, operator: Actor, request_warming: RequestWarming, run: RunWarming, gate: Gate
) -> None:
    gate.fault = RuntimeError("A defect")
    await request_warming(actor=operator)
    with pytest.raises(RuntimeError, match="A defect"):
        await run()
    (failed,) = await stored(house)
    assert (failed.state, failed.report, failed.is_finished) == (WarmingState.FAILED, None, True)


async def test_one_whose_worker_died_is_taken_again_once_its_time_is_up(
    house: House, operator: Actor, request_warming: RequestWarming, run: RunWarming, gate: Gate
) -> None:
    gate.opened.clear()
    asked = await request_warming(actor=operator)
    frozen = asyncio.create_task(run())
    await gate.somebody()
    house.clock.advance(timedelta(seconds=60) - SECOND)
    assert await run() is None
    house.clock.advance(SECOND)
    gate.arrived.clear()
    another = asyncio.create_task(run())
    await gate.somebody()
    house.clock.advance(SECOND)
    gate.opened.set()
    # The first one has come back, and is told how it stands.
    told, done = await frozen, await another
    assert told is not None
    assert done is not None
    assert told.id == done.id == asked.id
    assert told.claimed_until == done.claimed_until
    assert (await stored(house)) == [done]
    assert await run() is None


async def test_the_schedule_asks_for_one_where_none_was_asked_for_of_late(
    house: House, operator: Actor, request_warming: RequestWarming, run: RunWarming
) -> None:
    first = await request_warming.unless_within(EVERY)
    assert first is not None
    assert first.reason is WarmingReason.SCHEDULE
    await run()
    house.clock.advance(EVERY - SECOND)
    assert await request_warming.unless_within(EVERY) is None
    house.clock.advance(SECOND)
    assert await request_warming.unless_within(EVERY) is not None


async def test_imports_that_changed_nothing_are_followed_by_none_and_where_none_is_wanted_unasked_no_import_is(
    house: House, operator: Actor, request_warming: RequestWarming
) -> None:
    job = replace(a_job(), tally=Tally(created=1))
    await request_warming.after(a_job())
    await replace(request_warming, is_wanted=False).after(job)
    assert await stored(house) == []
    # An operator wants it.
    await replace(request_warming, is_wanted=False)(actor=operator)
    assert len(await stored(house)) == 1


async def test_an_import_that_changed_something_is_followed_by_one(
    house: House, request_warming: RequestWarming
) -> None:
    await request_warming.after(replace(a_job(), tally=Tally(created=1)))
    assert [warming.reason for warming in await stored(house)] == [WarmingReason.IMPORT]


async def test_only_operators_may_ask_for_them_and_see_them(
    house: House, operator: Actor, request_warming: RequestWarming
) -> None:
    ann = an_actor(Role.AUTHOR)
    warming = await request_warming(actor=operator)
    begin = house.store.begin
    for refused in (
        request_warming(actor=ann),
        ShowWarming(begin)(warming.id, actor=ann),
        ListWarmings(begin)(9, actor=ann),
    ):
        with pytest.raises(NotAllowed):
            await refused
    with pytest.raises(WarmingNotFound):
        await ShowWarming(begin)(a_warming().id, actor=operator)


async def test_they_are_kept_for_a_week_and_no_more_than_so_many(
    house: House, operator: Actor, request_warming: RequestWarming, run: RunWarming
) -> None:
    async def sweep(kept: int = 100) -> int:
        return await SweepWarmings(house.store.begin, house.clock, kept=kept)()

    for _ in range(3):
        await request_warming(actor=operator)
        await run()
    assert await sweep() == 0
    assert await sweep(kept=2) == 1
    house.clock.advance(timedelta(days=7) + SECOND)
    waiting = await request_warming(actor=operator)
    assert await sweep() == 2
    house.clock.advance(timedelta(days=30))
    assert await sweep() == 0
    assert await stored(house) == [waiting]
