"""Read pages in memory: what is committed, shown by the domain's own rules."""

from collections.abc import Callable, Iterable
from dataclasses import fields
from datetime import datetime
from typing import TypeVar
from uuid import UUID

import msgspec

from application.pages import (
    NEWEST_POSTS_IN_A_LIST,
    NEWEST_POSTS_OF_A_USER,
    POST_FIELDS,
    AuthorShape,
    Count,
    Cursor,
    EmailShape,
    ListPage,
    Order,
    Page,
    PostQuery,
    PostShape,
    ProfileShape,
    SortBy,
    Types,
    UserQuery,
    UserShape,
    digest,
    etag,
    total_pages,
)
from domain.actors import Actor
from domain.errors import PostNotFound, UserNotFound
from domain.ids import PostId, UserId
from domain.posts import Post, Slug
from domain.users import User, email_visible
from infrastructure.memory.store import MemoryStore

Item = TypeVar("Item")
Json = dict[str, object]
Key = datetime | int | None
Position = tuple[bool, Key, UUID]

_USER_FIELDS = tuple(field.name for field in fields(UserShape))


class MemoryPages:
    def __init__(self, store: MemoryStore) -> None:
        self._tables = store.tables

    async def post(self, ref: PostId | Slug, *, viewer: Actor | None) -> Page:
        post_id = self._tables.slugs.rows.get(ref.value) if isinstance(ref, Slug) else ref
        stored = None if post_id is None else self._tables.posts.rows.get(post_id)
        if stored is None or not stored.post.visible_to(viewer):
            raise PostNotFound(str(ref))
        post = stored.post
        body = self._post(post, POST_FIELDS)
        viewed = post.id if post.is_published else None
        return Page(
            msgspec.json.encode(body), etag(post.version, _without_views(body)), public=post.is_published, viewed=viewed
        )

    async def posts(self, query: PostQuery, *, viewer: Actor | None) -> ListPage:
        matching = [post for post in self._visible(viewer) if _matches(post, query)]
        names = tuple(name for name in POST_FIELDS if name in query.fields) or POST_FIELDS
        return _list_page(
            query,
            matching,
            key=lambda post: self._sort_key(post, query.sort_by),
            identity=lambda post: post.id,
            descending=query.order is Order.DESC,
            shown=lambda post: self._post(post, names),
            public=query.published is True,
        )

    async def user(self, user_id: UserId, *, include_posts: bool, viewer: Actor | None) -> Page:
        stored = self._tables.users.rows.get(user_id)
        if stored is None or not stored.user.visible_to(viewer):
            raise UserNotFound(user_id)
        body = self._user(stored.user, viewer, posts=NEWEST_POSTS_OF_A_USER if include_posts else None)
        return Page(msgspec.json.encode(body), etag(stored.user.version, _without_views(body)), public=False)

    async def users(self, query: UserQuery, *, viewer: Actor | None) -> ListPage:
        posts = NEWEST_POSTS_IN_A_LIST if query.include_posts else None
        return _list_page(
            query,
            [user for user in self._users() if user.visible_to(viewer) and _fits(user, query)],
            key=lambda user: user.created_at,
            identity=lambda user: user.id,
            descending=True,
            shown=lambda user: self._user(user, viewer, posts=posts),
            public=False,
        )

    async def emails(self, query: UserQuery) -> ListPage:
        return _list_page(
            query,
            [user for user in self._users() if user.is_active and user.email is not None],
            key=lambda user: user.created_at,
            identity=lambda user: user.id,
            descending=True,
            shown=lambda user: msgspec.to_builtins(EmailShape(user.id, str(user.email))),
            public=False,
        )

    def _users(self) -> Iterable[User]:
        return (stored.user for stored in self._tables.users.rows.values())

    def _visible(self, viewer: Actor | None) -> Iterable[Post]:
        return (stored.post for stored in self._tables.posts.rows.values() if stored.post.visible_to(viewer))

    def _views(self, post: Post) -> int:
        return self._tables.views.rows.get(post.id, 0)

    def _sort_key(self, post: Post, sort_by: SortBy) -> Key:
        match sort_by:
            case SortBy.PUBLISHED_AT:
                return post.published_at
            case SortBy.CREATED_AT:
                return post.created_at
            case SortBy.VIEWS:
                return self._views(post)

    def _post(self, post: Post, names: tuple[str, ...]) -> Json:
        author = self._tables.users.rows[post.author_id].user
        writing = post.writing
        shape = PostShape(
            id=post.id,
            title=writing.title,
            slug=post.slug.value,
            content=writing.content,
            content_format=writing.content_format,
            excerpt=writing.excerpt,
            tags=writing.tags,
            type=writing.type,
            status=post.status,
            published_at=post.published_at,
            created_at=post.created_at,
            updated_at=post.updated_at,
            version=post.version,
            author=AuthorShape(author.id, author.username.value, author.profile.display_name),
            views=self._views(post),
        )
        return {name: getattr(shape, name) for name in names}

    def _user(self, user: User, viewer: Actor | None, *, posts: int | None) -> Json:
        """`posts`: with so many of the newest."""
        profile = user.profile
        shape = UserShape(
            id=user.id,
            username=user.username.value,
            role=user.role,
            is_active=user.is_active,
            created_at=user.created_at,
            updated_at=user.updated_at,
            version=user.version,
            profile=ProfileShape(profile.display_name, profile.bio, profile.avatar_url, profile.website),
        )
        body: Json = {name: getattr(shape, name) for name in _USER_FIELDS}
        if email_visible(user.id, viewer=viewer):
            body["email"] = user.email.value if user.email else None
        if posts is not None:
            theirs = [post for post in self._visible(viewer) if post.author_id == user.id]
            theirs.sort(key=lambda post: _position(post.published_at, post.id), reverse=True)
            body["posts"] = [self._post(post, POST_FIELDS) for post in theirs[:posts]]
        return body


def _list_page(
    query: PostQuery | UserQuery,
    matching: list[Item],
    *,
    key: Callable[[Item], Key],
    identity: Callable[[Item], UUID],
    descending: bool,
    shown: Callable[[Item], Json],
    public: bool,
) -> ListPage:
    def position(item: Item) -> Position:
        return _position(key(item), identity(item))

    ahead = sorted(matching, key=position, reverse=descending)
    cursor = query.cursor
    if cursor is None:
        ahead = ahead[(query.page - 1) * query.page_size :]
    else:
        last = _position(cursor.key, cursor.id)
        ahead = [item for item in ahead if (position(item) < last if descending else position(item) > last)]
    items = ahead[: query.page_size]
    page = query.page if cursor is None else None
    total = None if query.count is Count.NONE else len(matching)
    pages = None if total is None else total_pages(total, query.page_size)
    more = len(ahead) > len(items)
    next_cursor = str(Cursor(query.sort, key(items[-1]), identity(items[-1]))) if more else None
    envelope: Json = {
        "items": [shown(item) for item in items],
        "page": page,
        "page_size": query.page_size,
        "total": total,
        "total_pages": pages,
        "next_cursor": next_cursor,
    }
    # The cursor of a list by views holds views, and they change no ETag.
    by_views = isinstance(query, PostQuery) and query.sort_by is SortBy.VIEWS
    tagged = _without_views({**envelope, "next_cursor": more} if by_views else envelope)
    return ListPage(msgspec.json.encode(envelope), f'"{digest(tagged)}"', public, page, pages, next_cursor)


def _position(key: Key, identity: UUID) -> Position:
    """A draft that was never published comes after every post that was."""
    return key is None, key, identity


def _matches(post: Post, query: PostQuery) -> bool:
    return (
        (query.published is None or post.is_published is query.published)
        and (query.author_id is None or post.author_id == query.author_id)
        and (query.tag is None or query.tag in post.writing.tags)
        and (query.type is Types.ALL or post.writing.type.value == query.type.value)
    )


def _fits(user: User, query: UserQuery) -> bool:
    return (query.role is None or user.role is query.role) and (
        query.is_active is None or user.is_active is query.is_active
    )


def _without_views(value: Json) -> bytes:
    """What an ETag is made of: views are nobody's edit."""
    bare = {name: part for name, part in value.items() if name != "views"}
    for name in ("items", "posts"):
        nested = bare.get(name)
        if isinstance(nested, list):
            bare[name] = [msgspec.Raw(_without_views(item)) for item in nested]
    return msgspec.json.encode(bare)
