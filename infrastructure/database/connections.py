"""How a connection to PostgreSQL is made, whichever pool it is for."""

from collections.abc import AsyncIterable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import asyncpg  # type: ignore[import-untyped]  # it has no types of its own

TRANSACTION_TIMEOUT_SINCE = 17

Record = Any
"""A row of asyncpg: a tuple that is a mapping too."""


class PreparedStatement(Protocol):
    async def fetch(self, *args: object) -> list[Record]: ...


class DriverConnection(Protocol):
    """What is used here of `asyncpg.Connection`."""

    async def execute(self, query: str, *args: object) -> str: ...
    async def fetch(self, query: str, *args: object) -> list[Record]: ...
    async def fetchrow(self, query: str, *args: object) -> Record | None: ...
    async def fetchval(self, query: str, *args: object) -> Any: ...
    async def prepare(self, query: str) -> PreparedStatement: ...
    async def copy_records_to_table(
        self, table_name: str, *, records: Iterable[Sequence[object]], columns: Sequence[str]
    ) -> str: ...
    async def copy_to_table(
        self,
        table_name: str,
        *,
        source: AsyncIterable[bytes],
        columns: Sequence[str],
        format: Literal["binary"],  # noqa: A002 -- asyncpg's own
    ) -> str: ...
    def is_in_transaction(self) -> bool: ...
    def is_closed(self) -> bool: ...
    async def close(self, *, timeout: float) -> None: ...  # noqa: ASYNC109 -- asyncpg's own
    def terminate(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Timeouts:
    """What PostgreSQL itself ends: the longest statement, wait for a lock, and transaction, in seconds."""

    statement_s: float
    lock_s: float
    transaction_s: float

    def settings(self) -> dict[str, str]:
        return {
            "statement_timeout": _milliseconds(self.statement_s),
            "lock_timeout": _milliseconds(self.lock_s),
            "idle_in_transaction_session_timeout": _milliseconds(self.transaction_s),
        }


@dataclass(frozen=True, slots=True)
class Connector:
    """Makes connections that are alike, to PostgreSQL 15 or later; `name` is what its activity view shows.

    Where tables grow so fast that a plan which was kept would soon be a bad one, `plans_anew`.
    """

    url: str = field(repr=False)
    name: str
    timeouts: Timeouts
    connect_timeout_s: float
    plans_anew: bool = False

    async def __call__(self) -> DriverConnection:
        settings = self.timeouts.settings() | {
            "application_name": self.name,
            "timezone": "UTC",
            "default_transaction_isolation": "read committed",
            # Statements here take milliseconds: to compile them or to start workers for them takes more than it saves.
            "jit": "off",
            "max_parallel_workers_per_gather": "0",
            "plan_cache_mode": "force_custom_plan" if self.plans_anew else "auto",
        }
        connection = await asyncpg.connect(self.url, timeout=self.connect_timeout_s, server_settings=settings)
        try:
            if connection.get_server_version().major >= TRANSACTION_TIMEOUT_SINCE:
                await connection.execute(f"SET transaction_timeout = {_milliseconds(self.timeouts.transaction_s)}")
        except BaseException:
            connection.terminate()
            raise
        made: DriverConnection = connection
        return made


def driver_url(url: object) -> str:
    """As asyncpg reads it: SQLAlchemy's name of the driver is no part of it."""
    return str(url).replace("postgresql+asyncpg://", "postgresql://", 1)


def _milliseconds(seconds: float) -> str:
    """0 stands for no limit."""
    return str(round(seconds * 1000))
