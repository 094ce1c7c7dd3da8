"""The unit of work: one transaction over all repositories."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol

from application.ports.repositories import (
    AccountRepository,
    ImportRepository,
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

    Delivered at least once: whoever handles a topic answers repeats alike. `attempts` counts the claims so far.
    """

    id: MessageId
    topic: str
    body: Mapping[str, object]
    created_at: datetime
    attempts: int = 0


class Outbox(Protocol):
    async def add(self, message: Message) -> None: ...

    async def claim(self, limit: int, *, at: datetime, until: datetime) -> list[Message]:
        """At most `limit` messages due by `at`, oldest first, hidden from other claims until `until`; those that
        another transaction is claiming are passed over. A claim raises `attempts` by one."""
        ...

    async def done(self, message_id: MessageId) -> None:
        """Forget it; nothing where it is gone already."""
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

    def after_commit(self, step: Callable[[], Awaitable[None]]) -> None:
        """Run `step` after the commit, with the connection given back. Best effort: a failure is logged, not raised."""
        ...

    async def commit(self) -> None: ...


class BeginWork(Protocol):
    """Raises Busy when no connection is free in time, Unavailable when the database cannot be reached."""

    def __call__(
        self, *, isolation: Isolation = Isolation.READ_COMMITTED
    ) -> AbstractAsyncContextManager[UnitOfWork]: ...
