"""What operators may know of the cache, and have forgotten: for what was changed behind the service's back."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from application.caching.reading import Counts, ReadThrough
from application.caching.tags import (
    ALL,
    POSTS,
    TOTALS,
    by_author_tag,
    of_user_change,
    post_tag,
    slug_tag,
    tagged_tag,
)
from application.ports.cache import SharedCache
from application.ports.work import BeginWork, UnitOfWork
from domain.actors import Actor
from domain.errors import PostNotFound, UserNotFound
from domain.ids import PostId, UserId
from domain.posts import Post, Slug


@dataclass(frozen=True, slots=True)
class CacheFigures:
    """`shared` is of the cache that all processes share; `reads` are those of this process."""

    shared: Mapping[str, int | float | str]
    reads: Counts


@dataclass(frozen=True, slots=True)
class CacheStats:
    """Raises NotAllowed."""

    cache: SharedCache
    read: ReadThrough

    async def __call__(self, *, actor: Actor) -> CacheFigures:
        actor.require_operator()
        return CacheFigures(await self.cache.stats(), replace(self.read.counts))


@dataclass(frozen=True, slots=True)
class Forgettable:
    """Nothing named: all pages."""

    posts: tuple[PostId | Slug, ...] = ()
    users: tuple[UserId, ...] = ()


@dataclass(frozen=True, slots=True)
class ForgetPages:
    """Every page that shows one of these posts or users as the database has them now, by its own or on a list, is
    loaded anew when it is next asked for. Where one of them is not there any more, nobody knows where it was shown:
    then that is every page. Where a post was before its slug, tags or author were changed, nobody knows either, and it
    is not forgotten there, unless nothing is named. Raises NotAllowed."""

    begin: BeginWork

    async def __call__(self, named: Forgettable, *, actor: Actor) -> list[str]:
        """The tags that were forgotten, in order."""
        actor.require_operator()
        async with self.begin() as work:
            tags = await _of(named, work)
            work.forget(tags)
            await work.commit()
        return sorted(tags)


async def _of(named: Forgettable, work: UnitOfWork) -> frozenset[str]:
    posts = [await _of_post(ref, work) for ref in named.posts]
    users = [await _of_user(user_id, work) for user_id in named.users]
    tags = frozenset[str]().union(*posts, *users)
    return tags if tags and ALL not in tags else frozenset((ALL,))


async def _of_user(user_id: UserId, work: UnitOfWork) -> frozenset[str]:
    """Their own pages, and the lists of users; their posts' pages and lists of all kinds show their name."""
    try:
        await work.users.get(user_id)
    except UserNotFound:
        return frozenset((ALL,))
    if await work.posts.exist_by_author(user_id):
        return frozenset((ALL,))
    return of_user_change(user_id) | {by_author_tag(user_id)}


async def _of_post(ref: PostId | Slug, work: UnitOfWork) -> frozenset[str]:
    """Its own pages, and the lists that it may be on."""
    post = await _find(ref, work)
    if post is None:
        return frozenset((ALL,))
    tagged = map(tagged_tag, post.writing.tags)
    pages = (post_tag(post.id), slug_tag(post.slug.value))
    return frozenset((*pages, by_author_tag(post.author_id), *tagged, POSTS, TOTALS))


async def _find(ref: PostId | Slug, work: UnitOfWork) -> Post | None:
    if isinstance(ref, Slug):
        found = (await work.posts.stored_by_slug([ref.value])).get(ref.value)
        return None if found is None else await _find(found.id, work)
    try:
        return await work.posts.get(ref)
    except PostNotFound:
        return None
