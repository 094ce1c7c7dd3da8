"""`database`: a Database of its own for each test, on a database that is empty when the test begins.

`archive`: one with thousands of posts, filled once, for tests that only read.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it has no types of its own
import pytest

from domain.ids import UserId
from infrastructure.database import schema
from infrastructure.database.database import Database, service_database
from infrastructure.settings import Settings
from tests.database.archive import Archive, fill
from tests.migrations.catalogue import new_database
from tests.stage import Servers

MakeDatabase = Callable[..., Awaitable[Database]]


@pytest.fixture
async def make_database(database_url: str) -> AsyncIterator[MakeDatabase]:
    """With the settings given. It is closed in the end, and must then have all of its connections back."""
    made: list[Database] = []

    async def make(**settings: object) -> Database:
        database = service_database(Settings.model_validate({"database_url": database_url, **settings}))
        made.append(database)
        await database.open()
        return database

    yield make
    for database in made:
        assert database.checked_out() == 0
        await database.close()


@pytest.fixture(scope="session")
async def archive(servers: Servers) -> AsyncIterator[Archive]:
    async with new_database(servers.database_url) as url:
        await schema.upgrade(url)
        author_id = UserId(await fill(url))
        database = service_database(Settings.model_validate({"database_url": url}))
        await database.open()
        yield Archive(url, database, author_id)
        await database.close()


@pytest.fixture
async def outside(database_url: str) -> AsyncIterator[Any]:
    """A connection of somebody else's."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
async def database(make_database: MakeDatabase) -> Database:
    return await make_database()
