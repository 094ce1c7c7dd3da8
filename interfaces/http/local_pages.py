"""L1: ready answers in the process, each true for as long as the tokens of its tags are unchanged in the memory that
all processes of this host share."""

import random
import time
from collections import Counter

from application.ports.cache import HostTokens
from interfaces.http.representations import Representations

ENTRY_BYTES = 3000
"""What an entry of L1 takes beside its bodies."""

Stamp = tuple[tuple[int, int], ...]


class Kept:
    """An entry of L1: `expires_at` by `time.monotonic()`."""

    __slots__ = ("epoch", "expires_at", "key", "reads", "representations", "size", "stamp")

    def __init__(self, key: str, representations: Representations, stamp: Stamp, epoch: int, expires_at: float) -> None:
        self.key = key
        self.reads = 1
        self.representations = representations
        self.stamp = stamp
        self.epoch = epoch
        self.expires_at = expires_at
        self.size = 0


class LocalPages:
    """L1: ready answers by URL, at most `max_bytes` of them; those kept first go first. One kept for `ttl_s`, give or
    take a tenth, is not answered any more.

    Any thread gets; one, the event loop's, does all else. How often a page was read may be told inexactly then.
    """

    def __init__(self, host: HostTokens, *, max_bytes: int, ttl_s: float) -> None:
        self.is_on = max_bytes > 0
        self._host = host
        self._table = host.table
        self._kept: dict[bytes, Kept] = {}
        self._reads: Counter[str] = Counter()
        self._taken = 0
        self._loads = 0
        self._bytes = 0
        self._max_bytes = max_bytes
        self._ttl_s = ttl_s

    def get(self, url: bytes) -> Representations | None:
        kept = self._kept.get(url)
        if kept is None:
            return None
        now = time.monotonic()
        host = self._host
        if now >= kept.expires_at or now >= host.trusted_until or kept.epoch != host.epoch:
            return None
        table = self._table
        for slot, token in kept.stamp:
            if table[slot] != token:
                return None
        kept.reads += 1
        return kept.representations

    def stamp(self, tags: tuple[str, ...]) -> Stamp:
        """To be taken before the page is read, wherever from."""
        table = self._table
        return tuple([(slot, table[slot]) for slot in self._host.slots(tags)])

    @property
    def epoch(self) -> int:
        return self._host.epoch

    def keep(self, url: bytes, key: str, representations: Representations, stamp: Stamp, epoch: int) -> None:
        """Under the stamp and the epoch that were taken before the page was read. Reads are counted by `key`."""
        kept = Kept(key, representations, stamp, epoch, time.monotonic() + self._ttl_s * random.uniform(0.9, 1.1))  # noqa: S311
        kept.size = ENTRY_BYTES + len(representations.plain.body) * (2 if representations.is_large else 1)
        self._loads += 1
        if kept.size > self._max_bytes:
            return
        if (old := self._kept.pop(url, None)) is not None:
            self._gone(old)
        self._kept[url] = kept
        self._bytes += kept.size
        while self._bytes > self._max_bytes:
            self._gone(self._kept.pop(next(iter(self._kept))))

    def _gone(self, kept: Kept) -> None:
        self._bytes -= kept.size
        self._reads[kept.key] += kept.reads

    def take_reads(self, limit: int) -> dict[str, int]:
        """How often the keys that were read most were read since the last time."""
        reads, self._reads = self._reads, Counter()
        for kept in self._kept.values():
            if kept.reads:
                reads[kept.key] += kept.reads
                kept.reads = 0
        self._taken += reads.total()
        return dict(reads.most_common(limit))

    def stats(self) -> dict[str, int]:
        """`reads` since the start of the process, of which `loads` were answered by what is behind L1. `trusted` 0:
        what other hosts forget is not heard of, and L1 is passed by."""
        reads = self._taken + self._reads.total() + sum(kept.reads for kept in self._kept.values())
        return {
            "reads": reads,
            "loads": self._loads,
            "pages": len(self._kept),
            "bytes": self._bytes,
            "max_bytes": self._max_bytes,
            "trusted": int(time.monotonic() < self._host.trusted_until),
        }
