"""Waiting for what only PostgreSQL, a pool or the system knows, and none of them tells."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from infrastructure.database.database import Database

OURS = "FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'byline'"
"""The connections that this database has from the service."""


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await condition():  # noqa: ASYNC110 -- there is no event to wait for
            await asyncio.sleep(0.01)


async def all_given_back(database: Database) -> None:
    async def given_back() -> bool:
        return database.checked_out() == 0

    await until(given_back)


async def running(outside: Any, statement: str, *, expected: int = 1) -> None:
    """Once as many connections as expected run it."""

    async def as_expected() -> bool:
        count = f"SELECT count(*) {OURS} AND state = 'active' AND query = $1"
        return bool(await outside.fetchval(count, statement) == expected)

    await until(as_expected)


async def no_transaction_open(outside: Any) -> None:
    async def none() -> bool:
        count = f"SELECT count(*) {OURS} AND state ^@ 'idle in'"
        return bool(await outside.fetchval(count) == 0)

    await until(none)
