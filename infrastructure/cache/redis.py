"""The shared cache in Redis."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from application.ports.cache import TOKEN_BYTES, Look
from domain.errors import Unavailable
from infrastructure.cache.address import Address
from infrastructure.cache.doubt import Doubt
from infrastructure.cache.info import figures, parsed
from infrastructure.cache.lifetimes import TOKEN_TTL_S, lifetime_s
from infrastructure.cache.link import Link
from infrastructure.cache.names import NO_HOST, Names, announcement, channel
from infrastructure.cache.wire import Command, Refused, Wire, pack

Result = TypeVar("Result")

READS_TTL_S = 7_200
READS_KEPT = 10_000
LOOKS_REMEMBERED = 8_192

_TEXT = ("utf-8", "surrogatepass")
_AT_A_TIME = 500
_CONSIDERED = 4
_NO_LOOK: tuple[Sequence[str] | None, bytes] = None, b""


class RedisCache:
    """Over one connection, which is made again by itself. While there is none, all but `store` and `stats` raise
    Unavailable, at once or, as `forget`, after an attempt to make one.

    What `forget` could not do is remembered, and done on the next connection before anything is read from it: this
    process reads nothing that it failed to forget. `forget` waits for that connection, so that who was only cut off has
    forgotten when it says so, and raises Unavailable where it cannot be made, or where the server hangs. The processes
    with which it has its `doubt` in common read nothing either then, for some seconds longer than that lasts. Other
    hosts may for a moment, if they come back to the server sooner; of a server that starts anew nothing is read that
    is older than its start.

    What the server refuses is Unavailable like all else; the first refusal of each kind is logged.
    """

    def __init__(
        self,
        url: str,
        *,
        host_id: str,
        deadline_s: float = 0.1,
        connect_s: float = 1.0,
        token_ttl_s: int = TOKEN_TTL_S,
        doubt: Doubt | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`host_id` is the sender of what is published, `doubt` its host's; `deadline_s` is of a command, `connect_s`
        of making a connection; `token_ttl_s` is of tokens of single things; `now` is in seconds since the epoch. Raises
        ValueError.
        """
        address = Address.of(url)
        self._host_id = host_id
        self._token_ttl_s = token_ttl_s
        self._now = now
        self._channel = channel(address.db)
        self._doubt = Doubt() if doubt is None else doubt
        self._looks: dict[str, tuple[Sequence[str], bytes]] = {}
        self._loose: set[asyncio.Task[Any]] = set()
        self._link = Link(
            address,
            deadline_s=deadline_s,
            connect_s=connect_s,
            # Told to this host as well: its other processes may have read on meanwhile.
            forget=partial(self._forget, sender=NO_HOST),
            connected=self._looks.clear,
            doubt=self._doubt,
        )
        self._counts = self._link.counts

    async def open(self) -> None:
        """Returns after the first attempt to connect, whether or not it succeeds."""
        await self._link.open()

    async def close(self) -> None:
        await self._link.close()
        if self._loose:
            await asyncio.wait(self._loose)

    async def look(self, key: str, tags: Sequence[str]) -> Look:
        wire = self._link.wire
        if wire is None or self._doubt:
            raise Unavailable("Redis")
        known_tags, packed = self._looks.get(key, _NO_LOOK)
        if known_tags != tags:
            packed = self._packed_look(key, tags)
        entry, *tokens = await wire.call_alike(packed)
        return Look(entry, tuple(tokens))

    def _packed_look(self, key: str, tags: Sequence[str]) -> bytes:
        """Remembered: the keys that are read again and again are few."""
        names = self._link.names
        packed = pack(("MGET", names.page(key), *map(names.tag, tags)))
        if len(self._looks) >= LOOKS_REMEMBERED:
            self._looks.clear()
        self._looks[key] = tags, packed
        return packed

    async def tokens(self, tags: Sequence[str]) -> tuple[bytes, ...]:
        fresh = [os.urandom(TOKEN_BYTES) for _ in tags]
        present = await self._present().transaction(
            [
                ("SET", self._link.names.tag(tag), token, "NX", "GET", "EX", lifetime_s(tag, self._token_ttl_s))
                for tag, token in zip(tags, fresh, strict=True)
            ]
        )
        return tuple(token if found is None else found for token, found in zip(fresh, present, strict=True))

    def store(self, key: str, entry: bytes, *, ttl_s: float) -> None:
        wire = self._link.wire
        command = ("SET", self._link.names.page(key), entry, "PX", max(1, int(ttl_s * 1000)))
        sent = wire is not None and wire.tell(pack(command))
        self._counts["stores" if sent else "stores_dropped"] += 1

    async def forget(self, tags: Collection[str]) -> None:
        if not tags:
            return
        # Whoever gives up waiting leaves it to be done, or to be remembered.
        await asyncio.shield(self._begin(self._forget_now_or_next(frozenset(tags))))

    async def note_reads(self, reads: Mapping[str, int]) -> None:
        wire, name, counted = self._present(), self._link.names.reads(self._now()), list(reads.items())
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
        hours = [self._link.names.reads(self._now(), hours_ago=ago) for ago in (0, 1)]
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
        stats: dict[str, int | float | str] = {"adapter": "redis", "connected": 0, "missed": len(self._link.missed)}
        stats |= self._counts | {"in_doubt": int(bool(self._doubt))}
        wire = self._link.wire
        if wire is None:
            return stats
        stats |= {"commands": wire.asked, "round_trips": wire.writes}
        try:
            info, keys = await asyncio.gather(wire.call(pack(("INFO",))), wire.call(pack(("DBSIZE",))))
        except Unavailable:
            return stats
        return stats | figures(parsed(info)) | {"connected": 1, "keys": keys}

    def _present(self) -> Wire:
        if self._link.wire is None:
            raise Unavailable("Redis")
        return self._link.wire

    async def _forget_now_or_next(self, tags: frozenset[str]) -> None:
        """By this connection or the next one. Raises Unavailable where that cannot be made."""
        wire = self._link.wire
        if wire is not None:
            try:
                await self._forget(wire, self._link.names, tags, sender=self._host_id)
            except (Unavailable, asyncio.CancelledError) as error:
                # In this order, and before whoever waits hears of it: nothing is read from here on but after `_missed`.
                self._link.miss(tags)
                wire.drop()
                if isinstance(error, asyncio.CancelledError):
                    raise
            else:
                self._counts["forgets"] += 1
                return
        else:
            self._link.miss(tags)
        await self._link.caught_up()

    async def _forget(self, wire: Wire, names: Names, tags: Collection[str], *, sender: str) -> None:
        publish: Command = ("PUBLISH", self._channel, announcement(sender, tags))
        drawn = os.urandom(TOKEN_BYTES * len(tags))
        fresh = [drawn[start : start + TOKEN_BYTES] for start in range(0, len(drawn), TOKEN_BYTES)]
        try:
            await wire.transaction(
                [
                    *(
                        ("SET", names.tag(tag), token, "EX", lifetime_s(tag, self._token_ttl_s))
                        for tag, token in zip(tags, fresh, strict=True)
                    ),
                    publish,
                ]
            )
        except Refused:
            # Where its memory is full it still removes: a tag without a token gets a fresh one when it is looked for.
            await wire.transaction([("UNLINK", *map(names.tag, tags)), publish])

    def _begin(self, work: Coroutine[Any, Any, Result]) -> "asyncio.Task[Result]":
        task = asyncio.create_task(work)
        self._loose.add(task)
        task.add_done_callback(self._loose.discard)
        return task
