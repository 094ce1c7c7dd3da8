"""The memory store: the tables, and units of work over them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog

from application.ports.work import Isolation, UnitOfWork
from infrastructure.memory.accounts import MemoryAccounts
from infrastructure.memory.imports import MemoryImports
from infrastructure.memory.locks import RowLocks
from infrastructure.memory.outbox import MemoryOutbox
from infrastructure.memory.posts import MemoryPosts
from infrastructure.memory.sessions import MemorySessions
from infrastructure.memory.tables import Tables
from infrastructure.memory.transaction import Transaction
from infrastructure.memory.users import MemoryUsers
from infrastructure.memory.views import MemoryViews
from infrastructure.memory.warmings import MemoryWarmings

log = structlog.get_logger(__name__)


class MemoryStore:
    """Of one event loop. A lock is waited for `lock_timeout_s` at most."""

    def __init__(self, *, lock_timeout_s: float = 2.0) -> None:
        self.tables = Tables()
        self._locks = RowLocks(timeout_s=lock_timeout_s)
        self._open = 0

    def checked_out(self) -> int:
        """How many units of work are open."""
        return self._open

    @asynccontextmanager
    async def begin(self, *, isolation: Isolation = Isolation.READ_COMMITTED) -> AsyncIterator[UnitOfWork]:
        transaction = Transaction(self.tables, self._locks, isolation)
        work = MemoryWork(transaction)
        self._open += 1
        try:
            yield work
        finally:
            transaction.end()
            self._open -= 1
            await work.run_steps()


class MemoryWork:
    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._steps: list[Callable[[], Awaitable[None]]] = []
        self._committed = False
        self.users = MemoryUsers(transaction)
        self.posts = MemoryPosts(transaction)
        self.accounts = MemoryAccounts(transaction)
        self.sessions = MemorySessions(transaction)
        self.imports = MemoryImports(transaction)
        self.views = MemoryViews(transaction)
        self.warmings = MemoryWarmings(transaction)
        self.outbox = MemoryOutbox(transaction)

    @asynccontextmanager
    async def rehearsal(self) -> AsyncIterator[None]:
        await self._transaction.statement()
        with self._transaction.rehearsal():
            yield

    def after_commit(self, step: Callable[[], Awaitable[None]]) -> None:
        self._steps.append(step)

    async def commit(self) -> None:
        await self._transaction.commit()
        self._committed = True

    async def run_steps(self) -> None:
        """Those of `after_commit`, where there was a commit."""
        for step in self._steps if self._committed else ():
            try:
                await step()
            except Exception:
                log.warning("after_commit_failed", exc_info=True)
