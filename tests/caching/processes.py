"""A process that reads and writes one record, whose every step waits to be let happen.

All is real but time, chance and the socket: ReadThrough, Forgetting, RedisCache with its Wire, and L1. The record is a
number, the version that was committed last.
"""

import asyncio
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any

from application.caching.forgetting import Forgetting
from application.caching.reading import ReadThrough
from application.pages import Page
from domain.errors import Unavailable
from domain.ids import MessageId
from infrastructure.cache.redis import RedisCache
from interfaces.http.local_pages import LocalPages, Stamp
from interfaces.http.representations import PUBLIC, Representations
from tests.builders import NOON, CountingIds, FixedClock
from tests.caching.chance import CHANCE, GivenDoubt, HostToken, Slots, unnamed
from tests.caching.line import OWNER, Command, Connecting, Line, Owner, Reader, Writer
from tests.caching.stepping import SteppedLoop

KEY = "post/1"
URL = b"/v1/posts/1?"
NOW = 1_000_000.0
TTL_S = 60.0


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


class Process:
    def __init__(self, kind: Kind, greet: Callable[[bytes, int], bytes]) -> None:
        code = kind.code
        self.kind = kind
        self._greet = greet
        self.loop = SteppedLoop(self._connected)  # type: ignore[abstract]  # nobody calls what it lacks
        self.host = Slots(kind.tags)
        self.doubt = GivenDoubt()
        self.cache = code.cache("redis://valkey", host_id=str(kind.host), now=lambda: NOW, doubt=self.doubt)
        self.read = code.read(self.cache, TTL_S, now=lambda: NOW)
        self.local = LocalPages(self.host, max_bytes=2**20, ttl_s=1e9)
        self.forgetting = code.forgetting(self.cache, self.host, FixedClock(NOON), CountingIds())
        self.loads: list[Load] = []
        self.readers: list[asyncio.Task[None]] = []
        """Those who wait."""
        self.writers: list[Writer] = []
        """Those who wait, in the order in which they began."""
        self.effects = Effects()
        self._versions: dict[MessageId, int] = {}
        """Of the messages of those who write."""
        self.line: Line
        self._gives_up: asyncio.Task[None] | None = None
        self._broken: BaseException | None = None
        self._begin(Connecting(), lambda _: self.cache.open())
        self.loop.settle()

    def take(self, step: tuple[Any, ...]) -> None:  # noqa: C901 -- a table of steps
        match step:
            case ("read", count, required, locally, table, is_in_doubt):
                self.host.table[:] = table
                self.doubt.is_there = is_in_doubt
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
        if self.cache._link.wire is not None:
            assert not self.cache._link.missed
            self.doubt.has_arisen = False
        # In whichever order those who waited for the same connection were told.
        self.effects.acknowledged.sort()
        self.effects.unforgotten.sort()
        # Nobody looks at the host's tokens but whoever begins.
        self.host.table.clear()
        self.doubt.is_there = False
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
        elif isinstance(who, Writer):
            self.writers.append(who)
            task.add_done_callback(lambda _: self.writers.remove(who))

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
        self._versions[message.id] = writer.version
        await self.forgetting.at_once(message)
        with self.forgetting.done() as done:
            # Also of others, who find theirs done then.
            self.effects.acknowledged += [self._versions.pop(each) for each in done]
        if message.id in self._versions:
            self.effects.unforgotten.append(self._versions.pop(message.id))

    async def _relay(self, writer: Writer) -> None:
        try:
            await self.forgetting.deliver([self.forgetting.message(self.kind.forgotten)])
        except Unavailable:
            self.effects.unforgotten.append(writer.version)
        else:
            self.effects.acknowledged.append(writer.version)

    def state(self) -> str:
        """All that decides what it does next."""
        current, turns = self.read._flights.get(KEY), self.read._turns.get(KEY)
        roles = {} if turns is None else {turns.running: "turn", turns.next: "next turn"}
        loads = {load.task: load for load in self.loads}
        loading = []
        for task in {*loads, *self.read._loose}:
            is_loose, load, flight = task in self.read._loose, loads.get(task), _local(task, "_fly", "flight")
            followers = [] if flight is None else flight.followers
            waiting = [repr(context[OWNER]) for follower in followers for _, context in follower._callbacks or ()]
            waiting += [
                repr(context[OWNER])
                for callback, context in task._callbacks
                if callback.__name__ == "_inner_done_callback"  # of asyncio.shield
            ]
            loading.append(
                (
                    roles.get(task),
                    None if is_loose or load is None else repr(load.owner),
                    load and load.version,
                    flight and (flight.tokens, flight is current),
                    sorted(waiting),
                )
            )
        link = self.cache._link
        return repr(
            (
                self.kind.host,
                link.wire is None,
                link._hangs,
                link._wanted.is_set(),
                sorted(link.missed),
                self.doubt.has_arisen,
                self._forgetting(),
                [(sent.command.packed, sent.said, sorted(map(repr, sent.owners))) for sent in self.line.sent],
                sorted(map(repr, loading), key=unnamed),
                self.kept(),
            )
        )

    def _forgetting(self) -> list[tuple[Writer, int | None]]:
        """Who waits to have forgotten, and how many connections were made in vain for it, if it waits for one."""
        tasks = {task._callbacks[0][1][OWNER]: task for task in self.cache._loose}
        return [
            (writer, None if writer not in tasks else _local(tasks[writer], "caught_up", "_"))
            for writer in self.writers
        ]

    def kept(self) -> list[tuple[Stamp, int]]:
        """In L1."""
        return [(kept.stamp, int(kept.representations.plain.body)) for kept in self.local._kept.values()]


def _local(task: "asyncio.Task[Any]", function: str, name: str) -> Any:
    """What the function that it is in has under this name; None where it is not in there."""
    coroutine: Any = task.get_coro()
    while hasattr(coroutine, "cr_frame"):
        if coroutine.cr_code.co_name == function:
            return coroutine.cr_frame.f_locals[name]
        coroutine = coroutine.cr_await
    return None
