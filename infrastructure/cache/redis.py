"""The shared cache in Redis."""

import asyncio
import contextlib
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from application.caching.tags import ALL
from application.ports.cache import TOKEN_BYTES, Look
from domain.errors import Unavailable
from infrastructure.cache.address import Address
from infrastructure.cache.info import figures, is_primary, parsed
from infrastructure.cache.names import NO_HOST, Names, announcement, channel
from infrastructure.cache.wire import Command, Refused, Wire, pack

log = logging.getLogger(__name__)

Result = TypeVar("Result")

TOKEN_TTL_S = 86_400
READS_TTL_S = 7_200
READS_KEPT = 10_000
MISSED_AT_MOST = 2_000
LOOKS_REMEMBERED = 8_192
PAUSE_S = 0.05
LONGEST_PAUSE_S = 0.5
TIMEOUTS = 2
"""So many attempts to connect in a row that ended so, and the server hangs: to forget does not wait for the next."""
TRIES = 3
"""To connect, by whoever has something to forget: the connection that is made may be cut off like the one before it."""
STEADY_S = 1.0
"""How long a connection lasts before the next one is made after the shortest pause again."""

_HIDDEN = ("NOPERM", "ERR unknown command")
_TEXT = ("utf-8", "surrogatepass")
_AT_A_TIME = 500
_CONSIDERED = 4
_NO_LOOK: tuple[Sequence[str] | None, bytes] = None, b""


class RedisCache:
    """Over one connection, which is made again by itself. While there is none, all but `store` and `stats` raise
    Unavailable, at once or, as `forget`, after an attempt to make one.

    What `forget` could not do is remembered, and done on the next connection before anything is read from it: this
    process reads nothing that it failed to forget. `forget` waits for that connection, so that who was only cut off has
    forgotten when it says so, and raises Unavailable where it cannot be made. Others may then read for a moment what
    is not forgotten yet, if the server only hung and they come back to it sooner; of a server that starts anew nothing
    is read that is older than its start.

    Where another server answers than before (see Names), everything is forgotten there: it may have been the server
    once already, and have been told nothing of the time between.
    """

    def __init__(
        self, url: str, *, host_id: str, deadline_s: float = 0.1, now: Callable[[], float] = time.time
    ) -> None:
        """`host_id` is the sender of what is published; `now` is in seconds since the epoch. Raises ValueError."""
        self._address = Address.of(url)
        self._host_id = host_id
        self._deadline_s = deadline_s
        self._now = now
        self._channel = channel(self._address.db)
        self._wire: Wire | None = None
        self._names = Names.under("")
        self._run_id: str | None = None
        self._looks: dict[str, tuple[Sequence[str], bytes]] = {}
        self._missed: set[str] = set()
        self._lost = asyncio.Event()
        self._wanted = asyncio.Event()
        self._waiting: list[asyncio.Future[bool]] = []
        """They want to know whether the next attempt to connect, which begins after this moment, is a success."""
        self._timeouts = 0
        """Attempts to connect that ended so, one after the other up to now."""
        self._tried = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None
        self._loose: set[asyncio.Task[Any]] = set()
        self._counts = Counter[str]()

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
        if self._wire is not None:
            self._wire.drop()
        if self._loose:
            await asyncio.wait(self._loose)

    async def look(self, key: str, tags: Sequence[str]) -> Look:
        wire = self._wire
        if wire is None:
            raise Unavailable("Redis")
        known_tags, packed = self._looks.get(key, _NO_LOOK)
        if known_tags != tags:
            packed = self._packed_look(key, tags)
        entry, *tokens = await wire.call_alike(packed)
        return Look(entry, tuple(tokens))

    def _packed_look(self, key: str, tags: Sequence[str]) -> bytes:
        """Remembered: the keys that are read again and again are few."""
        names = self._names
        packed = pack(("MGET", names.page(key), *map(names.tag, tags)))
        if len(self._looks) >= LOOKS_REMEMBERED:
            self._looks.clear()
        self._looks[key] = tags, packed
        return packed

    async def tokens(self, tags: Sequence[str]) -> tuple[bytes, ...]:
        fresh = [os.urandom(TOKEN_BYTES) for _ in tags]
        present = await self._present().transaction(
            [
                ("SET", self._names.tag(tag), token, "NX", "GET", "EX", TOKEN_TTL_S)
                for tag, token in zip(tags, fresh, strict=True)
            ]
        )
        return tuple(token if found is None else found for token, found in zip(fresh, present, strict=True))

    def store(self, key: str, entry: bytes, *, ttl_s: float) -> None:
        wire = self._wire
        command = ("SET", self._names.page(key), entry, "PX", max(1, int(ttl_s * 1000)))
        sent = wire is not None and wire.tell(pack(command))
        self._counts["stores" if sent else "stores_dropped"] += 1

    async def forget(self, tags: Collection[str]) -> None:
        if not tags:
            return
        # Whoever gives up waiting leaves it to be done, or to be remembered.
        await asyncio.shield(self._begin(self._forget_now_or_next(frozenset(tags))))

    async def note_reads(self, reads: Mapping[str, int]) -> None:
        wire, name, counted = self._present(), self._names.reads(self._now()), list(reads.items())
        for start in range(0, len(counted), _AT_A_TIME):
            await wire.transaction(
                [
                    *(
                        ("ZINCRBY", name, times, key.encode(*_TEXT))
                        for key, times in counted[start : start + _AT_A_TIME]
                    ),
                    ("ZREMRANGEBYRANK", name, 0, -READS_KEPT - 1),
                    ("EXPIRE", name, READS_TTL_S),
                ]
            )

    async def most_read(self, limit: int) -> list[str]:
        """Of each of the two hours only the first are considered: Redis would stand still while it added up all."""
        if limit < 1:
            return []
        hours = [self._names.reads(self._now(), hours_ago=ago) for ago in (0, 1)]
        found = await self._present().transaction(
            [("ZREVRANGE", name, 0, _CONSIDERED * limit - 1, "WITHSCORES") for name in hours]
        )
        total = Counter[bytes]()
        for ranked in found:
            for key, times in zip(ranked[::2], ranked[1::2], strict=True):
                total[key] += int(float(times))
        return [key.decode(*_TEXT) for key, _ in total.most_common(limit)]

    async def stats(self) -> Mapping[str, int | float | str]:
        """Those of this process alone while Redis is away."""
        stats: dict[str, int | float | str] = {"adapter": "redis", "connected": 0, "missed": len(self._missed)}
        stats |= self._counts
        wire = self._wire
        if wire is None:
            return stats
        stats |= {"commands": wire.asked, "refused": wire.refused, "round_trips": wire.writes}
        try:
            info, keys = await asyncio.gather(wire.call(pack(("INFO",))), wire.call(pack(("DBSIZE",))))
        except Unavailable:
            return stats
        return stats | figures(parsed(info)) | {"connected": 1, "keys": keys}

    def _present(self) -> Wire:
        if self._wire is None:
            raise Unavailable("Redis")
        return self._wire

    async def _forget_now_or_next(self, tags: frozenset[str]) -> None:
        """By this connection or the next one. Raises Unavailable where that cannot be made."""
        wire = self._wire
        if wire is not None:
            try:
                await self._forget(wire, self._names, tags, sender=self._host_id)
            except (Unavailable, asyncio.CancelledError) as error:
                # In this order, and before whoever waits hears of it: nothing is read from here on but after `_missed`.
                self._miss(tags)
                wire.drop()
                if isinstance(error, asyncio.CancelledError):
                    raise
            else:
                self._counts["forgets"] += 1
                return
        else:
            self._miss(tags)
        await self._caught_up()

    async def _caught_up(self) -> None:
        """Once a connection is made, before which all that was missed up to now is forgotten. Raises Unavailable where
        it cannot be made, and at once while the server hangs: each attempt would take all of the deadline."""
        for _ in range(TRIES):
            if self._keeping is None or self._timeouts >= TIMEOUTS:
                break
            succeeds: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            self._waiting.append(succeeds)
            self._wanted.set()
            if await succeeds:
                return
        raise Unavailable("Redis")

    async def _forget(self, wire: Wire, names: Names, tags: Collection[str], *, sender: str) -> None:
        publish: Command = ("PUBLISH", self._channel, announcement(sender, tags))
        drawn = os.urandom(TOKEN_BYTES * len(tags))
        fresh = [drawn[start : start + TOKEN_BYTES] for start in range(0, len(drawn), TOKEN_BYTES)]
        try:
            await wire.transaction(
                [
                    *(
                        ("SET", names.tag(tag), token, "EX", TOKEN_TTL_S)
                        for tag, token in zip(tags, fresh, strict=True)
                    ),
                    publish,
                ]
            )
        except Refused:
            # Where its memory is full it still removes: a tag without a token gets a fresh one when it is looked for.
            await wire.transaction([("UNLINK", *map(names.tag, tags)), publish])

    def _miss(self, tags: Collection[str]) -> None:
        self._counts["forgets_missed"] += 1
        self._remember(tags)

    def _remember(self, tags: Collection[str]) -> None:
        self._missed.update(tags)
        if len(self._missed) > MISSED_AT_MOST:
            self._missed = {ALL}

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
                self._timeouts = self._timeouts + 1 if isinstance(error, TimeoutError) else 0
                if not was_away:
                    log.warning("The cache is away: %s", _told(error))
                was_away = True
            else:
                self._timeouts = 0
                # Those too who have missed something meanwhile: it is forgotten.
                waiting, self._waiting = [*waiting, *self._waiting], []
                log.info("The cache is connected")
                was_away = False
            finally:
                _tell(waiting, self._wire is not None)
            self._tried.set()
            connected_at = loop.time()
            if self._wire is not None:
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
            async with asyncio.timeout(self._deadline_s):
                wire = await self._address.dial(lambda: Wire(deadline_s=self._deadline_s, dropped=self._on_dropped))
                said = await self._greet(wire)
                run_id = said.get("run_id", "")
                names = Names.under(run_id)
                if self._run_id not in (None, run_id):
                    self._missed.add(ALL)
                self._run_id = run_id
                while self._missed:
                    await self._catch_up(wire, names)
        except BaseException:
            if wire is not None:
                wire.drop()
            raise
        if wire.is_dead:
            raise Unavailable("Redis")
        self._lost.clear()
        self._looks.clear()
        self._names, self._wire = names, wire
        self._counts["connections"] += 1

    async def _catch_up(self, wire: Wire, names: Names) -> None:
        """What is missed while this is under way is for the next round: its commit may be later than this."""
        missed, self._missed = self._missed, set()
        try:
            # To this host as well: its other processes may have read on meanwhile.
            await self._forget(wire, names, missed, sender=NO_HOST)
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

    def _on_dropped(self, wire: Wire) -> None:
        if self._wire is wire:
            self._wire = None
            self._counts["connections_lost"] += 1
            self._lost.set()

    def _begin(self, work: Coroutine[Any, Any, Result]) -> "asyncio.Task[Result]":
        task = asyncio.create_task(work)
        self._loose.add(task)
        task.add_done_callback(self._loose.discard)
        return task


def _tell(waiting: list["asyncio.Future[bool]"], succeeds: bool) -> None:
    for future in waiting:
        if not future.done():
            future.set_result(succeeds)


def _told(error: Exception) -> str:
    return error.reply if isinstance(error, Refused) else f"{type(error).__name__}: {error}"
