"""The shared cache, and the tokens of tags in it and in the memory of this host."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

TOKEN_BYTES = 8


class Look(NamedTuple):
    """An entry and the present tokens of the tags that were asked for, all as of one moment; None: there is none."""

    entry: bytes | None
    tokens: tuple[bytes | None, ...]


class SharedCache(Protocol):
    """Entries, and a token of TOKEN_BYTES for each tag, that all processes of a site share.

    Any key may vanish at any time. A token that was set was never set before. What takes longer than the adapter's
    deadline, or finds it away, raises Unavailable, and may have been done all the same.
    """

    async def look(self, key: str, tags: Sequence[str]) -> Look:
        """One round trip."""
        ...

    async def tokens(self, tags: Sequence[str]) -> tuple[bytes, ...]:
        """Those there are; tags without one get a fresh one."""
        ...

    def store(self, key: str, entry: bytes, *, ttl_s: float) -> None:
        """Nobody waits for it, and nothing is raised: at worst it is not there."""
        ...

    async def forget(self, tags: Collection[str]) -> None:
        """Each gets a fresh token, and then every other host is told, so that it forgets them too."""
        ...

    async def note_reads(self, reads: Mapping[str, int]) -> None:
        """That these keys were read so often just now."""
        ...

    async def most_read(self, limit: int) -> list[str]:
        """Of the last hour or two, the keys that were read most, most first."""
        ...

    async def stats(self) -> Mapping[str, int | float | str]:
        """What is known of it, by plain names; figures of bytes, keys, hits and misses among them."""
        ...


class HostTokens(Protocol):
    """The tags' tokens in memory that all processes of this host share: one 64-bit number for each slot, and several
    tags may have the same slot. What is kept in a process under them is true for as long as they are unchanged."""

    @property
    def table(self) -> Sequence[int]:
        """By slot. Each read is of one moment."""
        ...

    @property
    def trusted_until(self) -> float:
        """Until when, by `time.monotonic()`, all that other hosts forgot up to now is forgotten here."""
        ...

    @property
    def epoch(self) -> int:
        """Rises when something may have been missed: what was kept before counts for nothing."""
        ...

    def slots(self, tags: Sequence[str]) -> tuple[int, ...]: ...

    def forget(self, tags: Collection[str]) -> None:
        """Each gets a fresh token, for all processes of this host at once."""
        ...
