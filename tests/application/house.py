"""The use cases on memory adapters, with a clock that stands still and ids that count."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Literal

from argon2 import PasswordHasher as Argon2

from application.auth import Authenticate, IssueTokens, Refresh, SignIn, SignOut, SweepSessions, TokenPair
from application.imports import (
    CancelImport,
    DispatchImports,
    ExportImportErrors,
    ListImportErrors,
    ListImports,
    ResumeImport,
    RetryImport,
    ShowImport,
    StartImport,
    WatchImport,
)
from application.ports.formats import ReadLimits
from application.posts import ChangePost, CreatePost, DeletePost, NewPost, PublishPost, UnpublishPost
from application.uploads import ReceiveUpload, SweepUploads
from application.users import ChangeUser, DeleteUser, RegisterUser, Registration
from domain.accounts import Account
from domain.actors import Role
from domain.errors import AccountNotFound
from domain.ids import UserId
from domain.posts import Post
from domain.users import User
from infrastructure.formats.readers import FormatReaders
from infrastructure.memory.actors import MemoryActors
from infrastructure.memory.queue import MemoryQueue
from infrastructure.memory.storage import MemoryBlobs
from infrastructure.memory.store import MemoryStore
from infrastructure.security.passwords import Argon2Hasher
from infrastructure.security.tokens import JwtTokens
from infrastructure.slugs import slug_words
from tests.builders import CountingIds, FixedClock, a_writing

PASSWORD = "correct horse battery staple"
ACCESS_TTL = timedelta(minutes=15)
REFRESH_TTL = timedelta(days=30)
GRACE = timedelta(seconds=10)
MAX_UPLOAD_BYTES = 1_000
UPLOAD_KEPT = timedelta(days=30)


class CountingArgon2(Argon2):
    """As cheap as it gets; counts what it was asked to verify."""

    def __init__(self, *, time_cost: int = 1) -> None:
        super().__init__(time_cost=time_cost, memory_cost=8, parallelism=1)
        self.verified = 0

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002 -- argon2's own name
        self.verified += 1
        return super().verify(hash, password)


@dataclass
class House:
    """Each use case under the name that it has in `application.use_cases`."""

    store: MemoryStore = field(default_factory=MemoryStore)
    clock: FixedClock = field(default_factory=FixedClock)
    ids: CountingIds = field(default_factory=CountingIds)
    queue: MemoryQueue = field(default_factory=MemoryQueue)
    tokens: JwtTokens = field(default_factory=lambda: JwtTokens("a secret key for tests, long enough"))
    argon2: CountingArgon2 = field(default_factory=CountingArgon2)
    is_open: bool = True

    def __post_init__(self) -> None:
        begin, clock, ids = self.store.begin, self.clock, self.ids
        self.blobs = MemoryBlobs(clock=clock)
        self.actors = MemoryActors(self.store)
        self.hasher = Argon2Hasher(threads=1, waiting=64, argon2=self.argon2)
        issue = IssueTokens(self.tokens, clock, ACCESS_TTL, REFRESH_TTL)
        self.sign_in = SignIn(begin, self.hasher, issue, clock, ids)
        self.refresh = Refresh(begin, issue, self.tokens, clock, GRACE)
        self.sign_out = SignOut(begin, self.tokens, clock)
        self.authenticate = Authenticate(self.tokens, self.actors, clock)
        self.sweep_sessions = SweepSessions(begin, clock, batch=2)
        self.register_user = RegisterUser(begin, self.hasher, clock, ids, "EUR", self.is_open)
        self.change_user = ChangeUser(begin, self.hasher, clock)
        self.delete_user = DeleteUser(begin, clock)
        self.create_post = CreatePost(begin, clock, ids, slug_words)
        self.change_post = ChangePost(begin, clock)
        self.publish_post = PublishPost(begin, clock)
        self.unpublish_post = UnpublishPost(begin, clock)
        self.delete_post = DeletePost(begin)
        self.receive_upload = ReceiveUpload(self.blobs, ids, MAX_UPLOAD_BYTES)
        formats = FormatReaders()
        self.start_import = StartImport(
            begin, self.blobs, formats, self.queue, clock, ids, ReadLimits(max_row_bytes=1_000)
        )
        self.show_import = ShowImport(begin)
        self.watch_import = WatchImport(begin, every_s=0)
        self.cancel_import = CancelImport(begin, clock)
        self.resume_import = ResumeImport(begin, self.queue, clock, ids)
        self.retry_import = RetryImport(begin, self.blobs, self.queue, clock, ids)
        self.export_import_errors = ExportImportErrors(begin, formats, batch=2)
        self.list_imports = ListImports(begin)
        self.list_import_errors = ListImportErrors(begin)
        self.sweep_uploads = SweepUploads(begin, self.blobs, clock, UPLOAD_KEPT, batch=2)
        self.dispatch_imports = DispatchImports(begin, self.queue, clock)

    async def a_member(self, username: str, *, role: Role = Role.AUTHOR) -> User:
        """Registered with PASSWORD."""
        request = Registration(username, f"{username.lower()}@example.com", PASSWORD, role=role)
        return await self.register_user.register(request)

    async def a_signed_in(self, username: str) -> TokenPair:
        return await self.sign_in(username, PASSWORD)

    async def a_post_of(self, author: User, title: str = "A title", *, slug: str | None = None) -> Post:
        """A draft."""
        return await self.create_post(NewPost(a_writing(title), slug), actor=author.actor)

    async def stored_user(self, user_id: UserId) -> User:
        async with self.store.begin() as work:
            return await work.users.get(user_id)

    async def stored_post(self, post: Post) -> Post:
        async with self.store.begin() as work:
            return await work.posts.get(post.id)

    async def account_of(self, user: User) -> Account | None:
        async with self.store.begin() as work:
            try:
                return await work.accounts.get_of(user.id)
            except AccountNotFound:
                return None

    async def saved(self, user: User, **changes: object) -> User:
        """The stored user with `changes`, whatever the rules say."""
        async with self.store.begin() as work:
            user = await work.users.save(replace(await work.users.lock(user.id), **changes))  # type: ignore[arg-type]
            await work.commit()
        return user

    async def close(self) -> None:
        assert self.store.checked_out() == 0
        await self.hasher.close()
