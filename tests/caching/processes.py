"""A process that reads and writes one record, whose every step waits to be let happen; and what it did, remembered.

All is real but time, chance and the socket: ReadThrough, Forgetting, RedisCache with its Wire, and L1. The record is a
number, the version that was committed last.
"""

import asyncio
import itertools
import os
import re
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field, replace
from functools import cache
from types import SimpleNamespace
from typing import Any
from unittest import mock

import hiredis

from application.caching import reading
from application.caching.forgetting import Forgetting
from application.caching.reading import ReadThrough
from application.pages import Page
from domain.errors import Unavailable
from infrastructure.cache.names import announced
from infrastructure.cache.redis import RedisCache
from infrastructure.cache.wire import Wire, pack
from interfaces.http.local_pages import LocalPages, Stamp
from interfaces.http.representations import PUBLIC, Representations
from tests.builders import NOON, CountingIds, FixedClock
from tests.caching.stepping import SteppedLoop

KEY = "post/1"
URL = b"/v1/posts/1?"
NOW = 1_000_000.0
TTL_S = 60.0
LOAD_S = 50.0
"""How long each load takes; an entry that took so long is loaded anew early wherever chance will have it."""
TOKEN = re.compile(r"<[th]\d{5}>")

_GREETINGS = (b"SELECT", b"INFO", b"CLIENT", b"AUTH", b"HELLO")
_INFO = pack(("INFO",))


class Stale(AssertionError):
    """What was promised is not so."""


@dataclass(frozen=True)
class Code:
    """What is explored: the real code, or what was made of it to see whether it is found guilty."""

    read: type[ReadThrough] = ReadThrough
    cache: type[RedisCache] = RedisCache
    forgetting: type[Forgetting] = Forgetting


@dataclass(frozen=True, slots=True)
class Kind:
    """Of processes: what is the same for all its life."""

    host: int
    tags: tuple[str, ...]
    forgotten: tuple[str, ...]
    with_l1: bool
    code: Code


class HostToken(int):
    def __repr__(self) -> str:
        return f"<h{int(self):05}>"


Table = tuple[HostToken, ...]


class Slots:
    """HostTokens with one slot for each tag. What is forgotten is told to the explorer, which keeps the tables."""

    def __init__(self, tags: Sequence[str]) -> None:
        self._slots = {tag: slot for slot, tag in enumerate(tags)}
        self.table: list[int] = []
        self.trusted_until = float("inf")
        self.epoch = 0
        self.fresh: Iterator[HostToken] = iter(())
        self.forgotten: list[tuple[int, HostToken]] = []

    def slots(self, tags: Collection[str]) -> tuple[int, ...]:
        return tuple(self._slots[tag] for tag in tags)

    def forget(self, tags: Collection[str]) -> None:
        self.forgotten += [(slot, next(self.fresh)) for slot in self.slots(sorted(tags))]


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
CLOCK: ContextVar[float] = ContextVar("CLOCK", default=0.0)


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


@dataclass(eq=False, slots=True)
class Load:
    """Of the record: `version` once it was read."""

    task: "asyncio.Task[Any]"
    returned: "asyncio.Future[bytes]"
    owner: Owner
    version: int | None = None


@dataclass(slots=True)
class Effects:
    """What a step did outside of its process. `left` was on its way when the connection was lost."""

    acknowledged: list[int] = field(default_factory=list)
    unforgotten: list[int] = field(default_factory=list)
    forgotten: list[tuple[int, HostToken]] = field(default_factory=list)
    left: tuple[Command, ...] = ()
    answers: list[str] = field(default_factory=list)


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


class Process:
    def __init__(self, kind: Kind, greet: Callable[[bytes, int], bytes]) -> None:
        code = kind.code
        self.kind = kind
        self._greet = greet
        self.loop = SteppedLoop(self._connected)  # type: ignore[abstract]  # nobody calls what it lacks
        self.host = Slots(kind.tags)
        self.cache = code.cache("redis://valkey", host_id=str(kind.host), now=lambda: NOW)
        self.read = code.read(self.cache, TTL_S, now=lambda: NOW)
        self.local = LocalPages(self.host, max_bytes=2**20, ttl_s=1e9)
        self.forgetting = code.forgetting(self.cache, self.host, FixedClock(NOON), CountingIds())
        self.loads: list[Load] = []
        self.readers: list[asyncio.Task[None]] = []
        """Those who wait."""
        self.effects = Effects()
        self.line: Line
        self._gives_up: asyncio.Task[None] | None = None
        self._broken: BaseException | None = None
        self._begin(Connecting(), lambda _: self.cache.open())
        self.loop.settle()

    def take(self, step: tuple[Any, ...]) -> None:  # noqa: C901 -- a table of steps
        match step:
            case ("read", count, required, locally, table):
                self.host.table[:] = table
                for _ in range(count):
                    self._begin(Reader(required, locally), self._read)
            case ("write", version):
                self._begin(Writer(version), self._write)
            case ("relay", version):
                self._begin(Writer(version), self._relay)
            case ("serve", said):
                self.line.serve(said)
            case ("reply", count, luck):
                CHANCE.luck = luck
                self.line.reply(count)
            case ("load", which, version):
                self.loads[which].version = version
            case ("return", which):
                self._return(which)
            case ("reply and return", which):
                self.line.reply(1)
                self._return(which)
            case ("return and reply", which):
                self._return(which)
                self.line.reply(1)
            case ("give up", which):
                self._give_up(self.readers[which])
            case ("give up and reply", which):
                self._give_up(self.readers[which])
                self.line.reply(1)
            case ("reply and give up", which):
                reader = self.readers[which]
                self.line.reply(1)
                self._give_up(reader)
            case ("lose",):
                sent = self.line.sent
                self.effects.left = tuple(each.command for each in sent if each.said is None)
                sent.clear()
                self.line.wire.connection_lost(None)
            case ("connect",):
                self.loop.ring(until=1.0)
            case _:
                raise ValueError(step)
        self.loop.settle()
        # Nobody looks at the host's tokens but whoever begins.
        self.host.table.clear()
        CHANCE.luck = 0.0
        self.line.skip_unawaited()
        if self._broken is not None:
            raise self._broken

    def _connected(self, wire: Any) -> Line:
        self.line = Line(wire, self.loop, self._greet)
        return self.line

    def _begin(self, who: Any, work: Callable[[Any], Any]) -> None:
        context = copy_context()
        context.run(OWNER.set, who)
        task = self.loop.create_task(work(who), context=context)
        task.add_done_callback(self._ended)
        if isinstance(who, Reader):
            self.readers.append(task)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if task in self.readers:
            self.readers.remove(task)
        if not task.cancelled():
            self._broken = self._broken or task.exception()
        elif task is not self._gives_up:
            self._broken = Stale("a reader who did not give up was given up")

    def _give_up(self, reader: "asyncio.Task[None]") -> None:
        self._gives_up = reader
        reader.cancel()

    def _return(self, which: int) -> None:
        load = self.loads.pop(which)
        load.returned.set_result(b"%d" % (load.version or 0))

    async def _read(self, reader: Reader) -> None:
        """As HotReads does."""
        kind, local = self.kind, self.local
        kept = local.get(URL) if kind.with_l1 else None
        if kept is not None:
            self._answer(int(kept.plain.body), reader.locally)
            return
        epoch = local.epoch
        if kind.with_l1:
            reader.stamp = local.stamp(kind.tags)
        value = await self.read(KEY, kind.tags, self._load)
        if kind.with_l1:
            local.keep(URL, KEY, Representations(Page(value, "", True), PUBLIC, None), reader.stamp, epoch)
        self._answer(int(value), reader.required)

    async def _load(self) -> bytes:
        task = asyncio.current_task()
        assert task is not None
        self.loads.append(load := Load(task, self.loop.create_future(), OWNER.get()))
        try:
            return await load.returned
        finally:
            if load in self.loads:
                self.loads.remove(load)

    def _answer(self, version: int, required: int) -> None:
        self.effects.answers.append(f"{version} answered")
        if version < required:
            raise Stale(f"version {version} was answered to a read that began when {required} was acknowledged")

    async def _write(self, writer: Writer) -> None:
        message = self.forgetting.message(self.kind.forgotten)
        await self.forgetting.at_once(message)
        with self.forgetting.done() as done:
            (self.effects.acknowledged if message.id in done else self.effects.unforgotten).append(writer.version)

    async def _relay(self, writer: Writer) -> None:
        try:
            await self.forgetting.deliver([self.forgetting.message(self.kind.forgotten)])
        except Unavailable:
            self.effects.unforgotten.append(writer.version)
        else:
            self.effects.acknowledged.append(writer.version)

    def state(self) -> str:
        """All that decides what it does next."""
        loads = {load.task: load for load in self.loads}
        flight, turns = self.read._flights.get(KEY), self.read._turns.get(KEY)
        roles = {} if flight is None else {flight.task: "flight"}
        if turns is not None:
            roles[turns.running] = "turn"
            if turns.next is not None:
                roles[turns.next] = "next turn"
        shared = []
        for task in self.read._loose:
            coroutine: Any = task.get_coro()
            tokens = coroutine.cr_frame.f_locals.get("tokens")
            waiting = sorted(
                repr(context[OWNER])
                for callback, context in task._callbacks
                if callback.__name__ == "_inner_done_callback"  # of asyncio.shield
            )
            load = loads.pop(task, None)
            shared.append(repr((roles.get(task), tokens, load and load.version, waiting)))
        alone = [repr((load.owner, load.version)) for load in loads.values()]
        return repr(
            (
                self.kind.host,
                self.cache._wire is None,
                sorted(self.cache._missed),
                [(sent.command.packed, sent.said, sorted(map(repr, sent.owners))) for sent in self.line.sent],
                sorted(shared, key=unnamed),
                sorted(alone, key=unnamed),
                self.kept(),
            )
        )

    def kept(self) -> list[tuple[Stamp, int]]:
        """In L1."""
        return [(kept.stamp, int(kept.representations.plain.body)) for kept in self.local._kept.values()]


def unnamed(text: str) -> str:
    """Without what its tokens are called."""
    return TOKEN.sub("", text)


class Cell:
    """A process in some state. All cells of the same state are one, and what each step made of it is remembered.

    `shape` numbers the state without its tokens' names, which are `names`, as often as they occur, in order.
    """

    __slots__ = (
        "after",
        "came",
        "dry",
        "is_away",
        "is_connected",
        "kept",
        "kind",
        "live",
        "loads",
        "names",
        "readers",
        "replies",
        "shape",
        "state",
        "undone",
        "used",
    )

    def __init__(self, process: Process, state: str, came: "tuple[Cell, Given] | None") -> None:
        self.kind = process.kind
        self.came = came
        self.live: Process | None = process
        self.state = state
        self.shape, self.names = shaped(state)
        self.used = frozenset(self.names)
        self.kept = process.kept()
        self.loads = tuple(load.version for load in process.loads)
        self.readers = len(process.readers)
        sent = process.line.sent
        self.replies = sum(1 for each in sent if each.said is not None)
        self.undone = None if self.replies == len(sent) else _versioned(sent[self.replies])
        self.is_connected = process.cache._wire is not None
        self.is_away = not self.is_connected and not sent
        self.dry: dict[Step, tuple[str, Effects, tuple[int, int]]] = {}
        self.after: dict[Given, tuple[Cell, Effects]] = {}


_shapes: dict[str, int] = {}


@cache
def shaped(text: str) -> tuple[int, tuple[str, ...]]:
    """A number for all texts that differ in nothing but tokens' names, and those."""
    return _shapes.setdefault(unnamed(text), len(_shapes)), tuple(TOKEN.findall(text))


Step = tuple[Any, ...]
Given = tuple[Step, tuple[int, ...], tuple[int, ...]]
"""What happens to a process, and the tokens that are fresh then: shared ones, and its host's."""
Fresh = Callable[[int, int], tuple[tuple[int, ...], tuple[int, ...]]]
_UNNAMED = tuple(range(90_000, 90_020))


class Cells:
    """`runs` counts how many times a step was taken by real code."""

    def __init__(self, greet: Callable[[bytes, int], bytes]) -> None:
        self.runs = 0
        self._greet = greet
        self._known: dict[tuple[Kind, str], Cell] = {}

    @property
    def count(self) -> int:
        return len(self._known)

    def first(self, kind: Kind) -> Cell:
        process = Process(kind, self._greet)
        return self._cell(process, process.state(), None)

    def step(self, cell: Cell, step: Step, fresh: Fresh) -> tuple[Cell, Effects]:
        dry = cell.dry.get(step)
        if dry is None:
            dry = cell.dry[step] = self._run(cell, (step, _UNNAMED, _UNNAMED))[1:]
        state, effects, drawn = dry
        given = step, *fresh(*drawn)
        after = cell.after.get(given)
        if after is None:
            after = cell.after[given] = self._after(cell, given, state, effects)
        return after

    def _after(self, cell: Cell, given: Given, state: str, effects: Effects) -> tuple[Cell, Effects]:
        """`state` and `effects` are under names that nothing else has."""
        _, tokens, host_tokens = given
        names = {f"<t{old:05}>": f"<t{new:05}>" for old, new in zip(_UNNAMED, tokens, strict=False)}
        names |= {f"<h{old:05}>": f"<h{new:05}>" for old, new in zip(_UNNAMED, host_tokens, strict=False)}
        state = TOKEN.sub(lambda match: names.get(match[0], match[0]), state)
        known = self._known.get((cell.kind, state))
        if known is not None:
            slots = [slot for slot, _ in effects.forgotten]
            return known, replace(effects, forgotten=list(zip(slots, map(HostToken, host_tokens), strict=True)))
        process, state, effects, _ = self._run(cell, given)
        return self._cell(process, state, (cell, given)), effects

    def _cell(self, process: Process, state: str, came: tuple[Cell, Given] | None) -> Cell:
        known = self._known.get((process.kind, state))
        if known is None:
            known = self._known[process.kind, state] = Cell(process, state, came)
        return known

    def _run(self, cell: Cell, given: Given) -> tuple[Process, str, Effects, tuple[int, int]]:
        """By the process that is in this state now, if there is one, else by one that is brought there."""
        past = [given]
        process, cell.live = cell.live, None
        if process is None:
            at = cell
            while at.came is not None:
                at, before = at.came
                past.append(before)
            process = Process(cell.kind, self._greet)
        drawn = 0, 0
        for step, tokens, host_tokens in reversed(past):
            self.runs += 1
            shared, own = iter(tokens), iter(map(HostToken, host_tokens))
            CHANCE.tokens, process.host.fresh, process.effects = shared, own, Effects()
            process.take(step)
            process.effects.forgotten, process.host.forgotten = process.host.forgotten, []
            drawn = len(tokens) - len(list(shared)), len(host_tokens) - len(list(own))
        # Its coroutines end when it is collected, and some forget even then.
        process.host.fresh = itertools.repeat(HostToken(0))
        return process, process.state(), process.effects, drawn


def _versioned(sent: Sent) -> Command:
    versions = [owner.version for owner in sent.owners if isinstance(owner, Writer)]
    return replace(sent.command, version=versions[0]) if versions else sent.command


@dataclass(slots=True)
class Chance:
    """What the explorer has taken over from chance."""

    tokens: Iterator[int] = field(default_factory=lambda: iter(()))
    luck: float = 0.0

    def urandom(self, size: int) -> bytes:
        return b"".join(b"<t%05d>" % next(self.tokens) for _ in range(size // 8))

    def random(self) -> float:
        return self.luck


CHANCE = Chance()


@contextmanager
def no_time_or_chance() -> Iterator[None]:
    def perf_counter() -> float:
        # Each load is in a task, and so in a context, of its own.
        CLOCK.set(CLOCK.get() + LOAD_S)
        return CLOCK.get()

    with (
        mock.patch.object(reading, "time", SimpleNamespace(perf_counter=perf_counter)),
        mock.patch.object(reading, "random", CHANCE),
        mock.patch.object(os, "urandom", CHANCE.urandom),
    ):
        yield
