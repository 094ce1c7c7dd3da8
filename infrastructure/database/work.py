"""The unit of work on SQLAlchemy Core: one connection, one transaction."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from application.ports.work import Isolation
from infrastructure.database.accounts import SqlAccounts
from infrastructure.database.errors import in_domain_terms
from infrastructure.database.imports import SqlImports
from infrastructure.database.monitoring import Watch
from infrastructure.database.outbox import SqlOutbox
from infrastructure.database.posts import SqlPosts
from infrastructure.database.sessions import SqlSessions
from infrastructure.database.transaction import Transaction
from infrastructure.database.users import SqlUsers
from infrastructure.database.views import SqlViews
from infrastructure.database.warmings import SqlWarmings

log = structlog.get_logger(__name__)


class SqlWork:
    """Raises Busy when no connection is free in time, Unavailable when the database cannot be reached."""

    def __init__(self, engine: AsyncEngine, isolation: Isolation, statements: Watch) -> None:
        self._engine = engine
        self._statements = statements
        self._isolation = isolation
        self._steps: list[Callable[[], Awaitable[None]]] = []

    async def __aenter__(self) -> "SqlWork":
        with in_domain_terms():
            connection = await self._engine.connect()
        try:
            if self._isolation is not Isolation.READ_COMMITTED:
                await connection.execution_options(isolation_level=self._isolation.value)
        except BaseException:
            await connection.invalidate()
            await connection.close()
            raise
        transaction = self._transaction = Transaction(connection, self._statements)
        self.users = SqlUsers(transaction)
        self.posts = SqlPosts(transaction)
        self.accounts = SqlAccounts(transaction)
        self.sessions = SqlSessions(transaction)
        self.imports = SqlImports(transaction)
        self.views = SqlViews(transaction)
        self.warmings = SqlWarmings(transaction)
        self.outbox = SqlOutbox(transaction)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._transaction.end()
        for step in self._steps if self._transaction.is_committed else ():
            try:
                await step()
            except Exception:
                log.warning("after_commit_failed", exc_info=True)

    def rehearsal(self) -> AbstractAsyncContextManager[None]:
        return self._transaction.rehearsal()

    def after_commit(self, step: Callable[[], Awaitable[None]]) -> None:
        self._steps.append(step)

    async def commit(self) -> None:
        await self._transaction.commit()
