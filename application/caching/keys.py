"""The keys of the pages that strangers see: each names its page, the tags it depends on, and how it is read.

A key's text says all of it, so that a page can be asked for again by it alone.
"""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, fields
from enum import Enum
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from application.caching.tags import ALL, POSTS, USERS, by_author_tag, post_tag, slug_tag, tagged_tag, user_tag
from application.pages import (
    Count,
    ListPage,
    Order,
    Page,
    Pages,
    PostQuery,
    SortBy,
    Types,
    UserQuery,
)
from domain.actors import Role
from domain.errors import InvalidValue
from domain.ids import PostId, UserId
from domain.posts import Slug, post_ref

Query = TypeVar("Query", PostQuery, UserQuery)

_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class PageKey:
    text: str
    tags: tuple[str, ...]
    is_list: bool
    read: Callable[[Pages], Awaitable[Page | ListPage]]
    """As a stranger."""


@lru_cache(maxsize=_REMEMBERED)
def post_key(ref: PostId | Slug) -> PageKey:
    tag = slug_tag(ref.value) if isinstance(ref, Slug) else post_tag(ref)
    return PageKey(f"post/{ref}", (tag, ALL), False, lambda pages: pages.post(ref, viewer=None))


@lru_cache(maxsize=_REMEMBERED)
def posts_key(query: PostQuery) -> PageKey:
    if query.author_id is not None:
        tags: tuple[str, ...] = (by_author_tag(query.author_id), user_tag(query.author_id), ALL)
    elif query.tag is not None:
        tags = (tagged_tag(query.tag), ALL)
    else:
        tags = (POSTS, ALL)
    return PageKey(f"posts?{_packed(query)}", tags, True, lambda pages: pages.posts(query, viewer=None))


@lru_cache(maxsize=_REMEMBERED)
def user_key(user_id: UserId, include_posts: bool) -> PageKey:
    tags: tuple[str, ...] = (user_tag(user_id), ALL)
    if include_posts:
        tags = (*tags, by_author_tag(user_id))

    def read(pages: Pages) -> Awaitable[Page]:
        return pages.user(user_id, include_posts=include_posts, viewer=None)

    return PageKey(f"user/{user_id}{'/posts' if include_posts else ''}", tags, False, read)


@lru_cache(maxsize=_REMEMBERED)
def users_key(query: UserQuery) -> PageKey:
    tags = (USERS, POSTS, ALL) if query.include_posts else (USERS, ALL)
    return PageKey(f"users?{_packed(query)}", tags, True, lambda pages: pages.users(query, viewer=None))


def page_key(text: str) -> PageKey:
    """The key of that text. Raises ValueError for what is none."""
    try:
        if text.startswith("posts?"):
            return posts_key(_unpacked(PostQuery, text.removeprefix("posts?")))
        if text.startswith("users?"):
            return users_key(_unpacked(UserQuery, text.removeprefix("users?")))
        kind, _, rest = text.partition("/")
        name, _, including = rest.partition("/")
        if kind == "user" and including in ("", "posts"):
            return user_key(UserId(UUID(name)), including == "posts")
        if kind == "post" and not including:
            return post_key(post_ref(name))
    except (InvalidValue, KeyError, TypeError) as error:
        raise ValueError(f"{text!r} names no page.") from error
    raise ValueError(f"{text!r} names no page.")


def _packed(query: PostQuery | UserQuery) -> str:
    return urlencode(list(_said(query)))


def _said(query: PostQuery | UserQuery) -> Iterator[tuple[str, str]]:
    """What is not as it is unless said otherwise."""
    for field in fields(query):
        value = getattr(query, field.name)
        if value == field.default:
            continue
        match value:
            case Enum():
                yield field.name, value.value
            case tuple():
                yield field.name, ",".join(value)
            case bool():
                yield field.name, "1" if value else ""
            case _:
                yield field.name, str(value)


_PARSERS: dict[str, Callable[[str], Any]] = {
    "page": int,
    "page_size": int,
    "after": str,
    "tag": str,
    "count": Count,
    "published": bool,
    "author_id": lambda text: UserId(UUID(text)),
    "type": Types,
    "sort_by": SortBy,
    "order": Order,
    "fields": lambda text: tuple(text.split(",")),
    "role": Role,
    "is_active": bool,
    "include_posts": bool,
}


def _unpacked(kind: type[Query], text: str) -> Query:
    said = {
        name: _PARSERS[name](value)
        for name, value in parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text))
    }
    return kind(**said)
