"""Health: what is wrong is told, and nothing is waited for longer than a few seconds."""

import asyncpg  # type: ignore[import-untyped]  # it has no types of its own
import pytest

from domain.errors import Unavailable
from infrastructure.database.database import Database, service_database
from infrastructure.database.health import ServersHealth
from infrastructure.settings import Settings


class Redis:
    def __init__(self, *, is_away: bool = False) -> None:
        self._is_away = is_away

    async def ping(self) -> None:
        if self._is_away:
            raise Unavailable("Redis")


async def test_all_is_well(database: Database) -> None:
    probe = ServersHealth(database, Redis())
    assert await probe.database() is None
    assert await probe.migrations() is None
    assert await probe.redis() is None


@pytest.mark.parametrize("left", ["UPDATE alembic_version SET version_num = 'old'", "DROP TABLE alembic_version"])
async def test_a_schema_that_is_not_the_codes_is_told(database: Database, database_url: str, left: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("CREATE TABLE kept AS TABLE alembic_version")
    try:
        await connection.execute(left)
        told = await ServersHealth(database, Redis()).migrations()
    finally:
        await connection.execute("DROP TABLE IF EXISTS alembic_version")
        await connection.execute("ALTER TABLE kept RENAME TO alembic_version")
        await connection.close()
    assert told is not None
    assert "byline migrate upgrade" in told


async def test_servers_that_are_away_are_told() -> None:
    database = service_database(Settings.model_validate({"database_url": "postgresql://nobody@127.0.0.1:1/nothing"}))
    probe = ServersHealth(database, Redis(is_away=True))
    told = [await probe.database(), await probe.migrations(), await probe.redis()]
    assert all(told)
    assert "nobody" not in str(told)
    await database.close()
