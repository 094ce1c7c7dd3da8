"""What is committed: plain dictionaries of immutable rows."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

from application.ports.work import Message
from domain.accounts import Account
from domain.ids import AccountId, ImportId, MessageId, PostId, SessionId, UserId, WarmingId
from domain.imports import ImportJob, RowError
from domain.posts import Post
from domain.sessions import RefreshToken, Session
from domain.users import User
from domain.warmings import Warming

Key = TypeVar("Key", bound=Hashable)
Row = TypeVar("Row")


class Table(Generic[Key, Row]):
    """Committed rows by key. `commits` counts the transactions that changed it."""

    def __init__(self) -> None:
        self.rows: dict[Key, Row] = {}
        self.commits = 0


@dataclass(frozen=True, slots=True)
class StoredUser:
    """`origin` is the import that made it."""

    user: User
    origin: ImportId | None = None


@dataclass(frozen=True, slots=True)
class StoredPost:
    post: Post
    origin: ImportId | None = None


@dataclass(frozen=True, slots=True)
class StoredMessage:
    message: Message
    due_at: datetime


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """The last batch of views of a process."""

    sequence: int
    counted_at: datetime


@dataclass(frozen=True, slots=True)
class Tables:
    """`usernames`, `emails`, `slugs`, `external_ids` and `account_owners` are unique indexes. A post without a row in
    `views` has none; `entries` counts an account's."""

    users: Table[UserId, StoredUser] = field(default_factory=Table)
    usernames: Table[str, UserId] = field(default_factory=Table)
    emails: Table[str, UserId] = field(default_factory=Table)
    posts: Table[PostId, StoredPost] = field(default_factory=Table)
    slugs: Table[str, PostId] = field(default_factory=Table)
    external_ids: Table[tuple[str, str], PostId] = field(default_factory=Table)
    views: Table[PostId, int] = field(default_factory=Table)
    view_batches: Table[UUID, StoredBatch] = field(default_factory=Table)
    accounts: Table[AccountId, Account] = field(default_factory=Table)
    account_owners: Table[UserId, AccountId] = field(default_factory=Table)
    entries: Table[AccountId, int] = field(default_factory=Table)
    sessions: Table[SessionId, Session] = field(default_factory=Table)
    tokens: Table[bytes, RefreshToken] = field(default_factory=Table)
    imports: Table[ImportId, ImportJob] = field(default_factory=Table)
    import_errors: Table[tuple[ImportId, int], RowError] = field(default_factory=Table)
    import_marks: Table[tuple[ImportId, bytes], bytes] = field(default_factory=Table)
    warmings: Table[WarmingId, Warming] = field(default_factory=Table)
    outbox: Table[MessageId, StoredMessage] = field(default_factory=Table)
