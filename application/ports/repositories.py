"""Where entities are kept. `get` raises when there is none, `find` returns None; `lock` is a `get` that nobody else's
`lock` or `save` passes until the end of the transaction; `save` writes under the version that the entity was read with,
returns it with the next one, and raises StaleVersion where another save came between."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from domain.accounts import Account
from domain.ids import ImportId, PostId, SessionId, UserId
from domain.imports import ImportJob, RowError
from domain.posts import Post
from domain.sessions import RefreshToken, Session
from domain.users import User


@dataclass(frozen=True, slots=True)
class ImportedPost:
    """A post as an import adds it, with the views it brings along."""

    post: Post
    views: int = 0


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

    async def ids_by_login(self, logins: Collection[str]) -> dict[str, UserId]:
        """Of those `logins` (usernames or email addresses, in lower case) that somebody has, whose they are."""
        ...

    async def origins_by_login(self, logins: Collection[str]) -> dict[str, ImportId | None]:
        """Of those `logins` (in lower case) that somebody has, the import that made the user."""
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

    async def exist_by_author(self, author_id: UserId) -> bool: ...

    async def origins_by_slug(self, slugs: Collection[str]) -> dict[str, ImportId | None]:
        """Of those `slugs` that a post has, the import that made the post."""
        ...

    async def origins_by_external_id(self, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], ImportId | None]:
        """Of those (source, external_id) that a post has, the import that made the post."""
        ...

    async def add_many(self, posts: Sequence[ImportedPost], *, origin: ImportId) -> None:
        """Set-wise, through COPY where there is one; none of the slugs and external ids may be taken."""
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

    async def newest(self, limit: int, *, before: ImportId | None = None) -> list[ImportJob]:
        """Newest first, of those made before `before`."""
        ...

    async def claimable(self, limit: int, *, at: datetime) -> list[ImportId]:
        """Queued jobs and those whose lease has run out by `at`, oldest first."""
        ...

    async def blobs_needed(self, keys: Collection[str], *, finished_after: datetime) -> set[str]:
        """Those of `keys` that a job names which has not finished, or has after `finished_after`."""
        ...

    async def add(self, job: ImportJob) -> None: ...

    async def save_claim(self, job: ImportJob) -> None:
        """State, fence and lease, after `lock`. Ends the transactions that still hold the job under an older fence."""
        ...

    async def hold(self, job: ImportJob) -> None:
        """Lock the job under its fence, as the first statement of each of its transactions. Raises LeaseLost."""
        ...

    async def renew(self, job: ImportJob, *, until: datetime) -> None:
        """Raises LeaseLost."""
        ...

    async def save(self, job: ImportJob) -> None:
        """Progress, state and times, after `hold`."""
        ...

    async def add_errors(self, import_id: ImportId, errors: Sequence[RowError]) -> None: ...

    async def errors(self, import_id: ImportId, *, after: int, limit: int) -> Sequence[tuple[int, RowError]]:
        """In file order, each with its number, from 1; those of a greater number than `after`."""
        ...
