"""A loop that runs what is ready and waits for nothing, and Valkey asked each question once."""

import asyncio
import contextvars
import socket
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

import hiredis
from redis import Redis

from infrastructure.cache.wire import pack

Contents = tuple[tuple[bytes, bytes], ...]
"""Keys and values, sorted."""


class SteppedLoop(asyncio.AbstractEventLoop):
    """No time passes and no socket is watched: `settle` ends when all tasks wait for what they are not given yet."""

    def __init__(self, connect: Callable[[Callable[[], asyncio.Protocol]], asyncio.Transport]) -> None:
        """`connect` makes all connections that are asked for."""
        self._connect = connect
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[asyncio.TimerHandle] = []

    def ring(self, until: float) -> None:
        """The timers that are due before that."""
        due = [timer for timer in self._timers if timer.when() < until]
        self._timers = [timer for timer in self._timers if timer.when() >= until]
        for timer in due:
            if not timer.cancelled():
                self._ready.append(timer)

    def settle(self) -> None:
        ready = self._ready
        asyncio.events._set_running_loop(self)
        try:
            while ready:
                ready.popleft()._run()
        finally:
            asyncio.events._set_running_loop(None)

    def call_soon(  # type: ignore[override]  # no argument's type depends on another's here
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """At a moment that comes with `ring`."""
        self._timers.append(timer := asyncio.TimerHandle(when, callback, args, self, context))
        return timer

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(delay, callback, *args, context=context)

    def time(self) -> float:
        return 0.0

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self)

    def create_task(self, coro: Coroutine[Any, Any, Any], **options: Any) -> "asyncio.Task[Any]":  # type: ignore[override]
        task = asyncio.Task(coro, loop=self, **options)
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # most schedules are left in their middle
        return task

    async def create_connection(self, protocol: Callable[[], Any], *_: Any, **__: Any) -> Any:  # type: ignore[override]
        made = protocol()
        transport = self._connect(made)
        made.connection_made(transport)
        return transport, made

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        # Without a handle it tells of a future that was left in the middle of a schedule.
        if "handle" in context:
            raise context.get("exception") or RuntimeError(context["message"])

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        pass


class RememberedValkey:
    """A real server, asked for each transaction or single command in each state of its contents once; what it did and
    said then is remembered. Time stands still, so that nothing else decides what it does."""

    def __init__(self, url: str) -> None:
        # Connected and signed in by redis-py; from there on the socket alone is used.
        pool: Any = Redis.from_url(url).connection_pool
        self._connection = pool.make_connection()
        self._connection.connect()
        self._socket: socket.socket = self._connection._sock
        self._held: Contents | None = None
        self._remembered: dict[tuple[Contents, bytes], tuple[bytes, Contents]] = {}

    @property
    def asked(self) -> int:
        return len(self._remembered)

    def run(self, contents: Contents, packed: bytes, replies: int) -> tuple[bytes, Contents]:
        """What it says to these commands, as it says it, and the contents after them."""
        known = self._remembered.get((contents, packed))
        if known is None:
            if contents != self._held:
                self._say(pack(("FLUSHDB",)) + b"".join(pack(("SET", *pair)) for pair in contents), 1 + len(contents))
            said, _ = self._say(packed, replies)
            self._held = self._contents()
            known = self._remembered[contents, packed] = said, self._held
        return known

    def close(self) -> None:
        self._connection.disconnect()

    def _contents(self) -> Contents:
        _, (keys,) = self._say(pack(("KEYS", "*")), 1)
        if not keys:
            return ()
        _, (values,) = self._say(pack(("MGET", *keys)), 1)
        return tuple(sorted(zip(keys, values, strict=True)))

    def _say(self, packed: bytes, replies: int) -> tuple[bytes, list[Any]]:
        self._socket.sendall(packed)
        reader = hiredis.Reader(notEnoughData=self)
        said, read = b"", list[Any]()
        while len(read) < replies:
            received = self._socket.recv(65536)
            said += received
            reader.feed(received)
            while (reply := reader.gets()) is not self:
                read.append(reply)
        return said, read
