"""Whose turn it is in this process: several at once, or one alone."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


class Turns:
    """Who wants to be alone waits for those who are there; meanwhile nobody else begins."""

    def __init__(self) -> None:
        self._there = 0
        self._wanting = 0
        self._is_one_alone = False
        self._waiting: set[asyncio.Future[None]] = set()

    @asynccontextmanager
    async def beside_others(self) -> AsyncIterator[None]:
        await self._until(lambda: not self._is_one_alone and not self._wanting)
        self._there += 1
        try:
            yield
        finally:
            self._there -= 1
            self._tell()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[Callable[[], None]]:
        """What it gives lets others begin beside from then on."""
        self._wanting += 1
        try:
            await self._until(lambda: not self._there)
            self._there += 1
            self._is_one_alone = True
        finally:
            self._wanting -= 1
            self._tell()
        is_relaxed = False

        def relax() -> None:
            nonlocal is_relaxed
            if not is_relaxed:
                is_relaxed = True
                self._is_one_alone = False
                self._tell()

        try:
            yield relax
        finally:
            relax()
            self._there -= 1
            self._tell()

    async def _until(self, is_so: Callable[[], bool]) -> None:
        while not is_so():
            told = asyncio.get_running_loop().create_future()
            self._waiting.add(told)
            try:
                await told
            finally:
                self._waiting.discard(told)

    def _tell(self) -> None:
        for told in self._waiting:
            if not told.done():
                told.set_result(None)
