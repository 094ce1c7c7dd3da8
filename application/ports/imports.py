"""Where import jobs are kept, in the terms of `repositories`, and how an import hands on what it makes."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from domain.ids import ImportId, PostId, UserId
from domain.import_options import ImportKind
from domain.imports import ImportJob, ImportState, RowError
from domain.posts import ContentFormat, PostStatus, PostType


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
class ImportQuery:
    """Of those made before `before`; None: any."""

    limit: int
    before: ImportId | None = None
    state: ImportState | None = None
    kind: ImportKind | None = None
    parent_id: ImportId | None = None


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
