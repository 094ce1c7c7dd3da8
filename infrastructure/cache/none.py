"""No shared cache: everything is read where it is kept."""

from collections.abc import Collection, Mapping, Sequence

from application.ports.cache import Look
from domain.errors import Unavailable


class NoCache:
    """Nothing is stored, so that everything is forgotten already."""

    async def look(self, key: str, tags: Sequence[str]) -> Look:
        raise Unavailable("The cache (there is none)")

    async def tokens(self, tags: Sequence[str]) -> tuple[bytes, ...]:
        raise Unavailable("The cache (there is none)")

    def store(self, key: str, entry: bytes, *, ttl_s: float) -> None:
        pass

    async def forget(self, tags: Collection[str]) -> None:
        pass

    async def note_reads(self, reads: Mapping[str, int]) -> None:
        pass

    async def most_read(self, limit: int) -> list[str]:
        return []

    async def stats(self) -> Mapping[str, int | float | str]:
        return {"adapter": "none"}
