"""Wake-ups in memory."""

from collections.abc import Awaitable, Callable

from domain.errors import Unavailable


class MemoryQueue:
    """`wakes` remembers every (topic, key). Handlers run within `wake`, one after the other."""

    def __init__(self) -> None:
        self.wakes: list[tuple[str, str]] = []
        self.is_reachable = True
        self._handlers: list[Callable[[str, str], Awaitable[None]]] = []

    def on_wake(self, handler: Callable[[str, str], Awaitable[None]]) -> None:
        """Called with topic and key."""
        self._handlers.append(handler)

    async def wake(self, topic: str, key: str) -> None:
        await self.ping()
        self.wakes.append((topic, key))
        for handler in self._handlers:
            await handler(topic, key)

    async def ping(self) -> None:
        """Raises Unavailable."""
        if not self.is_reachable:
            raise Unavailable("The queue")
