"""Where entities are kept. `get` raises when there is none, `find` returns None; `lock` is a `get` that nobody else's
`lock` or `save` passes until the end of the transaction; `save` writes under the version that the entity was read with,
returns it with the next one, and raises StaleVersion where another save came between."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar
from uuid import UUID

from application.ports.imports import PackedPosts
from domain.accounts import Account
from domain.ids import ImportId, PostId, SessionId, UserId, WarmingId
from domain.posts import Post
from domain.sessions import RefreshToken, Session
from domain.users import User
from domain.warmings import Warming

Id = TypeVar("Id", UserId, PostId)


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
