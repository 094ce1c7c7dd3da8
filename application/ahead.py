"""Doing the next step while the last one's result is used: memory holds one item more for each stage."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


async def ahead_in_thread(items: Iterator[Item]) -> AsyncGenerator[Item, None]:
    """Each item, the next one on its way in a thread. The thread has ended before this has."""
    loop = asyncio.get_running_loop()
    reading = loop.run_in_executor(None, next, items, None)
    try:
        while (item := await asyncio.shield(reading)) is not None:
            reading = loop.run_in_executor(None, next, items, None)
            yield item
    finally:
        cancelled = None
        while not reading.done():
            try:
                await asyncio.wait([reading])
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled
        reading.exception()


async def ahead(items: AsyncIterator[Item], step: Callable[[Item], Awaitable[Result]]) -> AsyncGenerator[Result, None]:
    """What `step` makes of each item, the next one on its way in a task. The task has ended before this has."""

    async def following() -> Result | None:
        item = await anext(items, None)
        return None if item is None else await step(item)

    coming = asyncio.create_task(following())
    try:
        while (result := await coming) is not None:
            coming = asyncio.create_task(following())
            yield result
    finally:
        coming.cancel()
        await asyncio.wait([coming])
