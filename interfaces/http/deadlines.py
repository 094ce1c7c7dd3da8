"""A time limit for very many tasks at once."""

import asyncio
from types import TracebackType

DEADLINE = "byline.deadline"
"""In the scope: the request's own."""


class Deadlines:
    """As `asyncio.timeout(seconds)`, for many blocks that all have the same `seconds`.

    Whichever began first is due first, so one timer serves all of them. A timer of its own for each, set and cancelled,
    costs a request as much as a tenth of FastAPI.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._running: dict[Deadline, None] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def limit(self) -> "Deadline":
        return Deadline(self)

    def enter(self, deadline: "Deadline", loop: asyncio.AbstractEventLoop) -> None:
        self._running[deadline] = None
        if self._loop is not loop:
            self._loop = loop
            loop.call_at(deadline.due, self._end_overdue, loop)

    def leave(self, deadline: "Deadline") -> None:
        self._running.pop(deadline, None)

    def _end_overdue(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        while self._running:
            oldest = next(iter(self._running))
            if oldest.due > now:
                loop.call_at(oldest.due, self._end_overdue, loop)
                return
            del self._running[oldest]
            oldest.expire()
        self._loop = None


class Deadline:
    """Cancels its task when it is due, and turns that cancellation, no other one, into TimeoutError."""

    __slots__ = ("_all", "_cancelling", "_task", "due", "expired")

    def __init__(self, among: Deadlines) -> None:
        self._all = among
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self.due = 0.0
        self.expired = False

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        self._task = asyncio.current_task(loop)
        self._cancelling = self._task.cancelling() if self._task else 0
        self.due = loop.time() + self._all.seconds
        self._all.enter(self, loop)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._all.leave(self)
        if not self.expired or self._task is None:
            return
        if self._task.uncancel() <= self._cancelling and isinstance(error, asyncio.CancelledError):
            raise TimeoutError from error

    def lift(self) -> None:
        """From here on the block may take any time."""
        self._all.leave(self)

    def expire(self) -> None:
        self.expired = True
        if self._task:
            self._task.cancel()
