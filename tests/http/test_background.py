"""What an API process does now and then, from its start to its end."""

import asyncio

import pytest

from application.periodic import Periodic
from interfaces.http import background as module
from interfaces.http.background import background


async def test_all_are_repeated_until_the_end_and_none_after_it() -> None:
    taken = [0, 0]
    often = asyncio.Event()

    def step_of(number: int) -> Periodic:
        async def step() -> bool:
            taken[number] += 1
            if min(taken) > 2:
                often.set()
            return False

        return Periodic(f"step {number}", 0.001, step)

    async with asyncio.timeout(10), background([step_of(0), step_of(1)]):
        await often.wait()
    before = list(taken)
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("step ")]
    assert taken == before


async def test_a_step_that_is_under_way_at_the_end_is_waited_for() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def step() -> bool:
        begun.set()
        await asyncio.sleep(0.01)
        ended.set()
        return False

    async with asyncio.timeout(10), background([Periodic("a step", 3600, step)]):
        await begun.wait()
    assert ended.is_set()


async def test_a_step_that_does_not_end_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STOPPED_WITHIN_S", 0.01)
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def step() -> bool:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return False

    async with asyncio.timeout(10), background([Periodic("a step", 3600, step)]):
        await begun.wait()
    assert cancelled.is_set()


async def test_nothing_is_stopped_where_there_is_nothing() -> None:
    async with background([]):
        pass
