"""One connection to Redis that all callers of a process share.

Among 64 concurrent callers, reading an entry of 2 kB and two tags takes 5 to 6 µs of CPU; redis-py's pool, streams and
timers take 50 to 65 µs for the same.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, cast

import hiredis

from domain.errors import Unavailable

Argument = str | bytes | int
Command = tuple[Argument, ...]

pack = cast("Callable[[Command], bytes]", hiredis.pack_command)

_GRACE = 0.1
_HIGH_WATER = 4 * 1024**2
_MULTI, _EXEC = pack(("MULTI",)), pack(("EXEC",))
_ABORTED = "EXECABORT"
_NOT_YET = object()


class Refused(Unavailable):
    """Redis answered with an error, `reply`."""

    def __init__(self, reply: str) -> None:
        super().__init__("Redis")
        self.reply = reply


def told(error: Exception) -> str:
    """For the log."""
    return error.reply if isinstance(error, Refused) else f"{type(error).__name__}: {error}"


class Wire(asyncio.Protocol):
    """What is called for in one turn of the loop is written at once, and replies resolve futures in the order of calls.

    Where the oldest unanswered command is older than the deadline, or the connection is lost, all who wait get
    Unavailable and the wire is dead: it is `dropped`, which is told once.
    """

    def __init__(self, *, deadline_s: float, dropped: "Callable[[Wire], None]") -> None:
        self.asked = 0
        self.answered = 0
        self.writes = 0
        self.is_dead = False
        self.refused: Callable[[str], None] | None = None
        """Told of each error that Redis answers with, whether or not anybody waits for it."""
        self._deadline_s = deadline_s
        self._dropped = dropped
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._reader = hiredis.Reader(notEnoughData=_NOT_YET)
        self._outgoing: list[bytes] = []
        self._waiting: deque[Sequence[asyncio.Future[Any]]] = deque()
        self._alike: dict[bytes, list[asyncio.Future[Any]]] = {}
        """What was asked by `call_alike` in this turn of the loop."""
        self._unanswered: deque[tuple[int, float]] = deque()
        """Of each write that may be unanswered: `asked` after it, and when it was."""
        self._timer: asyncio.TimerHandle | None = None
        self._is_congested = False

    def call(self, packed: bytes) -> "asyncio.Future[Any]":
        """The reply, or Refused. Whoever is cancelled leaves everyone else's order as it is."""
        if self.is_dead:
            raise Unavailable("Redis")
        future = self._loop.create_future()
        self._send(packed, (future,))
        return future

    def call_alike(self, packed: bytes) -> "asyncio.Future[Any]":
        """As `call`, of a command that changes nothing: those who ask the same in one turn of the loop share an answer,
        whose question is sent after all of them asked. It must not be changed."""
        if self.is_dead:
            raise Unavailable("Redis")
        future = self._loop.create_future()
        alike = self._alike.get(packed)
        if alike is None:
            alike = self._alike[packed] = [future]
            self._send(packed, alike)
        else:
            alike.append(future)
        return future

    def tell(self, packed: bytes) -> bool:
        """Nobody waits for a reply. Whether it was sent: it is not where Redis reads too slowly."""
        if self.is_dead or self._is_congested:
            return False
        self._send(packed, ())
        return True

    async def transaction(self, commands: Sequence[Command]) -> list[Any]:
        """All of them in one MULTI. Raises Refused where any was refused."""
        if self.is_dead:
            raise Unavailable("Redis")
        self._send(_MULTI, ())
        for command in commands:
            self._send(pack(command), ())
        replies: list[Any] = await self.call(_EXEC)
        for reply in replies:
            if isinstance(reply, hiredis.ReplyError):
                self._note_refusal(str(reply))
                raise Refused(str(reply))
        return replies

    def hurry(self, deadline_s: float) -> None:
        """That is the deadline from now on."""
        self._deadline_s = deadline_s
        if self._timer is not None:
            self._timer.cancel()
            self._watch(is_last_chance=False)

    def drop(self) -> None:
        """At once; all who wait get Unavailable."""
        if self.is_dead:
            return
        self.is_dead = True
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.abort()
        self._outgoing.clear()
        self._alike.clear()
        waiting, self._waiting = self._waiting, deque()
        for future in (each for futures in waiting for each in futures):
            if not future.done():
                future.set_exception(Unavailable("Redis"))
        self._dropped(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_HIGH_WATER)

    def connection_lost(self, exc: Exception | None) -> None:
        self.drop()

    def pause_writing(self) -> None:
        self._is_congested = True

    def resume_writing(self) -> None:
        self._is_congested = False

    def data_received(self, data: bytes) -> None:
        reader, waiting = self._reader, self._waiting
        try:
            reader.feed(data)
            while (reply := reader.gets()) is not _NOT_YET:
                futures = waiting.popleft()
                self.answered += 1
                is_error = isinstance(reply, hiredis.ReplyError)
                if is_error:
                    self._note_refusal(str(reply))
                for future in futures:
                    if future.done():
                        continue
                    if is_error:
                        future.set_exception(Refused(str(reply)))
                    else:
                        future.set_result(reply)
        except (hiredis.HiredisError, IndexError):
            # Not what Redis says, or a reply to nothing: whatever follows cannot be told apart.
            self.drop()

    def _note_refusal(self, reply: str) -> None:
        # That a transaction is not carried out follows from what was refused in it.
        if self.refused is not None and not reply.startswith(_ABORTED):
            self.refused(reply)

    def _send(self, packed: bytes, futures: "Sequence[asyncio.Future[Any]]") -> None:
        if not self._outgoing:
            self._loop.call_soon(self._write)
        self._outgoing.append(packed)
        self._waiting.append(futures)
        self.asked += 1

    def _write(self) -> None:
        if self.is_dead or self._transport is None:
            return
        self._alike.clear()
        now = self._loop.time()
        self._unanswered.append((self.asked, now))
        if self._timer is None:
            self._timer = self._loop.call_at(now + self._deadline_s, self._watch, False)
        self._transport.write(b"".join(self._outgoing))
        self._outgoing.clear()
        self.writes += 1

    def _watch(self, is_last_chance: bool) -> None:
        """The one timer. It runs once a deadline while there is traffic, and not at all without any."""
        self._timer = None
        unanswered = self._unanswered
        while unanswered and unanswered[0][0] <= self.answered:
            unanswered.popleft()
        if not unanswered:
            return
        due = unanswered[0][1] + self._deadline_s
        now = self._loop.time()
        if now < due:
            self._timer = self._loop.call_at(due, self._watch, False)
        elif not is_last_chance and now - due > self._deadline_s * _GRACE:
            # The loop was busy with something else: the reply may have come, and waits to be read.
            self._timer = self._loop.call_later(self._deadline_s * _GRACE, self._watch, True)
        else:
            self.drop()
