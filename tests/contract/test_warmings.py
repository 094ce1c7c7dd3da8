"""Warmings: one queued, one running, taken again when their worker is gone."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from domain.errors import WarmingNotFound
from domain.warmings import Ending, Warming, WarmingReason, WarmingReport, WarmingState
from tests.builders import NOON, SECOND, a_warming
from tests.contract.adapters import Adapters

LATER = NOON + timedelta(minutes=1)
REPORT = WarmingReport(asked=7, loaded=3, already_there=3, gone=1, took_s=0.25, ended=Ending.DONE)


async def keep(adapters: Adapters, *warmings: Warming) -> None:
    async with adapters.begin() as work:
        for warming in warmings:
            await work.warmings.add(warming)
        await work.commit()


async def claim(adapters: Adapters, *, at: datetime = NOON, until: datetime = LATER) -> Warming | None:
    async with adapters.begin() as work:
        await work.warmings.queue_up()
        claimed = await work.warmings.claim(at=at, until=until)
        await work.commit()
    return claimed


async def finish(adapters: Adapters, warming: Warming) -> bool:
    async with adapters.begin() as work:
        finished = await work.warmings.finish(warming)
        await work.commit()
    return finished


async def newest(adapters: Adapters, limit: int = 100) -> list[Warming]:
    async with adapters.begin() as work:
        return await work.warmings.newest(limit)


async def test_a_warming_is_kept_whole(adapters: Adapters) -> None:
    queued = a_warming(reason=WarmingReason.IMPORT)
    reported = a_warming().claimed(until=LATER).finished(REPORT, at=LATER)
    broken = a_warming().claimed(until=LATER).finished(None, at=LATER)
    await keep(adapters, queued, reported, broken)
    async with adapters.begin() as work:
        assert [await work.warmings.get(one.id) for one in (queued, reported, broken)] == [queued, reported, broken]
        with pytest.raises(WarmingNotFound):
            await work.warmings.get(a_warming().id)
    assert (reported.state, broken.state) == (WarmingState.DONE, WarmingState.FAILED)


async def test_the_newest_come_first_and_can_be_walked(adapters: Adapters) -> None:
    made = [a_warming() for _ in range(5)]
    await keep(adapters, *made)
    async with adapters.begin() as work:
        first = await work.warmings.newest(2)
        rest = await work.warmings.newest(9, before=first[-1].id)
    assert first + rest == made[::-1]


async def test_the_oldest_in_the_queue_is_claimed_and_no_other_while_it_runs(adapters: Adapters) -> None:
    one, two = a_warming(), a_warming()
    await keep(adapters, one, two)
    assert await claim(adapters) == one.claimed(until=LATER)
    assert await claim(adapters, at=LATER - SECOND) is None
    assert await finish(adapters, one.claimed(until=LATER).finished(REPORT, at=NOON))
    assert await claim(adapters) == two.claimed(until=LATER)


async def test_what_is_running_or_done_is_not_queued(adapters: Adapters) -> None:
    running, done = a_warming().claimed(until=LATER), a_warming().claimed(until=LATER).finished(REPORT, at=NOON)
    await keep(adapters, running, done)
    async with adapters.begin() as work:
        assert await work.warmings.find_queued() is None
        queued = a_warming()
        await work.warmings.add(queued)
        assert await work.warmings.find_queued() == queued


async def test_when_its_time_is_up_it_is_claimed_again_and_the_first_can_finish_it_no_more(adapters: Adapters) -> None:
    await keep(adapters, a_warming())
    first = await claim(adapters)
    second = await claim(adapters, at=LATER, until=LATER + SECOND)
    assert first is not None
    assert second == replace(first, claimed_until=LATER + SECOND)
    assert not await finish(adapters, first.finished(REPORT, at=LATER))
    assert await newest(adapters) == [second]
    finished = second.finished(REPORT, at=LATER)
    assert await finish(adapters, finished)
    assert not await finish(adapters, second.finished(None, at=LATER))
    assert await newest(adapters) == [finished]
    assert await claim(adapters, at=LATER + timedelta(days=1)) is None


async def test_workers_at_once_claim_one(adapters: Adapters) -> None:
    await keep(adapters, a_warming(), a_warming(), a_warming())
    claims = await asyncio.gather(*(claim(adapters) for _ in range(4)))
    assert len([claimed for claimed in claims if claimed is not None]) == 1


async def test_those_who_queue_up_come_one_after_the_other(adapters: Adapters) -> None:
    async def request() -> None:
        async with adapters.begin() as work:
            await work.warmings.queue_up()
            if await work.warmings.find_queued() is None:
                await work.warmings.add(a_warming())
            await work.commit()

    await asyncio.gather(*(request() for _ in range(4)))
    assert len(await newest(adapters)) == 1


async def test_old_ones_are_deleted_and_open_ones_never(adapters: Adapters) -> None:
    def finished(days: int) -> Warming:
        return a_warming(requested_at=NOON - timedelta(days=days)).finished(REPORT, at=NOON)

    ancient, open_one = finished(8), a_warming(requested_at=NOON - timedelta(days=9))
    kept = [finished(6 - number) for number in range(3)]
    await keep(adapters, open_one, ancient, *kept)

    async def delete(keeping: int) -> int:
        async with adapters.begin() as work:
            deleted = await work.warmings.delete_old(requested_before=NOON - timedelta(days=7), kept=keeping)
            await work.commit()
        return deleted

    assert await delete(100) == 1
    assert await newest(adapters) == [*kept[::-1], open_one]
    assert await delete(1) == 2
    assert await newest(adapters) == [kept[2], open_one]
