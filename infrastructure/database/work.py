"""The unit of work on SQLAlchemy Core: one connection, one transaction."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from types import TracebackType

from sqlalchemy.ext.asyncio import AsyncEngine

from application.caching.forgetting import Forgetting
from application.ports.work import Isolation
from infrastructure.after_commit import AfterCommit
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


class SqlWork:
    """Raises Busy when no connection is free in time, Unavailable when the database cannot be reached."""

    def __init__(
        self, engine: AsyncEngine, isolation: Isolation, statements: Watch, forgetting: Forgetting | None = None
    ) -> None:
        self._engine = engine
        self._statements = statements
        self._isolation = isolation
        self._after = AfterCommit(forgetting)

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
        try:
            await self._transaction.end()
        finally:
            # Also when cancelled meanwhile: what is committed must be forgotten.
            if self._transaction.is_committed:
                await self._after()

    @asynccontextmanager
    async def rehearsal(self) -> AsyncIterator[None]:
        with self._after.rehearsal():
            async with self._transaction.rehearsal():
                yield

    def forget(self, tags: Iterable[str]) -> None:
        self._after.forget(tags)

    def after_commit(self, step: Callable[[], Awaitable[None]]) -> None:
        self._after.add(step)

    async def commit(self) -> None:
        await self._after.promise(self.outbox)
        await self._transaction.commit()
