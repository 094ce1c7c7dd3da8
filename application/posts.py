"""Writing, changing, publishing and deleting posts."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from application.caching.tags import of_post_change
from application.ports.services import Clock, Ids, Slugger
from application.ports.work import BeginWork
from domain.actors import Actor
from domain.errors import PostNotFound, SlugTaken
from domain.ids import PostId, UserId
from domain.posts import ContentFormat, Post, PostStatus, PostType, Slug, Writing

_TRIES = 3


@dataclass(frozen=True, slots=True)
class NewPost:
    """`slug` None: made from the title. `author_id` None: the actor's own; only an operator may name somebody else."""

    writing: Writing
    slug: str | None = None
    status: PostStatus = PostStatus.DRAFT
    author_id: UserId | None = None


@dataclass(frozen=True, slots=True)
class CreatePost:
    """Raises InvalidValue, NotAllowed, UserNotFound, and SlugTaken where the slug was named."""

    begin: BeginWork
    clock: Clock
    ids: Ids
    slugger: Slugger

    async def __call__(self, request: NewPost, *, actor: Actor) -> Post:
        for tries_left in reversed(range(_TRIES)):
            try:
                return await self._create(request, actor=actor, slug_of_its_own=not tries_left)
            except SlugTaken:
                # Somebody took the slug between our look and our insert: another one is free.
                if request.slug is not None or not tries_left:
                    raise
        raise SlugTaken

    async def _create(self, request: NewPost, *, actor: Actor, slug_of_its_own: bool) -> Post:
        now = self.clock.now()
        post_id = PostId(self.ids.next())
        title_slug = Slug.made_from(self.slugger(request.writing.title), post_id)
        slug = title_slug if request.slug is None else Slug(request.slug)
        post = Post(
            post_id, request.author_id or actor.id, slug, request.writing, created_at=now, updated_at=now
        ).require_changeable(by=actor)
        if request.status is PostStatus.PUBLISHED:
            post = post.publish(by=actor, at=now)
        async with self.begin() as work:
            if request.slug is None:
                candidates = [candidate.value for candidate in slug.candidates(post_id)]
                taken = set(candidates) if slug_of_its_own else await work.posts.slugs_taken(candidates)
                post = replace(post, slug=slug.first_free(taken, post_id))
            await work.posts.add(post)
            work.forget(of_post_change(None, post))
            await work.commit()
        return post


@dataclass(frozen=True, slots=True)
class PostChanges:
    """None stands for as it is; for `excerpt`, whose None means none, see `clear_excerpt`."""

    title: str | None = None
    slug: str | None = None
    content: str | None = None
    content_format: ContentFormat | None = None
    excerpt: str | None = None
    clear_excerpt: bool = False
    tags: tuple[str, ...] | None = None
    type: PostType | None = None
    status: PostStatus | None = None

    def of(self, writing: Writing) -> Writing:
        """Raises InvalidValue."""
        return Writing(
            title=writing.title if self.title is None else self.title,
            content=writing.content if self.content is None else self.content,
            content_format=self.content_format or writing.content_format,
            excerpt=None if self.clear_excerpt else writing.excerpt if self.excerpt is None else self.excerpt,
            tags=writing.tags if self.tags is None else self.tags,
            type=self.type or writing.type,
        )


@dataclass(frozen=True, slots=True)
class ChangePost:
    """All changes or none; one that changes nothing leaves the version as it is.

    Raises PostNotFound (also for a draft that the actor may not see), NotAllowed, InvalidValue, SlugTaken, and
    VersionMismatch where `expected` is given and is not the stored version.
    """

    begin: BeginWork
    clock: Clock

    async def __call__(
        self, post_id: PostId, changes: PostChanges, *, actor: Actor, expected: int | None = None
    ) -> Post:
        now = self.clock.now()

        def changed(before: Post) -> Post:
            slug = None if changes.slug is None else Slug(changes.slug)
            post = before.rewritten(changes.of(before.writing), slug=slug, by=actor, at=now)
            if changes.status is PostStatus.PUBLISHED:
                post = post.publish(by=actor, at=now)
            elif changes.status is PostStatus.DRAFT:
                post = post.unpublish(by=actor, at=now)
            return before if post == replace(before, updated_at=now) else post

        return await _saved(self.begin, post_id, changed, actor=actor, expected=expected)


@dataclass(frozen=True, slots=True)
class PublishPost:
    """One that is published already stays as it is. Raises PostNotFound, NotAllowed, VersionMismatch."""

    begin: BeginWork
    clock: Clock

    async def __call__(self, post_id: PostId, *, actor: Actor, expected: int | None = None) -> Post:
        def changed(before: Post) -> Post:
            return before.publish(by=actor, at=self.clock.now())

        return await _saved(self.begin, post_id, changed, actor=actor, expected=expected)


@dataclass(frozen=True, slots=True)
class UnpublishPost:
    """A draft stays as it is. Raises PostNotFound, NotAllowed, VersionMismatch."""

    begin: BeginWork
    clock: Clock

    async def __call__(self, post_id: PostId, *, actor: Actor, expected: int | None = None) -> Post:
        def changed(before: Post) -> Post:
            return before.unpublish(by=actor, at=self.clock.now())

        return await _saved(self.begin, post_id, changed, actor=actor, expected=expected)


@dataclass(frozen=True, slots=True)
class DeletePost:
    """Raises PostNotFound, NotAllowed, VersionMismatch."""

    begin: BeginWork

    async def __call__(self, post_id: PostId, *, actor: Actor, expected: int | None = None) -> None:
        async with self.begin() as work:
            post = _shown(await work.posts.lock(post_id), actor).require_version(expected)
            post.require_changeable(by=actor)
            await work.posts.delete(post_id)
            work.forget(of_post_change(post, None))
            await work.commit()


async def _saved(
    begin: BeginWork, post_id: PostId, change: Callable[[Post], Post], *, actor: Actor, expected: int | None
) -> Post:
    """The post as `change` makes it, in one transaction; where that is the post itself, nothing is written."""
    async with begin() as work:
        before = _shown(await work.posts.lock(post_id), actor).require_version(expected)
        post = change(before)
        if post is before:
            return before
        saved = await work.posts.save(post)
        work.forget(of_post_change(before, saved))
        await work.commit()
    return saved


def _shown(post: Post, actor: Actor) -> Post:
    if not post.visible_to(actor):
        raise PostNotFound(post.id)
    return post
