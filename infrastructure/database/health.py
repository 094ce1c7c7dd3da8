"""Whether PostgreSQL and Redis can be reached, and whether the schema is the one that this code knows."""

import asyncio
from typing import Protocol

from domain.errors import BylineError
from infrastructure.database.database import Database
from infrastructure.database.revisions import newest_revision

_PATIENCE_S = 2.0
_HAS_REVISIONS = "SELECT to_regclass('alembic_version') IS NOT NULL"
_REVISIONS = "SELECT version_num FROM alembic_version"


class Pinged(Protocol):
    async def ping(self) -> None:
        """Raises Unavailable."""
        ...


class ServersHealth:
    """Each answers within seconds, whatever the servers do."""

    def __init__(self, database: Database, queue: Pinged) -> None:
        self._database = database
        self._queue = queue

    async def database(self) -> str | None:
        try:
            async with asyncio.timeout(_PATIENCE_S), self._database.reading() as reading:
                await reading.fetchval("SELECT 1")
        except (BylineError, TimeoutError) as error:
            return _told(error, "The database")
        return None

    async def migrations(self) -> str | None:
        try:
            async with asyncio.timeout(_PATIENCE_S), self._database.reading() as reading:
                made = await reading.fetchval(_HAS_REVISIONS)
                found = {row[0] for row in await reading.fetch(_REVISIONS)} if made else set()
        except (BylineError, TimeoutError) as error:
            return _told(error, "The database")
        newest = newest_revision()
        if found == {newest}:
            return None
        at = " and ".join(sorted(found)) or "empty"
        return f"The schema is at {at}, not at {newest}. Run `byline migrate upgrade`."

    async def redis(self) -> str | None:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self._queue.ping()
        except (BylineError, TimeoutError) as error:
            return _told(error, "Redis")
        return None


def _told(error: BylineError | TimeoutError, server: str) -> str:
    return str(error) if isinstance(error, BylineError) else f"{server} does not answer."
