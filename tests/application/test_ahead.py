"""One step ahead, never two; and nothing goes on once whoever asked is done."""

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing

import pytest

from application.importing.ahead import ahead, ahead_in_thread


async def numbers(count: int) -> AsyncIterator[int]:
    for number in range(count):
        yield number


def at_once() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


async def until(condition: threading.Event) -> None:
    assert await asyncio.to_thread(condition.wait, 10)


async def test_items_are_read_in_a_thread_one_ahead() -> None:
    read: list[int] = []
    third = threading.Event()

    def items() -> Iterator[int]:
        for number in range(5):
            read.append(number)
            if number == 2:
                third.set()
            yield number

    reading = ahead_in_thread(items(), at_once())
    assert [await anext(reading), await anext(reading)] == [0, 1]
    await until(third)
    assert read == [0, 1, 2]
    assert [number async for number in reading] == [2, 3, 4]


async def test_nothing_is_read_before_it_may_begin() -> None:
    read: list[int] = []

    def items() -> Iterator[int]:
        for number in range(3):
            read.append(number)
            yield number

    may_begin = asyncio.Event()
    async with aclosing(ahead_in_thread(items(), may_begin)) as reading:
        first = asyncio.create_task(anext(reading))
        for _ in range(10):
            await asyncio.sleep(0)
        assert read == []
        may_begin.set()
        assert await first == 0


async def test_the_thread_has_ended_before_whoever_asked_goes_on() -> None:
    begun, let_go, ended = threading.Event(), threading.Event(), threading.Event()

    def items() -> Iterator[int]:
        yield 0
        begun.set()
        let_go.wait(10)
        ended.set()
        yield 1

    async def first_only() -> None:
        async with aclosing(ahead_in_thread(items(), at_once())) as reading:
            await anext(reading)
            await until(begun)

    task = asyncio.create_task(first_only())
    await until(begun)
    for _ in range(3):
        await asyncio.sleep(0)
        task.cancel()
    assert not task.done()
    let_go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_what_a_source_fails_with_comes_in_its_turn() -> None:
    def items() -> Iterator[int]:
        yield 0
        raise OSError("gone")

    reading = ahead_in_thread(items(), at_once())
    assert await anext(reading) == 0
    with pytest.raises(OSError, match="gone"):
        await anext(reading)


async def test_steps_are_taken_one_ahead() -> None:
    taken: list[int] = []

    async def step(number: int) -> int:
        taken.append(number)
        return number * 10

    async with aclosing(ahead(numbers(5), step)) as results:
        assert await anext(results) == 0
        for _ in range(10):
            await asyncio.sleep(0)
        assert taken == [0, 1]
        assert [result async for result in results] == [10, 20, 30, 40]


async def test_a_step_that_was_begun_has_ended_before_whoever_asked_goes_on() -> None:
    ended = asyncio.Event()

    async def step(number: int) -> int:
        if number:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                ended.set()
        return number

    async with aclosing(ahead(numbers(2), step)) as results:
        await anext(results)
        await asyncio.sleep(0)
    assert ended.is_set()


async def test_what_a_step_fails_with_comes_in_its_turn() -> None:
    async def step(number: int) -> int:
        if number:
            raise OSError("gone")
        return number

    async with aclosing(ahead(numbers(2), step)) as results:
        assert await anext(results) == 0
        with pytest.raises(OSError, match="gone"):
            await anext(results)


async def test_what_a_step_fails_with_once_nobody_asks_any_more_is_not_told() -> None:
    async def step(number: int) -> int:
        if number:
            try:
                await asyncio.Event().wait()
            finally:
                raise OSError("gone")
        return number

    unheard: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: unheard.append(context))
    try:
        async with aclosing(ahead(numbers(2), step)) as results:
            await anext(results)
            await asyncio.sleep(0)
        del results
        gc.collect()
    finally:
        loop.set_exception_handler(None)
    assert unheard == []
