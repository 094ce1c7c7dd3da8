"""Where entities are kept. `get` raises when there is none, `find` returns None; `lock` is a `get` that nobody else's
`lock` or `save` passes until the end of the transaction; `save` writes under the version that the entity was read with,
returns it with the next one, and raises StaleVersion where another save came between."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, Protocol, TypeVar
from uuid import UUID

from domain.accounts import Account
from domain.ids import ImportId, PostId, SessionId, UserId, WarmingId
from domain.imports import ImportJob, ImportKind, ImportState, RowError
from domain.posts import ContentFormat, Post, PostStatus, PostType
from domain.sessions import RefreshToken, Session
from domain.users import User
from domain.warmings import Warming

Id = TypeVar("Id", UserId, PostId)


@dataclass(slots=True)
class ImportedPost:
    """A new post as an import adds it, with the views it brings along: as `Post` and `Writing` say, whose rules it was
    held to. Made by the million, so it is flat and not frozen."""

    id: PostId
    author_id: UserId
    slug: str
    title: str
    content: str
    content_format: ContentFormat
    excerpt: str | None
    tags: tuple[str, ...]
    type: PostType
    status: PostStatus
    published_at: datetime | None
    source: str | None
    external_id: str | None
    views: int = 0


@dataclass(frozen=True, slots=True)
class PackedPosts:
    """New posts of an import, created `at`; `author_ids` has each of their authors once, and `encoded` is how their
    store takes them, if it takes them otherwise."""

    posts: Sequence[ImportedPost]
    origin: ImportId
    at: datetime
    author_ids: Sequence[UserId] = ()
    encoded: Sequence[bytes] = field(default=(), repr=False)


class PackPosts(Protocol):
    def __call__(self, posts: Sequence[ImportedPost], *, origin: ImportId, at: datetime) -> PackedPosts:
        """Made ready for the store's `add_many`, ahead of its transaction. Blocking."""
        ...


@dataclass(frozen=True, slots=True)
class Stored(Generic[Id]):
    """Whatever an import finds there. `origin` is the import that made it, if one did."""

    id: Id
    origin: ImportId | None


@dataclass(frozen=True, slots=True)
class ViewBatch:
    """Views that a process has counted, by post, each more than 0. `sequence` numbers the process's batches, from 1."""

    process: UUID
    sequence: int
    counts: Mapping[PostId, int]


@dataclass(frozen=True, slots=True)
class ImportQuery:
    """Of those made before `before`; None: any."""

    limit: int
    before: ImportId | None = None
    state: ImportState | None = None
    kind: ImportKind | None = None
    parent_id: ImportId | None = None


class UserRepository(Protocol):
    async def get(self, user_id: UserId) -> User:
        """Raises UserNotFound."""
        ...

    async def lock(self, user_id: UserId) -> User:
        """Raises UserNotFound."""
        ...

    async def find_by_login(self, login: str) -> User | None:
        """By username or email address, in any case."""
        ...

    async def lock_active_admins(self) -> list[UserId]:
        """Every active administrator, in id order."""
        ...

    async def add(self, user: User) -> None:
        """Raises UsernameTaken, EmailTaken."""
        ...

    async def save(self, user: User) -> User:
        """Raises UsernameTaken, EmailTaken, StaleVersion."""
        ...

    async def delete(self, user_id: UserId) -> None:
        """With the profile and the sessions. Raises UserHasPosts where posts name the user."""
        ...

    async def stored_by_login(self, logins: Collection[str]) -> dict[str, Stored[UserId]]:
        """Of those `logins` (usernames or email addresses, in lower case) that somebody has, whose they are."""
        ...

    async def lock_many(self, user_ids: Collection[UserId]) -> list[User]:
        """In id order, so that opposite imports cannot deadlock; without those that are gone."""
        ...

    async def save_profiles(self, users: Sequence[User]) -> None:
        """Set-wise, after `lock_many`: profiles and `updated_at`, each under the next version."""
        ...

    async def add_many(self, users: Sequence[User], accounts: Sequence[Account], *, origin: ImportId) -> None:
        """Set-wise, each user with its account; none of the usernames and addresses may be taken."""
        ...


class PostRepository(Protocol):
    async def get(self, post_id: PostId) -> Post:
        """Raises PostNotFound."""
        ...

    async def lock(self, post_id: PostId) -> Post:
        """Raises PostNotFound."""
        ...

    async def slugs_taken(self, slugs: Collection[str]) -> set[str]:
        """Those of `slugs` that a post has."""
        ...

    async def add(self, post: Post) -> None:
        """Raises SlugTaken, UserNotFound."""
        ...

    async def save(self, post: Post) -> Post:
        """Raises SlugTaken, StaleVersion."""
        ...

    async def delete(self, post_id: PostId) -> None:
        """Nothing where it is gone already."""
        ...

    async def delete_by_author(self, author_id: UserId) -> int:
        """How many there were."""
        ...

    async def exist_by_author(self, author_id: UserId, *, for_good: bool = False) -> bool:
        """Drafts too. `for_good`: until the end of the transaction nobody adds the author's first."""
        ...

    async def stored_by_slug(self, slugs: Collection[str]) -> dict[str, Stored[PostId]]:
        """Of those `slugs` that a post has, which one."""
        ...

    async def stored_by_external_id(self, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], Stored[PostId]]:
        """Of those (source, external_id) that a post has, which one. By their rules they hold no line breaks."""
        ...

    async def lock_many(self, post_ids: Collection[PostId]) -> list[Post]:
        """In id order, so that opposite imports cannot deadlock; without those that are gone."""
        ...

    async def save_many(self, posts: Sequence[Post]) -> None:
        """Set-wise, after `lock_many`: all but id, `created_at`, source and external id, each under the next version.

        Raises SlugTaken, UserNotFound."""
        ...

    async def add_many(self, packed: PackedPosts) -> None:
        """Set-wise, through COPY where there is one; packed for this store. Raises SlugTaken, ExternalIdTaken,
        UserNotFound."""
        ...


class AccountRepository(Protocol):
    async def add(self, account: Account) -> None: ...

    async def get_of(self, owner_id: UserId) -> Account:
        """Raises AccountNotFound."""
        ...

    async def has_history(self, owner_id: UserId) -> bool:
        """Whether any entry was ever made in the owner's accounts."""
        ...

    async def delete_of(self, owner_id: UserId) -> None:
        """Only accounts without history can be deleted."""
        ...


class SessionRepository(Protocol):
    async def add(self, session: Session) -> None: ...

    async def lock(self, session_id: SessionId) -> Session:
        """Raises InvalidToken where there is none."""
        ...

    async def revoke(self, session_id: SessionId, *, at: datetime) -> None: ...

    async def revoke_of(self, user_id: UserId, *, at: datetime) -> None:
        """Every session of the user."""
        ...

    async def add_token(self, token: RefreshToken) -> None: ...

    async def find_token(self, digest: bytes) -> RefreshToken | None: ...

    async def mark_used(self, token: RefreshToken) -> None: ...

    async def delete_expired(self, *, before: datetime, limit: int) -> int:
        """Sessions without a token that expires after `before`, at most `limit`, with their tokens; how many."""
        ...


class ImportRepository(Protocol):
    async def get(self, import_id: ImportId) -> ImportJob:
        """Raises ImportNotFound."""
        ...

    async def lock(self, import_id: ImportId) -> ImportJob:
        """Raises ImportNotFound."""
        ...

    async def newest(self, query: ImportQuery) -> list[ImportJob]:
        """Newest first."""
        ...

    async def find_by_key(self, created_by: UserId, idempotency_key: str) -> ImportJob | None: ...

    async def lock_key(self, created_by: UserId, idempotency_key: str) -> None:
        """Nobody else passes it for this key until the end of the transaction."""
        ...

    async def claimable(self, limit: int, *, at: datetime) -> list[ImportId]:
        """Those that are claimable at `at`, oldest first."""
        ...

    async def blobs_needed(self, keys: Collection[str], *, finished_after: datetime) -> set[str]:
        """Those of `keys` that a job names which has not finished, or has after `finished_after`."""
        ...

    async def add(self, job: ImportJob) -> None: ...

    async def lock_to_claim(self, import_id: ImportId, *, at: datetime) -> ImportJob:
        """As `lock`, past whoever still holds the job under a lease that has run out by `at`: their transactions are
        ended. Raises ImportNotFound."""
        ...

    async def save_claim(self, job: ImportJob) -> None:
        """State, fence and lease, after `lock`. Ends the transactions that still hold the job under an older fence."""
        ...

    async def change(self, job: ImportJob) -> ImportJob:
        """State, error, caution, times and what is forgiven, after `lock`, by others than its worker; with its next
        revision."""
        ...

    async def hold(self, job: ImportJob) -> ImportJob:
        """Lock the job under its fence, as the first statement of each of its transactions, and read it: it is running
        or cancelling, and may become the latter meanwhile. Raises LeaseLost."""
        ...

    async def renew(self, job: ImportJob, *, until: datetime) -> None:
        """Raises LeaseLost."""
        ...

    async def save(self, job: ImportJob) -> None:
        """Progress and times, after `hold`, under the next revision; and its state once its worker has let go of it:
        whether a claimed job runs on is for others to say. Raises LeaseLost."""
        ...

    async def save_caution(self, job: ImportJob) -> None:
        """That alone, after `hold`, under the next revision. Raises LeaseLost."""
        ...

    async def add_errors(self, import_id: ImportId, errors: Sequence[RowError]) -> None: ...

    async def errors(self, import_id: ImportId, *, after: int, limit: int) -> Sequence[tuple[int, RowError]]:
        """In file order, each with its number, from 1; those of a greater number than `after`."""
        ...

    async def error_places(self, import_id: ImportId, *, after: int, limit: int) -> list[int]:
        """Of the rows that failed, each once, rising; those above `after`."""
        ...

    async def delete_errors(self, *, finished_before: datetime, limit: int) -> int:
        """Of jobs that finished before then, unless an unfinished one tries their rows again; at most `limit` errors;
        how many."""
        ...

    async def add_marks(self, import_id: ImportId, marks: Collection[bytes]) -> None:
        """Remember them with the job, each once: what it has met or would have made."""
        ...

    async def marks_among(self, import_id: ImportId, marks: Collection[bytes]) -> set[bytes]:
        """Those of `marks` that the job has."""
        ...

    async def delete_marks(self, *, finished_before: datetime, limit: int) -> int:
        """Of jobs that have succeeded, and of others that finished before then, at most `limit`; how many."""
        ...


class WarmingRepository(Protocol):
    async def queue_up(self) -> None:
        """Nobody else passes it until the end of the transaction: what is read after it of the queue stays so."""
        ...

    async def get(self, warming_id: WarmingId) -> Warming:
        """Raises WarmingNotFound."""
        ...

    async def newest(self, limit: int, *, before: WarmingId | None = None) -> list[Warming]:
        """Newest first, of those made before `before`; None: any."""
        ...

    async def find_queued(self) -> Warming | None: ...

    async def add(self, warming: Warming) -> None: ...

    async def claim(self, *, at: datetime, until: datetime) -> Warming | None:
        """After `queue_up`: the oldest that is claimable at `at`, claimed until `until`; None where there is none, and
        while another one runs."""
        ...

    async def finish(self, warming: Warming) -> bool:
        """Whether the claim that it was made under still stood; else nothing is changed."""
        ...

    async def delete_old(self, *, requested_before: datetime, kept: int) -> int:
        """Finished ones that were requested before then, or that are not among the newest `kept`; how many."""
        ...


class ViewRepository(Protocol):
    async def add(self, batch: ViewBatch, *, at: datetime) -> None:
        """Each post's views are raised, up to VIEWS_MAX; posts that are gone are passed over. In id order, so that two
        processes cannot deadlock. Nothing where this batch or a later one of its process was added before."""
        ...

    async def forget_processes(self, *, before: datetime, limit: int) -> int:
        """Those whose last batch was added before then, at most `limit`; how many. A batch of theirs that came again
        after that would be added again."""
        ...
