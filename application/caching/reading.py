"""Reading through the shared cache. No read that begins after an acknowledged write gets what is older, and nothing
stale is left at rest, also where any key vanishes at any moment: checked by tests/caching/test_interleavings.py.

An entry is stored with the tokens that its tags had before it was loaded, and is good for as long as they have them.
"""

import asyncio
import math
import random
import struct
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar, cast

from application.ports.cache import SharedCache
from domain.errors import Busy, Unavailable

Value = TypeVar("Value")
Load = Callable[[], Awaitable[Value]]

JITTER = 0.1
"""Lifetimes differ by up to this share, so that what was stored together does not end together."""
EAGERNESS = 2.0
"""How early an entry is loaded anew, in the time that its loading took: the beta of "Optimal Probabilistic Cache
Stampede Prevention" (Vattani, Chierichetti, Lowenstein, 2015)."""

_EAGER_AT_MOST = EAGERNESS * 40.0
"""The logarithm of a random number is never greater."""
_HEAD = struct.Struct(">df")


class Form(Protocol[Value]):
    """What a value looks like in an entry."""

    def pack(self, value: Value) -> bytes: ...
    def unpack(self, packed: bytes) -> Value: ...


class Bytes:
    """As they are."""

    def pack(self, value: bytes) -> bytes:
        return value

    def unpack(self, packed: bytes) -> bytes:
        return packed


BYTES = Bytes()


def packed(tokens: Sequence[bytes], expires_at: float, took_s: float, value: bytes) -> bytes:
    """An entry: `expires_at` is seconds since the epoch; loading it took `took_s`. The tokens come first: whether they
    are the present ones is then a matter of one comparison. A key always has the same tags, so it has as many."""
    return b"".join((*tokens, _HEAD.pack(expires_at, took_s), value))


@dataclass(slots=True, eq=False)
class _Flight(Generic[Value]):
    """A load that is under way, begun while the tags had these tokens, by a reader whom the others follow."""

    tokens: tuple[bytes, ...]
    followers: "list[asyncio.Future[Value]]" = field(default_factory=list)

    def land(self, value: Value) -> None:
        for follower in self.followers:
            if not follower.done():
                follower.set_result(value)

    def fail(self, error: BaseException) -> None:
        """Where it was given up, and did not fail of itself, somebody else is to lead."""
        for follower in self.followers:
            if not follower.done():
                follower.set_exception(error if isinstance(error, Exception) else _GivenUp())


class _GivenUp(Exception):
    """Who led a load is gone."""


@dataclass(slots=True)
class _Turns:
    """Of a key's loads without tokens: the one under way, and the one that begins when it ends."""

    running: "asyncio.Task[Any]"
    next: "asyncio.Task[Any] | None" = None


@dataclass(slots=True)
class Counts:
    """`hits` and `misses` are of the shared cache; `bypassed` found it away; `joined` misses shared another's load."""

    hits: int = 0
    misses: int = 0
    bypassed: int = 0
    joined: int = 0
    loads: int = 0
    refreshed: int = 0


@dataclass(slots=True)
class ReadThrough:
    """Values by key, each loaded at most once at a time, by whoever asks first."""

    cache: SharedCache
    ttl_s: float
    patience_s: float = 10.0
    now: Callable[[], float] = time.time
    counts: Counts = field(default_factory=Counts)
    _flights: dict[str, _Flight[Any]] = field(default_factory=dict)
    _turns: dict[str, _Turns] = field(default_factory=dict)
    _waiting: "Counter[asyncio.Task[Any]]" = field(default_factory=Counter)
    _loose: "set[asyncio.Task[Any]]" = field(default_factory=set)

    async def __call__(self, key: str, tags: Sequence[str], load: Load[bytes], *, fresh_for_s: float = 0.0) -> bytes:
        """As `read` of bytes, without how they came."""
        value, _ = await self.read(key, tags, load, BYTES, fresh_for_s=fresh_for_s)
        return value

    async def read(
        self, key: str, tags: Sequence[str], load: Load[Value], form: Form[Value], *, fresh_for_s: float = 0.0
    ) -> tuple[Value, bool]:
        """The value, and whether it was kept: what ends within `fresh_for_s` counts as a miss. Raises what `load`
        raises, and Busy after `patience_s`. Where the shared cache is away, nothing is kept, and a load is shared only
        by those who came before it began."""
        try:
            entry, tokens = await self.cache.look(key, tags)
            known = None if None in tokens else cast("tuple[bytes, ...]", tokens)
            if entry is not None and known is not None and entry.startswith(joined := b"".join(known)):
                expires_at, took_s = _HEAD.unpack_from(entry, len(joined))
                if (now := self.now()) + fresh_for_s < expires_at:
                    self.counts.hits += 1
                    if expires_at - now < took_s * _EAGER_AT_MOST and self._is_due(expires_at, took_s, now):
                        self._refresh(key, known, load, form)
                    return form.unpack(entry[len(joined) + _HEAD.size :]), True
            self.counts.misses += 1
            known = known or await self.cache.tokens(tags)
        except Unavailable:
            self.counts.bypassed += 1
            return await self._waited_for(self._in_turn(key, load)), False
        with self._patience() as patience:
            async with patience:
                return await self._flown(key, known, load, form), False

    async def idle(self) -> None:
        """Until nothing is being loaded that nobody waits for."""
        while self._loose:
            await asyncio.wait(self._loose)

    async def _flown(self, key: str, tokens: tuple[bytes, ...], load: Load[Value], form: Form[Value]) -> Value:
        """By a load that began under these tokens: this reader's own, or that of another whom it follows."""
        while (flight := self._flights.get(key)) is not None and flight.tokens == tokens:
            self.counts.joined += 1
            follower: asyncio.Future[Value] = asyncio.get_running_loop().create_future()
            flight.followers.append(follower)
            with suppress(_GivenUp):
                return await follower
        return await self._fly(key, tokens, load, form)

    async def _fly(self, key: str, tokens: tuple[bytes, ...], load: Load[Value], form: Form[Value]) -> Value:
        flight: _Flight[Value] = _Flight(tokens)
        self._flights[key] = flight
        began = time.perf_counter()
        self.counts.loads += 1
        try:
            value = await load()
        except BaseException as error:
            self._landed(key, flight)
            flight.fail(error)
            raise
        self._landed(key, flight)
        took_s = time.perf_counter() - began
        ttl_s = self.ttl_s * (1.0 + JITTER * (2.0 * random.random() - 1.0))  # noqa: S311
        self.cache.store(key, packed(tokens, self.now() + ttl_s, took_s, form.pack(value)), ttl_s=ttl_s)
        flight.land(value)
        return value

    def _landed(self, key: str, flight: _Flight[Any]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]

    @contextmanager
    def _patience(self) -> Iterator[asyncio.Timeout]:
        """Within which it raises Busy when it is over."""
        patience = asyncio.timeout(self.patience_s)
        try:
            yield patience
        except TimeoutError as error:
            if patience.expired():
                raise Busy("It takes too long to be loaded.") from error
            raise

    async def _waited_for(self, loading: "asyncio.Task[Value]") -> Value:
        """Whoever gives up leaves the load to those who wait for it too; what nobody waits for any more is ended."""
        self._waiting[loading] += 1
        try:
            with self._patience() as patience:
                async with patience:
                    return await asyncio.shield(loading)
        finally:
            self._waiting[loading] -= 1
            if not self._waiting[loading]:
                del self._waiting[loading]
                loading.cancel()

    def _is_due(self, expires_at: float, took_s: float, now: float) -> bool:
        """The sooner before its end the likelier, so that one of many readers loads it anew and none waits."""
        return now - took_s * EAGERNESS * math.log(1.0 - random.random()) >= expires_at  # noqa: S311

    def _refresh(self, key: str, tokens: tuple[bytes, ...], load: Load[Value], form: Form[Value]) -> None:
        if key not in self._flights:
            self.counts.refreshed += 1
            self._begin(self._fly(key, tokens, load, form))

    def _in_turn(self, key: str, load: Load[Value]) -> "asyncio.Task[Value]":
        """By a load that begins after this moment; those who come while one is under way share the next."""
        turns = self._turns.get(key)
        if turns is None:
            turns = self._turns[key] = _Turns(self._begin(self._loaded(load)))
            turns.running.add_done_callback(lambda _: self._turn_ended(key))
            return turns.running
        if turns.next is None or turns.next.cancelling():
            turns.next = self._begin(self._after(turns.running, load))
        else:
            self.counts.joined += 1
        return turns.next

    def _turn_ended(self, key: str) -> None:
        turns = self._turns[key]
        if turns.next is None:
            del self._turns[key]
        else:
            turns = self._turns[key] = _Turns(turns.next)
            turns.running.add_done_callback(lambda _: self._turn_ended(key))

    async def _after(self, running: "asyncio.Task[Value]", load: Load[Value]) -> Value:
        await asyncio.wait([running])
        return await self._loaded(load)

    async def _loaded(self, load: Load[Value]) -> Value:
        self.counts.loads += 1
        return await load()

    def _begin(self, work: Coroutine[Any, Any, Value]) -> "asyncio.Task[Value]":
        task = asyncio.create_task(work)
        self._loose.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._loose.discard(task)
        if not task.cancelled():
            task.exception()  # told to those who wait; nobody may be
