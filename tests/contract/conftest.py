"""`adapters`: every test that asks for them runs on the memory family, and again on the database family."""

from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg  # type: ignore[import-untyped]  # it has no types of its own
import pytest

from domain.accounts import Account
from domain.imports import ImportJob
from domain.users import User
from infrastructure.database import post_copy as database_posts
from infrastructure.database.actors import SqlActors
from infrastructure.database.database import Database, service_database
from infrastructure.database.pages import SqlPages
from infrastructure.memory import posts as memory_posts
from infrastructure.memory.actors import MemoryActors
from infrastructure.memory.pages import MemoryPages
from infrastructure.memory.store import MemoryStore
from infrastructure.settings import Settings
from tests.builders import a_job, a_user
from tests.contract.adapters import Adapters
from tests.stage import WorkerDatabase


@pytest.fixture(scope="session")
async def database(worker_database: WorkerDatabase) -> AsyncIterator[Database]:
    database = service_database(Settings.model_validate({"database_url": worker_database.url}))
    await database.open()
    yield database
    await database.close()


@pytest.fixture
def memory_adapters() -> Adapters:
    store = MemoryStore()

    async def make_entry(account: Account) -> None:
        store.tables.entries.rows[account.id] = 1

    return Adapters(
        store.begin, memory_posts.pack_posts, MemoryPages(store), MemoryActors(store), store.checked_out, make_entry
    )


@pytest.fixture
def database_adapters(database: Database, database_url: str) -> Adapters:
    async def make_entry(account: Account) -> None:
        connection = await asyncpg.connect(database_url)
        try:
            await connection.execute(
                "INSERT INTO entries (id, account_id, transfer_id, amount, created_at) VALUES ($1, $2, $3, $4, now())",
                uuid4(),
                account.id,
                uuid4(),
                100,
            )
        finally:
            await connection.close()

    return Adapters(
        database.begin,
        database_posts.pack_posts,
        SqlPages(database),
        SqlActors(database),
        database.checked_out,
        make_entry,
    )


@pytest.fixture(params=["memory", pytest.param("database", marks=pytest.mark.servers)])
def either(request: pytest.FixtureRequest) -> Adapters:
    chosen: Adapters = request.getfixturevalue(f"{request.param}_adapters")
    return chosen


@pytest.fixture
async def adapters(either: Adapters) -> AsyncIterator[Adapters]:
    assert either.checked_out() == 0
    yield either
    assert either.checked_out() == 0


@pytest.fixture
async def ann(adapters: Adapters) -> User:
    user = a_user("ann")
    await adapters.keep(user)
    return user


@pytest.fixture
async def job(adapters: Adapters) -> ImportJob:
    job = a_job()
    await adapters.keep(job)
    return job
