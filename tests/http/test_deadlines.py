"""A time limit for many tasks: each is ended by its own deadline, and by nobody else's."""

import asyncio

import pytest

from interfaces.http.deadlines import Deadlines


async def test_what_takes_too_long_is_ended_with_a_timeout() -> None:
    deadlines = Deadlines(0.01)
    ended = []

    async def late(name: str) -> None:
        with pytest.raises(TimeoutError), deadlines.limit():
            await asyncio.Event().wait()
        ended.append(name)
        await asyncio.sleep(0)

    async with asyncio.timeout(10):
        await asyncio.gather(late("first"), late("second"))
        await late("third")

    assert ended == ["first", "second", "third"]


async def test_what_ends_in_time_is_left_alone() -> None:
    deadlines = Deadlines(0.01)
    over = asyncio.Event()

    with deadlines.limit() as nothing:
        assert nothing is None
    asyncio.get_running_loop().call_later(0.05, over.set)
    async with asyncio.timeout(10):
        await over.wait()


async def test_another_cancellation_stays_one() -> None:
    deadlines = Deadlines(60)
    begun = asyncio.Event()

    async def working() -> None:
        with deadlines.limit():
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(working())
    await begun.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_limit_outside_that_is_due_at_once_too_is_told_from_it() -> None:
    deadlines = Deadlines(0.01)

    async def working() -> None:
        async with asyncio.timeout(0.01):
            with deadlines.limit():
                await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await working()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_what_answers_after_it_was_cancelled_may_answer() -> None:
    deadlines = Deadlines(0.01)
    answer = None

    with deadlines.limit():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            answer = "cleaned up"

    task = asyncio.current_task()
    assert task is not None
    assert (answer, task.cancelling()) == ("cleaned up", 0)


async def test_each_has_all_of_its_time() -> None:
    deadlines = Deadlines(0.05)
    loop = asyncio.get_running_loop()

    async def timed() -> float:
        began = loop.time()
        with pytest.raises(TimeoutError), deadlines.limit():
            await asyncio.Event().wait()
        return loop.time() - began

    first = asyncio.create_task(timed())
    await asyncio.sleep(0.03)
    second = asyncio.create_task(timed())

    assert min(await first, await second) >= 0.05


async def test_what_has_lifted_its_limit_may_take_any_time() -> None:
    deadlines = Deadlines(0.01)
    limit, neighbour = deadlines.limit(), deadlines.limit()
    over = asyncio.Event()

    async def overdue() -> None:
        with pytest.raises(TimeoutError), neighbour:
            await asyncio.Event().wait()
        over.set()

    async with asyncio.timeout(10):
        with limit:
            limit.lift()
            task = asyncio.create_task(overdue())
            await over.wait()
            await task

    assert (limit.expired, neighbour.expired) == (False, True)
