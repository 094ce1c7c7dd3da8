"""The database: units of work on one pool, readings on another."""

from contextlib import AbstractAsyncContextManager
from typing import Any

import structlog
from sqlalchemy import AsyncAdaptedQueuePool, event, text
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import create_async_engine

from application.caching.forgetting import Forgetting
from application.ports.work import Isolation, UnitOfWork
from domain.errors import BylineError
from infrastructure.database.connections import Connector, Timeouts, driver_url
from infrastructure.database.errors import in_domain_terms
from infrastructure.database.monitoring import PoolCounters, Statements, watch_engine
from infrastructure.database.pool import RECYCLE_S, Reading, ReadPool
from infrastructure.database.work import SqlWork
from infrastructure.settings import BadSettings, Settings

log = structlog.get_logger(__name__)

IMPORT_TIMEOUT_S = 60.0


class Database:
    """`work_counters` and `read_counters` tell what happened in each pool, `statements` what came through either.

    Connections that PostgreSQL closed, at a restart for one, are noticed before they are used, without asking it.
    """

    def __init__(
        self,
        connector: Connector,
        *,
        size: int,
        overflow: int,
        read_size: int,
        wait_s: float,
        slow_statement_s: float,
        forgetting: Forgetting | None = None,
    ) -> None:
        """`read_size` 0: none for readings. `forgetting` None: nothing is cached."""
        self._forgetting = forgetting
        self.statements = Statements(slow_s=slow_statement_s)
        self.work_counters = PoolCounters()
        self.read_counters = PoolCounters()
        self._engine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=connector,
            pool_size=size,
            max_overflow=overflow,
            pool_timeout=wait_s,
            pool_recycle=RECYCLE_S,
            pool_use_lifo=True,
            # Errors and logs hold no values: they may be anybody's data.
            hide_parameters=True,
        )
        event.listen(self._engine.sync_engine, "checkout", _refuse_closed)
        watch_engine(self._engine.sync_engine, self.statements, self.work_counters)
        pool = self._engine.pool
        assert isinstance(pool, AsyncAdaptedQueuePool)  # noqa: S101 -- an async engine's default, for the type checker
        self._pool = pool
        self._reads = ReadPool(
            connector, size=read_size, wait_s=wait_s, counters=self.read_counters, watch=self.statements
        )
        self._read_size = read_size

    async def open(self) -> None:
        """Make a first connection for each kind of use, so that no request waits for it.

        Where the database is away the log says so; every later use tries again.
        """
        if not self._read_size:
            return
        try:
            async with self.reading() as reading:
                await reading.fetchval("SELECT 1")
            with in_domain_terms():
                async with self._engine.connect() as connection:
                    await connection.execute(text("SELECT 1"))
        except BylineError as error:
            log.warning("database_away", reason=str(error), cause=repr(error.__cause__))

    async def close(self) -> None:
        await self._reads.close()
        await self._engine.dispose()

    def begin(self, *, isolation: Isolation = Isolation.READ_COMMITTED) -> AbstractAsyncContextManager[UnitOfWork]:
        return SqlWork(self._engine, isolation, self.statements, self._forgetting)

    def reading(self) -> Reading:
        """Statements outside any transaction, each on its own."""
        return self._reads.reading()

    def checked_out(self) -> int:
        """Connections in use, of both pools."""
        return self._pool.checkedout() + self._reads.checked_out()


def service_database(settings: Settings, forgetting: Forgetting | None = None) -> Database:
    """For requests. Raises BadSettings where no database is named."""
    timeouts = Timeouts(settings.statement_timeout_s, settings.lock_timeout_s, settings.transaction_timeout_s)
    return Database(
        _connector(settings, "byline", timeouts),
        size=settings.db_pool_size,
        overflow=settings.db_pool_overflow,
        read_size=settings.db_read_pool_size,
        wait_s=settings.db_pool_wait_s,
        slow_statement_s=settings.slow_statement_s,
        forgetting=forgetting,
    )


def import_database(settings: Settings, forgetting: Forgetting | None = None) -> Database:
    """For imports, whose transactions are longer, and whose lease is renewed beside them. Raises BadSettings."""
    timeouts = Timeouts(IMPORT_TIMEOUT_S, settings.lock_timeout_s, IMPORT_TIMEOUT_S)
    return Database(
        _connector(settings, "byline-import", timeouts, plans_anew=True),
        # Two for each import that runs, which looks ahead while it writes, and one for the renewal of their leases.
        size=max(settings.db_import_pool_size, 2 * settings.imports_at_once + 1),
        overflow=0,
        read_size=0,
        wait_s=IMPORT_TIMEOUT_S,
        slow_statement_s=settings.slow_statement_s,
        forgetting=forgetting,
    )


def _connector(settings: Settings, name: str, timeouts: Timeouts, *, plans_anew: bool = False) -> Connector:
    if settings.database_url is None:
        example = "postgresql://byline:password@localhost:5432/byline"
        raise BadSettings(
            [f"BYLINE_DATABASE_URL: must be set, for example to {example}; `byline up` starts one itself."]
        )
    url = driver_url(settings.database_url)
    return Connector(url, name, timeouts, settings.db_connect_timeout_s, plans_anew)


def _refuse_closed(dbapi_connection: Any, _record: Any, _proxy: Any) -> None:
    """The pool then makes every connection anew that is older than this moment."""
    if dbapi_connection.driver_connection.is_closed():
        raise InvalidatePoolError
