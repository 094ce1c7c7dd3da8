"""The connection to Redis, made again by itself, and what was missed while there was none."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Collection
from typing import Protocol

import structlog

from application.caching.tags import ALL
from domain.errors import Unavailable
from infrastructure.cache.address import Address
from infrastructure.cache.doubt import Doubt
from infrastructure.cache.info import is_primary, parsed
from infrastructure.cache.names import Names
from infrastructure.cache.wire import Refused, Wire, pack, told

log = structlog.get_logger(__name__)

MISSED_AT_MOST = 2_000
PAUSE_S = 0.05
LONGEST_PAUSE_S = 0.5
TRIES = 3
"""To connect, by whoever has something to forget: the connection that is made may be cut off like the one before it."""
PATIENCE = 2
"""Deadlines of a command that they wait for it in all."""
STEADY_S = 1.0
"""How long a connection lasts before the next one is made after the shortest pause again."""

_HIDDEN = ("NOPERM", "ERR unknown command")


class Forget(Protocol):
    async def __call__(self, wire: Wire, names: Names, tags: Collection[str]) -> None:
        """Raises Unavailable, Refused where the server will not."""
        ...


class Link:
    """What is `missed` is forgotten on the next connection, by `forget`, before that is anybody's `wire`. Until then
    there is `doubt`, where somebody no longer waits for it.

    Where another server answers than before (see Names), everything is forgotten there: it may have been the server
    once already, and have been told nothing of the time between.
    """

    def __init__(
        self,
        address: Address,
        *,
        deadline_s: float,
        connect_s: float,
        forget: Forget,
        connected: Callable[[], None],
        doubt: Doubt,
    ) -> None:
        """`deadline_s` is of a command, `connect_s` of finding the server, greeting it and catching up in all.
        `connected` is called before a new wire is used."""
        self.wire: Wire | None = None
        self.names = Names.under("")
        """Of the server that `wire` leads to."""
        self.missed: set[str] = set()
        self.counts = Counter[str]()
        self._address = address
        self._deadline_s = deadline_s
        self._connect_s = connect_s
        self._forget = forget
        self._connected = connected
        self._doubt = doubt
        self._run_id: str | None = None
        self._lost = asyncio.Event()
        self._wanted = asyncio.Event()
        self._waiting: list[asyncio.Future[bool]] = []
        """They want to know whether the next attempt to connect, which begins after this moment, is a success."""
        self._hangs = False
        """The server does, as far as is known: somebody waited in vain, and no attempt has ended otherwise since."""
        self._refusals: set[str] = set()
        self._tried = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Returns after the first attempt to connect, whether or not it succeeds."""
        if self._keeping is None:
            self._tried.clear()
            self._keeping = asyncio.create_task(self._keep_connected())
        await self._tried.wait()

    async def close(self) -> None:
        keeping, self._keeping = self._keeping, None
        if keeping is not None:
            keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeping
        waiting, self._waiting = self._waiting, []
        _tell(waiting, False)
        if self.missed:
            self._doubt.arise()
        if self.wire is not None:
            self.wire.drop()

    def miss(self, tags: Collection[str]) -> None:
        self.counts["forgets_missed"] += 1
        self._remember(tags)

    async def caught_up(self) -> None:
        """Once a connection is made, before which all that was missed up to now is forgotten. Raises Unavailable where
        it cannot be made, or not within PATIENCE deadlines, and at once while the server hangs."""
        try:
            async with asyncio.timeout(PATIENCE * self._deadline_s):
                for _ in range(TRIES):
                    if self._keeping is None or self._hangs:
                        break
                    succeeds: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
                    self._waiting.append(succeeds)
                    self._wanted.set()
                    if await succeeds:
                        return
        except TimeoutError:
            self._hangs = self.wire is None
        self._doubt.arise()
        raise Unavailable("Redis")

    async def _keep_connected(self) -> None:
        loop = asyncio.get_running_loop()
        pause_s = PAUSE_S
        was_away = False
        while True:
            waiting, self._waiting = self._waiting, []
            self._wanted.clear()
            try:
                await self._connect()
            except Exception as error:  # whatever it is, the service goes on without the cache
                self._hangs = isinstance(error, TimeoutError)
                if not was_away:
                    log.warning("cache_away", reason=told(error))
                was_away = True
                if self.missed:
                    self._doubt.arise()
            else:
                self._hangs = False
                # Those too who have missed something meanwhile: it is forgotten.
                waiting, self._waiting = [*waiting, *self._waiting], []
                log.info("cache_connected")
                was_away = False
            finally:
                _tell(waiting, self.wire is not None)
            self._tried.set()
            connected_at = loop.time()
            if self.wire is not None:
                await self._lost.wait()
                if loop.time() - connected_at >= STEADY_S:
                    pause_s = PAUSE_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._wanted.wait()
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _connect(self) -> None:
        wire: Wire | None = None
        try:
            async with asyncio.timeout(self._connect_s):
                wire = await self._address.dial(lambda: Wire(deadline_s=self._connect_s, dropped=self._on_dropped))
                said = await self._greet(wire)
                wire.refused = self._on_refused
                run_id = said.get("run_id", "")
                names = Names.under(run_id)
                if self._run_id not in (None, run_id):
                    self.missed.add(ALL)
                self._run_id = run_id
                while self.missed:
                    await self._catch_up(wire, names)
        except BaseException:
            if wire is not None:
                wire.drop()
            raise
        wire.hurry(self._deadline_s)
        if wire.is_dead:
            raise Unavailable("Redis")
        self._lost.clear()
        self._connected()
        self.names, self.wire = names, wire
        self.counts["connections"] += 1

    async def _catch_up(self, wire: Wire, names: Names) -> None:
        """What is missed while this is under way is for the next round: its commit may be later than this."""
        missed, self.missed = self.missed, set()
        try:
            await self._forget(wire, names, missed)
        except (Unavailable, asyncio.CancelledError):
            self._remember(missed)
            raise

    async def _greet(self, wire: Wire) -> dict[str, str]:
        """What it says of itself; nothing where it tells nobody. Raises Unavailable, also of a replica."""
        await asyncio.gather(*(wire.call(pack(command)) for command in self._address.greeting))
        wire.tell(pack(("CLIENT", "SETNAME", "byline-cache")))
        try:
            said = parsed(await wire.call(pack(("INFO",))))
        except Refused as refused:
            if refused.reply.startswith(_HIDDEN):
                return {}
            raise
        if not is_primary(said):
            raise Unavailable("Redis's primary")
        return said

    def _remember(self, tags: Collection[str]) -> None:
        self.missed.update(tags)
        if len(self.missed) > MISSED_AT_MOST:
            self.missed = {ALL}

    def _on_refused(self, reply: str) -> None:
        """All that the cache does may be refused for ever, by a server too old for it or a full one, or to this user:
        nothing else would tell."""
        self.counts["refused"] += 1
        kind = reply.partition(" ")[0]
        if kind not in self._refusals:
            self._refusals.add(kind)
            log.warning("cache_refused", kind=kind, reply=reply)

    def _on_dropped(self, wire: Wire) -> None:
        if self.wire is wire:
            self.wire = None
            self.counts["connections_lost"] += 1
            self._lost.set()


def _tell(waiting: list["asyncio.Future[bool]"], succeeds: bool) -> None:
    for future in waiting:
        if not future.done():
            future.set_result(succeeds)
