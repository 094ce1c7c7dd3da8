"""A connection to Valkey on which nothing moves by itself, and those who wait for its replies."""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Any

import hiredis

from infrastructure.cache.names import announced
from infrastructure.cache.wire import Wire, pack
from interfaces.http.local_pages import Stamp
from tests.caching.stepping import SteppedLoop

_GREETINGS = (b"SELECT", b"INFO", b"CLIENT", b"AUTH", b"HELLO")
_INFO = pack(("INFO",))


@dataclass(eq=False, slots=True)
class Reader:
    """What it may answer at the least: `locally` from L1, `required` from anywhere else."""

    required: int
    locally: int
    stamp: "Stamp" = ()

    def __repr__(self) -> str:
        return f"reader({self.required}, {self.stamp})"


@dataclass(eq=False, slots=True)
class Writer:
    version: int

    def __repr__(self) -> str:
        return f"writer({self.version})"


@dataclass(eq=False, slots=True)
class Connecting:
    """The task that keeps the connection."""

    version: int = 0

    def __repr__(self) -> str:
        return "connecting"


Owner = Reader | Writer | Connecting
OWNER: ContextVar[Owner] = ContextVar("OWNER")


@dataclass(frozen=True, slots=True)
class Command:
    """A command or a transaction, of `count` commands. `version`: of the write that it belongs to."""

    packed: bytes
    count: int
    announces: tuple[str, tuple[str, ...]] | None = None
    version: int = 0


@dataclass(eq=False, slots=True)
class Sent:
    """`said` once Valkey has done it. `owners` wait for the reply."""

    command: Command
    owners: tuple[Owner, ...]
    said: bytes | None = None


class Line(asyncio.Transport):
    """A connection whose commands are done and replied to in their order, when the explorer lets them."""

    def __init__(self, wire: Wire, loop: SteppedLoop, greet: Callable[[bytes, int], bytes]) -> None:
        super().__init__()
        self.wire = wire
        self.sent: deque[Sent] = deque()
        self._loop = loop
        self._greet = greet

    def write(self, data: Any) -> None:
        commands = _commands(data)
        waiting = list(itertools.islice(reversed(self.wire._waiting), sum(command.count for command in commands)))
        for command in commands:
            futures = [waiting.pop() for _ in range(command.count)]
            if _is_greeting(command.packed):
                said = self._greet(command.packed, command.count)
                self._loop.call_soon(self.wire.data_received, _shortened(said) if command.packed == _INFO else said)
            else:
                self.sent.append(Sent(command, tuple(map(_owner, futures[-1]))))

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def abort(self) -> None:
        pass

    def serve(self, said: bytes) -> None:
        next(sent for sent in self.sent if sent.said is None).said = said

    def reply(self, count: int) -> None:
        """Those of `count` commands that come in one piece."""
        said = [self.sent.popleft().said for _ in range(count)]
        self.wire.data_received(b"".join(piece for piece in said if piece is not None))

    def skip_unawaited(self) -> None:
        """Replies that nobody waits for change nothing."""
        while self.sent and not self.sent[0].owners and self.sent[0].said is not None:
            self.reply(1)


@cache
def _commands(data: bytes) -> tuple[Command, ...]:
    reader = hiredis.Reader()
    reader.feed(data)
    found, parts = [], list[tuple[bytes, ...]]()
    while part := reader.gets():
        parts.append(tuple(part))
        if parts[0] != (b"MULTI",) or part == [b"EXEC"]:
            announces = None
            for name, *arguments in parts:
                if name == b"PUBLISH":
                    sender, tags = announced(arguments[1])
                    announces = sender, tuple(tags)
            found.append(Command(b"".join(map(pack, parts)), len(parts), announces))
            parts = []
    return tuple(found)


@cache
def _is_greeting(packed: bytes) -> bool:
    return packed.split(b"\r\n")[2].upper() in _GREETINGS


@cache
def _shortened(info: bytes) -> bytes:
    """Without what the adapter does not ask about: it is read at the beginning of every replay."""
    asked = (b"role:", b"run_id:", b"loading:")
    text = b"\r\n".join(line for line in info.split(b"\r\n") if line.startswith(asked))
    return b"$%d\r\n%b\r\n" % (len(text), text)


def _owner(future: "asyncio.Future[Any]") -> Owner:
    """Of the task that waits for it."""
    ((_, context),) = future._callbacks
    owner: Owner = context[OWNER]
    return owner
