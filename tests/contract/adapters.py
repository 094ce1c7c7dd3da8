"""What both families of adapters are tested through."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from application.pages import Pages
from application.ports.imports import ImportedPost, PackedPosts, PackPosts
from application.ports.services import Actors
from application.ports.work import BeginWork, Message, UnitOfWork
from domain.accounts import Account
from domain.ids import ImportId, PostId, UserId
from domain.imports import ImportJob
from domain.posts import Post
from domain.sessions import RefreshToken, Session
from domain.users import User
from infrastructure.database.post_copy import pack_posts
from tests.builders import NOON, a_job, imported
from tests.contract.looks import Seen

Kept = User | Account | Post | Seen | Session | RefreshToken | ImportJob | Message


@dataclass(frozen=True, slots=True)
class Adapters:
    """`make_entry` writes an entry of money into the account, past all ports."""

    begin: BeginWork
    pack: PackPosts
    pages: Pages
    actors: Actors
    checked_out: Callable[[], int]
    make_entry: Callable[[Account], Awaitable[None]]

    async def keep(self, *kept: Kept) -> None:
        """Add them all, in order, in one unit of work."""
        async with self.begin() as work:
            for one in kept:
                await add(work, one)
            await work.commit()

    async def user(self, user_id: UserId) -> User:
        async with self.begin() as work:
            return await work.users.get(user_id)

    async def post(self, post_id: PostId) -> Post:
        async with self.begin() as work:
            return await work.posts.get(post_id)

    async def job(self, import_id: ImportId) -> ImportJob:
        async with self.begin() as work:
            return await work.imports.get(import_id)

    async def save(self, changed: User | Post) -> None:
        async with self.begin() as work:
            if isinstance(changed, User):
                await work.users.save(changed)
            else:
                await work.posts.save(changed)
            await work.commit()


async def add(work: UnitOfWork, one: Kept) -> None:
    match one:
        case User():
            await work.users.add(one)
        case Account():
            await work.accounts.add(one)
        case Post():
            await work.posts.add(one)
        case Seen():
            await import_post(work, one)
        case Session():
            await work.sessions.add(one)
        case RefreshToken():
            await work.sessions.add_token(one)
        case ImportJob():
            await work.imports.add(one)
        case Message():
            await work.outbox.add(one)


async def import_post(work: UnitOfWork, seen: Seen) -> None:
    """With the views it has."""
    post = seen.post
    await work.posts.add_many(packed([imported(post, seen.views)], at=post.created_at))


def packed(posts: Sequence[ImportedPost], *, origin: ImportId | None = None, at: datetime = NOON) -> PackedPosts:
    """For either family: the one in memory takes posts as they are."""
    return pack_posts(posts, origin=origin or a_job().id, at=at)
