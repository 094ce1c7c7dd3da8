"""The pools: full, cut off, cancelled, and every connection given back all the same."""

import asyncio
import socket
from contextlib import AsyncExitStack, suppress
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it has no types of its own
import pytest

from domain.errors import Busy, Unavailable
from infrastructure.database.database import Database, import_database, service_database
from infrastructure.settings import BadSettings, Settings
from tests.builders import a_user
from tests.database.conftest import MakeDatabase
from tests.database.inside import driver_of, driver_of_reading
from tests.database.waiting import OURS, all_given_back, running, until

SLOW = "SELECT pg_sleep(30)"


async def read(database: Database, statement: str = "SELECT 1") -> object:
    async with database.reading() as reading:
        return await reading.fetchval(statement)


async def work(database: Database) -> None:
    async with database.begin() as work:
        await work.users.find_by_login("nobody")


async def end_connections(outside: Any) -> None:
    """All of `byline`'s to this database, as a restart of PostgreSQL would."""
    await outside.execute(f"SELECT pg_terminate_backend(pid, 5000) {OURS}")


async def test_connections_say_whose_they_are_and_what_they_may_take(make_database: MakeDatabase) -> None:
    database = await make_database(statement_timeout_s=3, lock_timeout_s=1.5, transaction_timeout_s=4)
    settings = {
        "application_name": "byline",
        "statement_timeout": "3s",
        "lock_timeout": "1500ms",
        "idle_in_transaction_session_timeout": "4s",
        "TimeZone": "UTC",
        "jit": "off",
    }
    if int(str(await read(database, "SHOW server_version_num"))) >= 170_000:
        settings["transaction_timeout"] = "4s"
    assert {name: await read(database, f"SHOW {name}") for name in settings} == settings


async def test_imports_have_a_pool_and_longer_timeouts_of_their_own(database_url: str) -> None:
    database = import_database(Settings.model_validate({"database_url": database_url}))
    await database.open()
    assert database.work_counters.connect == 0
    async with database.begin() as unit:
        await unit.users.find_by_login("nobody")
        assert database.checked_out() == 1
    await database.close()


def test_without_a_database_the_setting_is_named() -> None:
    for make in (service_database, import_database):
        with pytest.raises(BadSettings, match="BYLINE_DATABASE_URL"):
            make(Settings(database_url=None))


async def test_each_import_may_write_and_look_ahead_while_leases_are_renewed(database_url: str) -> None:
    few = {"database_url": database_url, "db_import_pool_size": 1, "imports_at_once": 3}
    database = import_database(Settings.model_validate(few))
    async with AsyncExitStack() as stack:
        units = [await stack.enter_async_context(database.begin()) for _ in range(7)]
        assert database.checked_out() == 7
        waiting = asyncio.create_task(stack.enter_async_context(database.begin()))
        for unit in units:
            await unit.users.find_by_login("nobody")
        assert not waiting.done()
        waiting.cancel()
        await asyncio.wait([waiting])
    await database.close()


async def test_what_happens_in_the_pools_is_counted(database: Database) -> None:
    await work(database)
    await read(database)
    assert (database.work_counters.connect, database.read_counters.connect) == (1, 1)
    assert (database.work_counters.checkout, database.read_counters.checkout) == (2, 2)
    assert (database.work_counters.checkin, database.read_counters.checkin) == (2, 2)
    assert database.checked_out() == 0


async def test_who_finds_every_connection_in_use_is_told_in_time(make_database: MakeDatabase) -> None:
    database = await make_database(db_read_pool_size=1, db_pool_size=1, db_pool_wait_s=0.1)
    async with database.reading(), database.begin():
        assert database.checked_out() == 2
        with pytest.raises(Busy):
            await read(database)
        with pytest.raises(Busy):
            await work(database)
    assert database.read_counters.timeout == 1
    await read(database)
    await work(database)


async def test_readers_wait_in_turn(make_database: MakeDatabase) -> None:
    database = await make_database(db_read_pool_size=1, db_pool_wait_s=10)
    order: list[int] = []

    async def take_turn(number: int) -> None:
        async with database.reading() as reading:
            await reading.fetchval("SELECT 1")
            order.append(number)

    async with database.reading():
        waiting = [asyncio.create_task(take_turn(number)) for number in range(5)]
        await asyncio.sleep(0)
    # Just now a connection is free, and nobody has it yet.
    await take_turn(5)
    await asyncio.gather(*waiting)
    assert order == [0, 1, 2, 3, 4, 5]


async def test_a_cancelled_reader_leaves_a_connection_that_works(make_database: MakeDatabase, outside: Any) -> None:
    database = await make_database(db_read_pool_size=1)
    slow = asyncio.create_task(read(database, SLOW))
    await running(outside, SLOW)
    slow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await slow
    assert await read(database) == 1
    await running(outside, SLOW, expected=0)


async def test_cancelled_units_of_work_leave_no_connection_behind(make_database: MakeDatabase) -> None:
    """Wherever in its life the cancellation meets it."""
    database = await make_database(db_pool_size=2, db_read_pool_size=2, db_pool_wait_s=5)

    async def busy(steps: int) -> None:
        async with database.begin() as unit:
            await unit.users.add(a_user(f"user-of-{steps}"))
            await unit.users.find_by_login("nobody")
            await unit.commit()
        await read(database)

    for steps in range(60):
        tasks = [asyncio.create_task(busy(steps)) for _ in range(3)]
        for _ in range(steps):
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await all_given_back(database)
    await work(database)
    await read(database)


@pytest.mark.parametrize("at_the_moment", [False, True])
async def test_a_waiter_that_is_cancelled_takes_no_connection(make_database: MakeDatabase, at_the_moment: bool) -> None:
    """Also at the very moment when it gets one."""
    database = await make_database(db_read_pool_size=1, db_pool_wait_s=10)
    async with database.reading():
        waiting = asyncio.create_task(read(database))
        await asyncio.sleep(0)
        if not at_the_moment:
            waiting.cancel()
            await asyncio.sleep(0)
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting
    assert database.checked_out() == 0
    assert await read(database) == 1


async def test_connections_that_postgresql_closed_are_made_anew(database: Database, outside: Any) -> None:
    async with database.begin() as unit, database.reading() as reading:
        drivers = [await driver_of(unit), driver_of_reading(reading)]

    async def are_known_to_be_closed() -> bool:
        return all(driver.is_closed() for driver in drivers)

    await end_connections(outside)
    await until(are_known_to_be_closed)
    assert await read(database) == 1
    await work(database)
    assert database.read_counters.connect == 2
    assert database.work_counters.connect == 2


async def test_a_statement_whose_connection_is_cut_is_unavailable(database: Database, outside: Any) -> None:
    slow = asyncio.create_task(read(database, SLOW))
    await running(outside, SLOW)
    await end_connections(outside)
    with pytest.raises(Unavailable):
        await slow
    assert await read(database) == 1


async def test_a_unit_of_work_whose_connection_is_cut_is_unavailable(database: Database, outside: Any) -> None:
    async with database.begin() as unit:
        await unit.users.find_by_login("nobody")
        await end_connections(outside)
        with pytest.raises(Unavailable):
            await unit.users.find_by_login("nobody")
    await work(database)


async def test_a_commit_whose_connection_is_cut_is_unavailable(database: Database, outside: Any) -> None:
    async with database.begin() as unit:
        await unit.users.add(a_user())
        await end_connections(outside)
        with pytest.raises(Unavailable):
            await unit.commit()
    await work(database)


async def test_an_error_in_a_reading_gives_the_connection_back(database: Database) -> None:
    with pytest.raises(asyncpg.UndefinedColumnError):
        await read(database, "SELECT nothing_of_that_name")
    with pytest.raises(LookupError):
        async with database.reading():
            raise LookupError
    assert database.checked_out() == 0
    assert database.read_counters.connect == 1


async def test_a_database_that_is_away_is_unavailable_and_the_service_starts_all_the_same() -> None:
    database = service_database(Settings.model_validate({"database_url": "postgresql://nobody@127.0.0.1:1/nothing"}))
    await database.open()
    with pytest.raises(Unavailable):
        await read(database)
    with pytest.raises(Unavailable):
        await work(database)
    assert database.checked_out() == 0
    await database.close()


async def test_a_database_that_answers_nothing_is_unavailable() -> None:
    """A connection that is taken and then left alone."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"postgresql://nobody@127.0.0.1:{server.getsockname()[1]}/nothing"
        database = service_database(Settings.model_validate({"database_url": url, "db_connect_timeout_s": 0.2}))
        with pytest.raises(Unavailable):
            await read(database)
        with pytest.raises(Unavailable):
            await work(database)
        await database.close()


async def test_a_slow_statement_takes_no_longer_than_it_may(make_database: MakeDatabase) -> None:
    database = await make_database(statement_timeout_s=0.1)
    with pytest.raises(Busy):
        await read(database, SLOW)
    assert await read(database) == 1


async def test_closing_waits_for_readers_and_cuts_off_who_takes_too_long(database_url: str, outside: Any) -> None:
    database = service_database(Settings.model_validate({"database_url": database_url}))
    await database.open()
    short = asyncio.create_task(read(database, "SELECT pg_sleep(0.2)"))
    await running(outside, "SELECT pg_sleep(0.2)")
    await database.close()
    await short

    await database.open()
    endless = asyncio.create_task(read(database, SLOW))
    await running(outside, SLOW)
    await database.close()
    with pytest.raises(Unavailable):
        await endless
