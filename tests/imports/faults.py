"""Units of work that fail, or let others in, at chosen calls of their ports."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from application.ports.work import BeginWork, Isolation, UnitOfWork

Step = Callable[[], Awaitable[None]]


class Crash(BaseException):
    """What stands for the death of the process: nobody survives it."""


class Disturbed:
    """A `BeginWork` over another, which takes steps before and after calls of its ports' methods and of `commit`, each
    told by name and number, from 1. `calls` are the names of those so far."""

    def __init__(self, begin: BeginWork) -> None:
        self._begin = begin
        self.calls: list[str] = []
        self._before: dict[tuple[str, int], Step] = {}
        self._after: dict[tuple[str, int], Step] = {}

    def before(self, name: str, step: Step, *, number: int = 1) -> "Disturbed":
        self._before[name, number] = step
        return self

    def after(self, name: str, step: Step, *, number: int = 1) -> "Disturbed":
        self._after[name, number] = step
        return self

    @asynccontextmanager
    async def __call__(self, *, isolation: Isolation = Isolation.READ_COMMITTED) -> AsyncIterator[UnitOfWork]:
        async with self._begin(isolation=isolation) as work:
            yield _Watched(work, self)

    async def call(self, name: str, method: Callable[..., Awaitable[Any]], *args: Any, **options: Any) -> Any:
        self.calls.append(name)
        at = name, self.calls.count(name)
        if step := self._before.get(at):
            await step()
        answer = await method(*args, **options)
        if step := self._after.get(at):
            await step()
        return answer


class _Watched:
    def __init__(self, watched: Any, disturbed: Disturbed) -> None:
        self._watched = watched
        self._disturbed = disturbed

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._watched, name)
        if name in ("rehearsal", "forget"):
            return found
        if not callable(found):
            return _Watched(found, self._disturbed)

        async def call(*args: Any, **options: Any) -> Any:
            return await self._disturbed.call(name, found, *args, **options)

        return call


def raising(error: BaseException) -> Step:
    async def step() -> None:
        raise error

    return step
