"""The migrations: each step up and down again, and in the end the tables that the code knows."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from domain.errors import Unavailable
from infrastructure.database import schema
from infrastructure.database.connections import driver_url
from infrastructure.database.revisions import newest_revision
from infrastructure.database.tables import metadata
from tests.migrations.catalogue import catalogue, new_database
from tests.stage import Servers

OLDEST_FIRST = [revision.id for revision in reversed(schema.history())]
NAMED = re.compile(r"(index|constraint) (\w+\.)?(pk|uq|ix|fk|ck)_\w+")


@pytest.fixture
async def url(servers: Servers) -> AsyncIterator[str]:
    """Of a database without anything in it."""
    async with new_database(servers.database_url) as url:
        yield url


async def test_every_step_can_be_taken_up_down_and_up_again(url: str) -> None:
    before = await catalogue(url)
    for revision in OLDEST_FIRST:
        await schema.upgrade(url, revision)
        made = await catalogue(url)
        assert made != before
        await schema.downgrade(url, "-1")
        assert await catalogue(url) == before
        await schema.upgrade(url, revision)
        assert await catalogue(url) == made
        before = made


async def test_the_way_down_leaves_nothing(url: str) -> None:
    nothing = await catalogue(url)
    await schema.upgrade(url)
    await schema.downgrade(url, "base")
    assert await catalogue(url) == nothing
    assert await schema.current(url) is None


async def test_migrations_make_the_tables_that_the_code_knows(servers: Servers, url: str) -> None:
    await schema.upgrade(url)
    async with new_database(servers.database_url) as other:
        engine = create_async_engine("postgresql+asyncpg" + driver_url(other).removeprefix("postgresql"))
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        await engine.dispose()
        assert await catalogue(url) == await catalogue(other)


async def test_alembic_finds_nothing_left_to_migrate(url: str) -> None:
    await schema.upgrade(url)

    def differences(connection: Connection) -> list[object]:
        options = {"compare_type": True, "compare_server_default": True}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    engine = create_async_engine("postgresql+asyncpg" + driver_url(url).removeprefix("postgresql"))
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


async def test_every_index_and_constraint_has_a_name_of_ours(url: str) -> None:
    await schema.upgrade(url)
    named = [name for name in await catalogue(url) if name.startswith(("index", "constraint"))]
    assert len(named) > 40
    assert [name for name in named if not NAMED.fullmatch(name)] == []


async def test_several_at_once_migrate_once(url: str) -> None:
    await asyncio.gather(*(schema.upgrade(url) for _ in range(4)))
    assert await schema.current(url) == OLDEST_FIRST[-1]


async def test_the_database_tells_where_it_stands(url: str) -> None:
    assert await schema.current(url) is None
    await schema.upgrade(url)
    assert await schema.current(url) == schema.history()[0].id
    assert schema.history()[0].is_head


def test_there_is_one_line_of_revisions_and_its_newest_is_known_without_alembic() -> None:
    assert schema.heads() == {newest_revision()}


async def test_a_database_that_is_away_is_told() -> None:
    with pytest.raises(Unavailable):
        await schema.upgrade("postgresql://nobody@127.0.0.1:1/nothing")


def test_migrations_are_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert [revision.id for revision in reversed(schema.history())] == OLDEST_FIRST
