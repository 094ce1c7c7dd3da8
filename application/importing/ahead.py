"""Doing the next step while the last one's result is used: memory holds one item more for each stage."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Executor
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


async def ahead_in_thread(
    items: Iterator[Item], may_begin: asyncio.Event, *, thread: Executor | None = None
) -> AsyncGenerator[Item, None]:
    """Each item, the next one on its way in a thread, as soon as that may begin. When this has ended, no thread is at
    it any more."""
    loop = asyncio.get_running_loop()

    async def following() -> Item | None:
        await may_begin.wait()
        return await _to_its_end(loop.run_in_executor(thread, next, items, None))

    coming = asyncio.create_task(following())
    try:
        while (item := await coming) is not None:
            coming = asyncio.create_task(following())
            yield item
    finally:
        coming.cancel()
        await _ended(coming)


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
        await _ended(coming)


async def _to_its_end(running: asyncio.Future[Result]) -> Result:
    """A thread cannot be cancelled: it is waited for, and then this is."""
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await _ended(running)
        raise


async def _ended(future: asyncio.Future[Any]) -> None:
    """However often this is cancelled meanwhile; what the future failed with is nobody's any more."""
    cancelled = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            cancelled = error
    if not future.cancelled():
        future.exception()
    if cancelled is not None:
        raise cancelled
