"""How entities look to a viewer, said once more and plainly, for what the adapters answer to be held against."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from application.pages import POST_FIELDS, Order, PostQuery, PostShape, SortBy, Types, UserShape
from domain.actors import Actor
from domain.posts import Post, PostStatus
from domain.users import User

Json = dict[str, Any]
USER_FIELDS = tuple(field.name for field in fields(UserShape))
ENVELOPE = ("items", "page", "page_size", "total", "total_pages", "next_cursor")


def decoded(body: bytes) -> Json:
    found: Json = msgspec.json.decode(body)
    return found


def instant(value: datetime | None) -> str | None:
    return None if value is None else value.isoformat().replace("+00:00", "Z")


def post_look(post: Post, author: User, views: int = 0, *, only: Collection[str] = POST_FIELDS) -> Json:
    writing = post.writing
    look = {
        "id": str(post.id),
        "title": writing.title,
        "slug": post.slug.value,
        "content": writing.content,
        "content_format": writing.content_format.value,
        "excerpt": writing.excerpt,
        "tags": list(writing.tags),
        "type": writing.type.value,
        "status": post.status.value,
        "published_at": instant(post.published_at),
        "created_at": instant(post.created_at),
        "updated_at": instant(post.updated_at),
        "version": post.version,
        "author": {
            "id": str(author.id),
            "username": author.username.value,
            "display_name": author.profile.display_name,
        },
        "views": views,
    }
    return {name: value for name, value in look.items() if name in only}


def user_look(user: User, *, with_email: bool = False, posts: Sequence[Json] | None = None) -> Json:
    look: Json = {
        "id": str(user.id),
        "username": user.username.value,
        "role": user.role.value,
        "is_active": user.is_active,
        "created_at": instant(user.created_at),
        "updated_at": instant(user.updated_at),
        "version": user.version,
        "profile": {
            "display_name": user.profile.display_name,
            "bio": user.profile.bio,
            "avatar_url": user.profile.avatar_url,
            "website": user.profile.website,
        },
    }
    if with_email:
        look["email"] = user.email.value if user.email else None
    if posts is not None:
        look["posts"] = list(posts)
    return look


def require_post_shape(look: object) -> None:
    """Its keys in their order, and values of the declared types."""
    assert isinstance(look, dict)
    assert tuple(look) == POST_FIELDS
    assert isinstance(msgspec.convert(look, PostShape, strict=True), PostShape)


def require_user_shape(look: object) -> None:
    """The declared keys in their order and values of the declared types, beside `email` and `posts`."""
    assert isinstance(look, dict)
    assert tuple(name for name in look if name not in ("email", "posts")) == USER_FIELDS
    assert isinstance(msgspec.convert(look, UserShape, strict=True), UserShape)


@dataclass(frozen=True, slots=True)
class Seen:
    """A post with the views it has."""

    post: Post
    views: int = 0

    def position(self, by: SortBy) -> tuple[bool, datetime | int, UUID]:
        post = self.post
        match by:
            case SortBy.VIEWS:
                return False, self.views, post.id
            case SortBy.CREATED_AT:
                return False, post.created_at, post.id
            case SortBy.PUBLISHED_AT if post.published_at is None:
                return True, 0, post.id
            case SortBy.PUBLISHED_AT:
                return False, post.published_at, post.id


def expected(seen: Sequence[Seen], query: PostQuery, viewer: Actor | None) -> list[Seen]:
    """All that the list holds, in order, from the rules as they are written in the issue."""

    def is_in(post: Post) -> bool:
        is_shown = post.status is PostStatus.PUBLISHED or (
            viewer is not None and (viewer.is_operator or viewer.id == post.author_id)
        )
        return (
            is_shown
            and query.published in (None, post.status is PostStatus.PUBLISHED)
            and query.author_id in (None, post.author_id)
            and (query.tag is None or query.tag in post.writing.tags)
            and (query.type is Types.ALL or query.type.value == post.writing.type.value)
        )

    matching = [one for one in seen if is_in(one.post)]
    return sorted(matching, key=lambda one: one.position(query.sort_by), reverse=query.order is Order.DESC)
