"""The shared cache in memory, for one process."""

import os
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from application.ports.cache import TOKEN_BYTES, HostTokens, Look
from domain.errors import Unavailable
from infrastructure.cache.lifetimes import TOKEN_TTL_S, lifetime_s

MIB = 1024**2

_HOUR_S = 3600
_OVERHEAD_BYTES = 200


@dataclass(frozen=True, slots=True)
class _Kept:
    value: bytes
    expires_at: float


class MemoryCache:
    """At most `max_bytes`, of which those go first that were used least lately.

    `others` are the tokens of other hosts, told of what is forgotten. While `away` it is as a Redis that does not
    answer: what was to be forgotten is, before anything is looked for again.
    """

    def __init__(
        self,
        *,
        max_bytes: int = 64 * MIB,
        others: Sequence[HostTokens] = (),
        token_ttl_s: int = TOKEN_TTL_S,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.away = False
        self._max_bytes = max_bytes
        self._others = others
        self._token_ttl_s = token_ttl_s
        self._now = now
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._bytes = 0
        self._missed: set[str] = set()
        self._reads: dict[int, Counter[str]] = {}
        self._counts = Counter[str](hits=0, misses=0, evicted_keys=0)

    def flush(self) -> None:
        """Everything is gone."""
        self._kept.clear()
        self._reads.clear()
        self._bytes = 0

    def evict(self, key: str) -> None:
        """That page is gone, if it was there."""
        self._remove(_page(key))

    def evict_tag(self, tag: str) -> None:
        """Its token is gone, if it was there."""
        self._remove(_tag(tag))

    async def look(self, key: str, tags: Sequence[str]) -> Look:
        self._answer()
        entry = self._get(_page(key))
        self._counts["misses" if entry is None else "hits"] += 1
        return Look(entry, tuple(self._get(_tag(tag)) for tag in tags))

    async def tokens(self, tags: Sequence[str]) -> tuple[bytes, ...]:
        self._answer()
        return tuple(self._get(_tag(tag)) or self._fresh(tag) for tag in tags)

    def store(self, key: str, entry: bytes, *, ttl_s: float) -> None:
        if not self.away:
            self._put(_page(key), entry, ttl_s)

    async def forget(self, tags: Collection[str]) -> None:
        if self.away:
            self._missed.update(tags)
        self._answer()
        self._forget(tags)

    async def note_reads(self, reads: Mapping[str, int]) -> None:
        self._answer()
        hour = self._hour()
        self._reads = {known: counted for known, counted in self._reads.items() if known >= hour - 1}
        self._reads.setdefault(hour, Counter()).update(reads)

    async def most_read(self, limit: int) -> list[str]:
        self._answer()
        hour = self._hour()
        total = self._reads.get(hour, Counter[str]()) + self._reads.get(hour - 1, Counter[str]())
        return [key for key, _ in total.most_common(max(limit, 0))]

    async def stats(self) -> Mapping[str, int | float | str]:
        return {
            "adapter": "memory",
            "connected": int(not self.away),
            "keys": len(self._kept),
            "memory_bytes": self._bytes,
            "memory_limit_bytes": self._max_bytes,
            **self._counts,
        }

    def _answer(self) -> None:
        if self.away:
            raise Unavailable("The cache")
        if self._missed:
            missed, self._missed = self._missed, set()
            self._forget(missed)

    def _forget(self, tags: Collection[str]) -> None:
        for tag in tags:
            self._fresh(tag)
        for host in self._others:
            host.forget(tags)

    def _fresh(self, tag: str) -> bytes:
        token = os.urandom(TOKEN_BYTES)
        self._put(_tag(tag), token, lifetime_s(tag, self._token_ttl_s))
        return token

    def _get(self, name: str) -> bytes | None:
        kept = self._kept.get(name)
        if kept is None:
            return None
        if kept.expires_at <= self._now():
            self._remove(name)
            return None
        self._kept.move_to_end(name)
        return kept.value

    def _put(self, name: str, value: bytes, ttl_s: float) -> None:
        self._remove(name)
        self._kept[name] = _Kept(value, self._now() + ttl_s)
        self._bytes += _size(name, value)
        while self._bytes > self._max_bytes:
            self._remove(next(iter(self._kept)))
            self._counts["evicted_keys"] += 1

    def _remove(self, name: str) -> None:
        kept = self._kept.pop(name, None)
        if kept is not None:
            self._bytes -= _size(name, kept.value)

    def _hour(self) -> int:
        return int(self._now() // _HOUR_S)


def _page(key: str) -> str:
    return f"p:{key}"


def _tag(tag: str) -> str:
    return f"t:{tag}"


def _size(name: str, value: bytes) -> int:
    return len(name) + len(value) + _OVERHEAD_BYTES
