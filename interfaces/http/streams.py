"""Answers that last: files as they are made, and events as they come.

The request's time limit holds until they begin; then a client may take `idle_s` over each piece. Whatever they read
from is closed in any case, and as soon as their client has left.
"""

import asyncio
import signal
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import aclosing, contextmanager, suppress
from types import FrameType
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from domain.errors import Busy, BylineError
from interfaces.http.deadlines import DEADLINE

IS_HEAD = "byline.is_head"
"""In the scope of a HEAD: no body need be made."""

RETRY = b"retry: 2000\n\n"
"""The milliseconds after which a client comes again."""
_BEAT = b": still here\n\n"

Step = Coroutine[Any, Any, object]


class Download(Response):
    """What fails midway breaks it off, so that a part of the file never looks like the whole."""

    def __init__(
        self, pieces: AsyncGenerator[bytes], *, media_type: str, idle_s: float, headers: Mapping[str, str]
    ) -> None:
        self.status_code = 200
        self.media_type = media_type
        self.background = None
        self.init_headers(headers)
        self._pieces = pieces
        self._idle_s = idle_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[DEADLINE].lift()
        async with aclosing(self._pieces):
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            if IS_HEAD not in scope and await _first_over(_left(receive), *self._steps(send)) == 0:
                return
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _steps(self, send: Send) -> tuple[Step, ...]:
        """Taken together: it is over with the first of them."""
        return (self._send_all(send),)

    async def _send_all(self, send: Send) -> None:
        async for piece in self._pieces:
            await self._send_piece(send, piece)

    async def _send_piece(self, send: Send, piece: bytes) -> None:
        try:
            async with asyncio.timeout(self._idle_s):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        except TimeoutError:
            raise ClientDisconnect from None


class OpenStreams:
    """The event streams of this process: `most` of them at once, since each asks the database again and again."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._stopping = asyncio.Event()
        self.open = 0

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """Raises Busy."""
        if self.open >= self._most or self._stopping.is_set():
            raise Busy("There are as many event streams open as may be.", retry_after_s=5)
        self.open += 1
        try:
            yield
        finally:
            self.open -= 1

    def stop(self) -> None:
        self._stopping.set()

    async def stopped(self) -> None:
        await self._stopping.wait()


class EventStream(Download):
    """Server-sent events (WHATWG HTML, 9.2), with a comment every `beat_s`, lest a proxy take it for dead. Before each,
    `check` is asked: it raises once the caller may listen no longer.

    It ends as a whole where the events do, where the process is told to end, and where `events` or `check` are refused:
    the client comes again, and is told. Raises Busy.
    """

    def __init__(
        self,
        events: AsyncGenerator[bytes],
        among: OpenStreams,
        *,
        check: Callable[[], Awaitable[object]],
        beat_s: float,
        idle_s: float,
    ) -> None:
        # X-Accel-Buffering: nginx would otherwise keep events until it has a page of them.
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        super().__init__(events, media_type="text/event-stream", idle_s=idle_s, headers=headers)
        self._among = among
        self._check = check
        self._beat_s = beat_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._among.one_more():
            await super().__call__(scope, receive, send)

    def _steps(self, send: Send) -> tuple[Step, ...]:
        return self._send_all(send), self._beat(send), self._among.stopped()

    async def _send_all(self, send: Send) -> None:
        with suppress(BylineError):
            await super()._send_all(send)

    async def _beat(self, send: Send) -> None:
        with suppress(BylineError):
            while True:
                await asyncio.sleep(self._beat_s)
                await self._check()
                await self._send_piece(send, _BEAT)


def event(name: str, data: bytes, *, number: int) -> bytes:
    """`data` is one line. A client that comes again sends `number` as Last-Event-ID."""
    return b"event: %s\nid: %d\ndata: %s\n\n" % (name.encode(), number, data)


async def begun(pieces: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """The same pieces, after the first step: what it raises can still be answered."""
    first = await anext(pieces)

    async def from_the_first() -> AsyncGenerator[bytes]:
        async with aclosing(pieces):
            yield first
            async for piece in pieces:
                yield piece

    return from_the_first()


@contextmanager
def stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """`stop` is called as soon as the server is told to end, and before its own handler: servers wait for all answers
    before they end the lifespan, and those that last would keep them waiting. Where a server handles no signals by
    itself, nothing is changed."""
    loop = asyncio.get_running_loop()
    handlers: dict[int, Callable[[int, FrameType | None], object]] = {}

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(stop)
        handlers[number](number, frame)

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            handler = signal.getsignal(number)
            if callable(handler):
                handlers[number] = handler
                signal.signal(number, handle)
    try:
        yield
    finally:
        stop()
        for handled, handler in handlers.items():
            if signal.getsignal(handled) is handle:
                signal.signal(handled, handler)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _first_over(*steps: Step) -> int:
    """Which of them was over first; the others are cancelled, and awaited. Raises what that one raised."""
    tasks = [asyncio.ensure_future(step) for step in steps]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        over = next(number for number, task in enumerate(tasks) if task.done())
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    tasks[over].result()
    return over
