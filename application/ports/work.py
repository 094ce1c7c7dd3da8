"""The unit of work: one transaction over all repositories."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol

from application.ports.imports import ImportRepository
from application.ports.repositories import (
    AccountRepository,
    PostRepository,
    SessionRepository,
    UserRepository,
    ViewRepository,
    WarmingRepository,
)
from domain.ids import MessageId


class Isolation(Enum):
    READ_COMMITTED = "READ COMMITTED"
    REPEATABLE_READ = "REPEATABLE READ"
    SERIALIZABLE = "SERIALIZABLE"


@dataclass(frozen=True, slots=True)
class Message:
    """Something that must happen after the commit. `topic` names what, `body` holds JSON values.

    Due from `created_at` on, which may lie ahead. Delivered at least once: whoever handles a topic answers repeats
    alike. `attempts` counts the claims so far.
    """

    id: MessageId
    topic: str
    body: Mapping[str, object]
    created_at: datetime
    attempts: int = 0


class Outbox(Protocol):
    async def add(self, message: Message) -> None: ...

    async def claim(
        self, limit: int, *, at: datetime, until: datetime, only: str | None = None, but: str | None = None
    ) -> list[Message]:
        """At most `limit` messages due by `at`, of the topic `only` or of all `but` one, oldest first, hidden from
        other claims until `until`; those that another transaction is claiming are passed over. A claim raises
        `attempts` by one."""
        ...

    async def done_many(self, message_ids: Collection[MessageId]) -> None:
        """Delete them, but for those that are gone already, and those that another transaction is claiming or
        deleting: nobody is waited for."""
        ...


class UnitOfWork(Protocol):
    """One transaction on one connection. Rolled back unless `commit()` was awaited.

    A transaction that met with a serialization failure, a deadlock or a timeout raises Busy.
    """

    @property
    def users(self) -> UserRepository: ...
    @property
    def posts(self) -> PostRepository: ...
    @property
    def accounts(self) -> AccountRepository: ...
    @property
    def sessions(self) -> SessionRepository: ...
    @property
    def imports(self) -> ImportRepository: ...
    @property
    def views(self) -> ViewRepository: ...
    @property
    def warmings(self) -> WarmingRepository: ...
    @property
    def outbox(self) -> Outbox: ...

    def rehearsal(self) -> AbstractAsyncContextManager[None]:
        """What is written within is undone at its end, and the transaction goes on."""
        ...

    def forget(self, tags: Iterable[str]) -> None:
        """What was cached under these is shown no more to anybody who reads after the unit has ended, once it is
        committed. Forgotten after the commit and before the steps of `after_commit`, and also when the caller is
        cancelled meanwhile; what cannot be then is so by an outbox message of the same transaction. Not of a rehearsal.
        """
        ...

    def after_commit(self, step: Callable[[], Awaitable[None]]) -> None:
        """Run `step` after the commit, with the connection given back. Best effort: a failure is logged, not raised."""
        ...

    async def commit(self) -> None: ...


class BeginWork(Protocol):
    """Raises Busy when no connection is free in time, Unavailable when the database cannot be reached."""

    def __call__(
        self, *, isolation: Isolation = Isolation.READ_COMMITTED
    ) -> AbstractAsyncContextManager[UnitOfWork]: ...
