"""Units of work: what only PostgreSQL can get wrong."""

import asyncio
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it has no types of its own
import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from application.ports.work import Isolation
from domain.errors import Busy, PostNotFound, Unavailable
from infrastructure.database.database import Database
from tests.builders import a_job, a_post, a_profile, a_user, an_account, imported
from tests.contract.adapters import packed
from tests.database.conftest import MakeDatabase
from tests.database.inside import transaction_of
from tests.database.waiting import no_transaction_open


async def test_a_copy_that_comes_first_is_part_of_the_transaction(database: Database) -> None:
    """SQLAlchemy begins a transaction with its own first statement, and knows nothing of a COPY."""
    user, post = a_user(), a_post()
    async with database.begin() as work:
        await work.users.add_many([user], [an_account(user)], origin=a_job().id)
    async with database.begin() as work:
        assert await work.users.stored_by_login([user.username.folded]) == {}
        await work.users.add(user)
        await work.commit()
    async with database.begin() as work:
        await work.posts.add_many(packed([imported(a_post(author=user.id), 3)]))
    async with database.begin() as work:
        assert not await work.posts.exist_by_author(user.id)
        with pytest.raises(PostNotFound):
            await work.posts.get(post.id)


@pytest.mark.parametrize("is_rehearsed", [False, True])
async def test_a_copy_that_is_cancelled_leaves_a_connection_that_works(
    make_database: MakeDatabase, is_rehearsed: bool
) -> None:
    database = await make_database(db_pool_size=1)
    user = a_user()
    posts = [imported(a_post(author=user.id), 1) for _ in range(2_000)]

    async def copy() -> None:
        async with database.begin() as work:
            await work.users.add(user)
            async with work.rehearsal() if is_rehearsed else nullcontext():
                await work.posts.add_many(packed(posts))
            await work.commit()

    for steps in range(0, 60, 3):
        task = asyncio.create_task(copy())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert database.checked_out() == 0
    await copy()
    async with database.begin() as work:
        assert await work.posts.delete_by_author(user.id) == (0 if is_rehearsed else len(posts))


async def test_a_statement_of_the_driver_that_comes_first_is_part_of_the_transaction(database: Database) -> None:
    user = a_user()
    async with database.begin() as work:
        await work.users.add(user)
        await work.commit()
    async with database.begin() as work:
        await work.users.save_profiles([replace(user, profile=a_profile(bio="Not committed."))])
    async with database.begin() as work:
        assert await work.users.get(user.id) == user


async def test_a_unit_takes_no_longer_than_a_transaction_may(make_database: MakeDatabase, outside: Any) -> None:
    database = await make_database(transaction_timeout_s=0.2)
    async with database.begin() as work:
        await work.users.add(a_user())
        await no_transaction_open(outside)
        with pytest.raises((Busy, Unavailable)):
            await work.commit()
    assert database.checked_out() == 0


async def test_a_level_of_isolation_is_of_its_unit_alone(database: Database) -> None:
    for isolation in (*Isolation, Isolation.READ_COMMITTED):
        async with database.begin(isolation=isolation) as work:
            shown = await transaction_of(work).execute(text("SHOW transaction_isolation"))
            assert shown.scalar_one() == isolation.value.lower()


async def test_slow_statements_are_logged_without_their_values(make_database: MakeDatabase) -> None:
    database = await make_database(slow_statement_s=0.000001)
    with capture_logs() as logs:
        async with database.begin() as work:
            await work.users.find_by_login("somebody-secret")
        async with database.reading() as reading:
            await reading.fetchval("SELECT $1::text", "somebody-secret")
    slow = [entry for entry in logs if entry["event"] == "slow_statement"]
    assert len(slow) == 2
    assert "FROM users" in slow[0]["statement"]
    assert slow[1]["statement"] == "SELECT $1::text"
    assert all(entry["seconds"] >= 0 for entry in slow)
    assert "secret" not in str(logs)


async def test_statements_that_fail_are_seen_too(make_database: MakeDatabase) -> None:
    database = await make_database(statement_timeout_s=0.1)
    with database.statements.seen() as seen, pytest.raises(Busy):
        async with database.reading() as reading:
            await reading.fetchval("SELECT pg_sleep(5)")
    assert seen == ["SELECT pg_sleep(5)"]


async def test_entries_of_the_ledger_are_never_changed_or_deleted(database: Database, outside: Any) -> None:
    user = a_user()
    account = an_account(user)
    async with database.begin() as work:
        await work.users.add(user)
        await work.accounts.add(account)
        await work.commit()
    made = "INSERT INTO entries VALUES (gen_random_uuid(), $1, gen_random_uuid(), 100, now())"
    await outside.execute(made, account.id)
    for change in ("UPDATE entries SET amount = 200", "DELETE FROM entries"):
        with pytest.raises(asyncpg.RestrictViolationError, match="never changed"):
            await outside.execute(change)
    assert await outside.fetchval("SELECT sum(amount) FROM entries") == 100
    with pytest.raises(Busy):
        async with database.begin() as work:
            await work.accounts.delete_of(user.id)
