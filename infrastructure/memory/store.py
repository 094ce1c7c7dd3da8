"""The memory store: the tables, and units of work over them."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

from application.caching.forgetting import Forgetting
from application.ports.work import Isolation, UnitOfWork
from infrastructure.after_commit import AfterCommit
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


class MemoryStore:
    """Of one event loop. A lock is waited for `lock_timeout_s` at most. `forgetting` None: nothing is cached."""

    def __init__(self, forgetting: Forgetting | None = None, *, lock_timeout_s: float = 2.0) -> None:
        self._forgetting = forgetting
        self.tables = Tables()
        self._locks = RowLocks(timeout_s=lock_timeout_s)
        self._open = 0

    def checked_out(self) -> int:
        """How many units of work are open."""
        return self._open

    @asynccontextmanager
    async def begin(self, *, isolation: Isolation = Isolation.READ_COMMITTED) -> AsyncIterator[UnitOfWork]:
        transaction = Transaction(self.tables, self._locks, isolation)
        work = MemoryWork(transaction, AfterCommit(self._forgetting))
        self._open += 1
        try:
            yield work
        finally:
            transaction.end()
            self._open -= 1
            await work.finish()


class MemoryWork:
    def __init__(self, transaction: Transaction, after: AfterCommit) -> None:
        self._transaction = transaction
        self._after = after
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
        with self._after.rehearsal(), self._transaction.rehearsal():
            yield

    def forget(self, tags: Iterable[str]) -> None:
        self._after.forget(tags)

    def after_commit(self, step: Callable[[], Awaitable[None]]) -> None:
        self._after.add(step)

    async def commit(self) -> None:
        await self._after.promise(self.outbox)
        await self._transaction.commit()
        self._committed = True

    async def finish(self) -> None:
        """Whatever is to be done after the commit, where there was one."""
        if self._committed:
            await self._after()
