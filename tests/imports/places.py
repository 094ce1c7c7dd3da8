"""What import jobs run on in tests, in memory; `tests.imports.postgres` has the other."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from argon2 import PasswordHasher as Argon2

from application.importing.rows import ImportLimits
from application.importing.runs import RunImport
from application.ports.formats import ReadLimits
from application.ports.imports import PackPosts
from application.ports.services import BlobStorage, Ids
from application.ports.work import BeginWork
from domain.actors import Role
from domain.ids import ImportId, UserId
from domain.import_options import ImportFormat, ImportKind, ImportOptions
from domain.imports import ImportJob, RowError
from domain.posts import Post
from domain.users import User
from infrastructure.clock import Uuid7Ids
from infrastructure.formats.html import clean_html
from infrastructure.formats.readers import FormatReaders
from infrastructure.memory.posts import pack_posts
from infrastructure.memory.storage import MemoryBlobs
from infrastructure.memory.store import MemoryStore
from infrastructure.security.passwords import Argon2Hasher
from infrastructure.slugs import slug_words
from tests.builders import FixedClock, a_user, an_account

LEASE = timedelta(seconds=10)
CHUNK_ROWS = 7


@dataclass(frozen=True, slots=True)
class StoredPost:
    """But for its id."""

    slug: str
    title: str
    content: str
    content_format: str
    excerpt: str | None
    tags: tuple[str, ...]
    type: str
    status: str
    published_at: datetime | None
    created_at: datetime
    views: int
    author: str
    source: str | None
    external_id: str | None
    updated_at: datetime
    version: int


@dataclass(frozen=True, slots=True)
class StoredUser:
    username: str
    email: str | None
    role: str
    display_name: str
    bio: str
    website: str | None
    has_password: bool
    accounts: int
    version: int


class Place(ABC):
    def __init__(self, blobs: BlobStorage) -> None:
        self.blobs = blobs
        self.clock = FixedClock()
        self.ids: Ids = Uuid7Ids()
        self.hasher = Argon2Hasher(threads=2, waiting=64, argon2=Argon2(time_cost=1, memory_cost=8, parallelism=1))

    @property
    @abstractmethod
    def begin(self) -> BeginWork: ...

    @property
    @abstractmethod
    def pack(self) -> PackPosts: ...

    @abstractmethod
    async def posts(self) -> list[StoredPost]:
        """By slug."""

    @abstractmethod
    async def users(self) -> list[StoredUser]:
        """By username."""

    @abstractmethod
    async def everything(self) -> dict[str, object]:
        """Each table as it is, by name, but for those of the jobs themselves."""

    async def add_user(self, username: str, *, role: Role = Role.AUTHOR) -> User:
        user = a_user(username, role=role)
        async with self.begin() as work:
            await work.users.add(user)
            await work.accounts.add(an_account(user))
            await work.commit()
        return user

    async def upload(
        self,
        content: bytes,
        *,
        form: ImportFormat = ImportFormat.NDJSON,
        by: UserId | None = None,
        kind: ImportKind = ImportKind.POSTS,
        **options: Any,
    ) -> ImportJob:
        """A queued job."""
        import_id = ImportId(self.ids.next())
        blob = await self.blobs.write(f"imports/{import_id}", whole(content), limit=len(content))
        job = ImportJob(
            id=import_id,
            options=ImportOptions(kind, **options),
            format=form,
            blob_key=blob.key,
            file_name=None,
            file_hash=blob.sha256,
            bytes_total=blob.size,
            created_by=by,
            created_at=self.clock.now(),
        )
        async with self.begin() as work:
            await work.imports.add(job)
            await work.commit()
        return job

    def run_import(
        self, *, begin: BeginWork | None = None, chunk_rows: int = CHUNK_ROWS, chunk_bytes: int = 2**30
    ) -> RunImport:
        limits = ImportLimits(chunk_rows, chunk_bytes, ReadLimits(max_row_bytes=100_000), LEASE)
        return RunImport(
            begin=begin or self.begin,
            blobs=self.blobs,
            formats=FormatReaders(),
            hasher=self.hasher,
            clean=clean_html,
            clock=self.clock,
            ids=self.ids,
            slugger=slug_words,
            pack=self.pack,
            limits=limits,
            currency="EUR",
        )

    async def imported(self, content: bytes, *, chunk_rows: int = CHUNK_ROWS, **options: Any) -> ImportJob:
        """Uploaded and run to its end."""
        job = await self.upload(content, **options)
        return await self.run_import(chunk_rows=chunk_rows)(job.id)

    async def change(self, import_id: ImportId, change: Callable[[ImportJob], ImportJob]) -> ImportJob:
        """By others than its worker."""
        async with self.begin() as work:
            job = await work.imports.change(change(await work.imports.lock(import_id)))
            await work.commit()
        return job

    async def add_post(self, post: Post) -> Post:
        async with self.begin() as work:
            await work.posts.add(post)
            await work.commit()
        return post

    async def user_id(self, login: str) -> UserId:
        async with self.begin() as work:
            return (await work.users.stored_by_login({login}))[login].id

    async def job(self, import_id: ImportId) -> ImportJob:
        async with self.begin() as work:
            return await work.imports.get(import_id)

    async def errors(self, import_id: ImportId) -> list[RowError]:
        async with self.begin() as work:
            numbered = await work.imports.errors(import_id, after=0, limit=10_000)
        assert [number for number, _ in numbered] == list(range(1, len(numbered) + 1))
        return [error for _, error in numbered]

    async def refusals(self, import_id: ImportId) -> list[tuple[int, str | None, str]]:
        """Line, field and code of the rows that failed."""
        return [(error.line, error.field, error.code) for error in await self.errors(import_id)]


class MemoryPlace(Place):
    def __init__(self) -> None:
        super().__init__(MemoryBlobs())
        self.store = MemoryStore()

    @property
    def begin(self) -> BeginWork:
        return self.store.begin

    @property
    def pack(self) -> PackPosts:
        return pack_posts

    async def posts(self) -> list[StoredPost]:
        tables = self.store.tables
        found = []
        for stored in tables.posts.rows.values():
            post = stored.post
            found.append(
                StoredPost(
                    slug=post.slug.value,
                    title=post.writing.title,
                    content=post.writing.content,
                    content_format=post.writing.content_format,
                    excerpt=post.writing.excerpt,
                    tags=post.writing.tags,
                    type=post.writing.type,
                    status=post.status,
                    published_at=post.published_at,
                    created_at=post.created_at,
                    views=tables.views.rows.get(post.id, 0),
                    author=tables.users.rows[post.author_id].user.username.value,
                    source=post.source,
                    external_id=post.external_id,
                    updated_at=post.updated_at,
                    version=post.version,
                )
            )
        return sorted(found, key=lambda post: post.slug)

    async def users(self) -> list[StoredUser]:
        found = [
            StoredUser(
                username=user.username.value,
                email=user.email.value if user.email else None,
                role=user.role,
                display_name=user.profile.display_name,
                bio=user.profile.bio,
                website=user.profile.website,
                has_password=user.password_hash is not None,
                accounts=sum(account.owner_id == user.id for account in self.store.tables.accounts.rows.values()),
                version=user.version,
            )
            for user in (stored.user for stored in self.store.tables.users.rows.values())
        ]
        return sorted(found, key=lambda user: user.username)

    async def everything(self) -> dict[str, object]:
        tables = self.store.tables
        return {
            each.name: dict(getattr(tables, each.name).rows) for each in fields(tables) if not is_of_jobs(each.name)
        }


def is_of_jobs(table: str) -> bool:
    return table.startswith("import")


async def whole(content: bytes) -> AsyncIterator[bytes]:
    yield content
