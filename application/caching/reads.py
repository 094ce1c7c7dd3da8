"""Which pages are read most, told to all processes of the site, for the next warming."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from application.ports.cache import SharedCache
from domain.errors import Unavailable


@dataclass(frozen=True, slots=True)
class NoteReads:
    """That pages, named by their keys' texts, were read so often just now. Where the cache is away, nobody knows."""

    cache: SharedCache

    async def __call__(self, reads: Mapping[str, int]) -> None:
        if reads:
            with suppress(Unavailable):
                await self.cache.note_reads(reads)
