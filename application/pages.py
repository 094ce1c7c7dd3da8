"""Read pages: finished response bytes with an ETag, their shapes, and what a client may ask of a list.

A page is read with one statement (a list with a total: two), without entities and without a unit of work. What may be
shown to whom is the domain's rule; every adapter's bytes decode to the shapes below.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol, Self
from uuid import UUID

from domain.actors import Actor, Role
from domain.errors import InvalidValue
from domain.ids import PostId, UserId
from domain.posts import ContentFormat, PostStatus, PostType, Slug

PAGE_SIZE_MAX = 100
PAGE_SIZE = 20
PAGE_MAX = 1_000_000
NEWEST_POSTS_OF_A_USER = 20
NEWEST_POSTS_IN_A_LIST = 5


@dataclass(frozen=True, slots=True)
class AuthorShape:
    id: UUID
    username: str
    display_name: str


@dataclass(frozen=True, slots=True)
class PostShape:
    """A post as clients see it. `views` is last, so that the ETag's digest can be taken of the bytes before it."""

    id: UUID
    title: str
    slug: str
    content: str
    content_format: ContentFormat
    excerpt: str | None
    tags: tuple[str, ...]
    type: PostType
    status: PostStatus
    published_at: datetime | None
    created_at: datetime
    updated_at: datetime
    version: int
    author: AuthorShape
    views: int


POST_FIELDS = tuple(field.name for field in fields(PostShape))


@dataclass(frozen=True, slots=True)
class ProfileShape:
    display_name: str
    bio: str
    avatar_url: str | None
    website: str | None


@dataclass(frozen=True, slots=True)
class UserShape:
    """A user as strangers see them: without `email`, and without `posts` unless asked for."""

    id: UUID
    username: str
    role: Role
    is_active: bool
    created_at: datetime
    updated_at: datetime
    version: int
    profile: ProfileShape


@dataclass(frozen=True, slots=True)
class EmailShape:
    id: UUID
    email: str


@dataclass(frozen=True, slots=True)
class SiteShape:
    """What anybody may know of how this Byline is set up. `currency` is ISO 4217."""

    name: str
    description: str
    language: str
    currency: str
    registration: str
    version: str


class SortBy(StrEnum):
    PUBLISHED_AT = "published_at"
    CREATED_AT = "created_at"
    VIEWS = "views"


class Order(StrEnum):
    ASC = "asc"
    DESC = "desc"


class Count(StrEnum):
    EXACT = "exact"
    ESTIMATED = "estimated"
    NONE = "none"


class Types(StrEnum):
    POST = "post"
    PAGE = "page"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Cursor:
    """The sort key and id of the last item seen, of one sort. `key` is None for a draft that was never published.

    As text it is opaque to clients: URL-safe base64 of a JSON array.
    """

    sort: str
    key: datetime | int | None
    id: UUID

    def __str__(self) -> str:
        key = self.key.isoformat() if isinstance(self.key, datetime) else self.key
        packed = json.dumps([self.sort, key, self.id.hex], separators=(",", ":"))
        return base64.urlsafe_b64encode(packed.encode()).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str, *, sort: str) -> Self:
        """Raises InvalidValue for what no list gave, or a list of another sort."""
        try:
            unpacked = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            made_for, key, item = unpacked
            cursor = cls(made_for, _sort_key(key, made_for), UUID(hex=item))
        except (ValueError, TypeError, AttributeError, binascii.Error, OverflowError, RecursionError):
            raise InvalidValue("after", "It is not a cursor of this list.", code="bad_cursor") from None
        if cursor.sort != sort:
            raise InvalidValue("after", "The cursor belongs to a list of another order.", code="bad_cursor")
        return cursor


def _sort_key(value: object, sort: str) -> datetime | int | None:
    """Raises ValueError for what no list of that sort has."""
    by = sort.partition("-")[0]
    if by == SortBy.VIEWS:
        if type(value) is int and 0 <= value < 2**63:
            return value
    elif isinstance(value, str):
        return datetime.fromisoformat(value).astimezone(UTC)
    elif value is None and by == SortBy.PUBLISHED_AT:
        return None
    raise ValueError(value)


@dataclass(frozen=True, slots=True)
class PostQuery:
    """One page of posts. With `after` it is a keyset page, else the page of that number, from 1.

    `published` None shows all that the viewer may see. `fields` empty means all of them. Raises InvalidValue.
    """

    page: int = 1
    page_size: int = PAGE_SIZE
    after: str | None = None
    count: Count = Count.EXACT
    published: bool | None = None
    author_id: UserId | None = None
    tag: str | None = None
    type: Types = Types.POST
    sort_by: SortBy = SortBy.PUBLISHED_AT
    order: Order = Order.DESC
    fields: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        unknown = [name for name in self.fields if name not in POST_FIELDS]
        if unknown:
            raise InvalidValue("fields", f"There is no field {unknown[0]!r}.", code="unknown_field")

    @property
    def sort(self) -> str:
        return f"{self.sort_by}-{self.order}"

    @property
    def cursor(self) -> Cursor | None:
        """Raises InvalidValue."""
        return None if self.after is None else Cursor.parse(self.after, sort=self.sort)


@dataclass(frozen=True, slots=True)
class UserQuery:
    """One page of users, newest first. `is_active` None shows all that the viewer may see. As PostQuery otherwise."""

    page: int = 1
    page_size: int = PAGE_SIZE
    after: str | None = None
    count: Count = Count.EXACT
    role: Role | None = None
    is_active: bool | None = None
    include_posts: bool = False

    sort = "created_at-desc"

    @property
    def cursor(self) -> Cursor | None:
        """Raises InvalidValue."""
        return None if self.after is None else Cursor.parse(self.after, sort=self.sort)


@dataclass(frozen=True, slots=True)
class Page:
    """`body` is JSON. `etag` is the quoted entity tag. `public`: the same for every viewer, strangers included.

    `viewed` is the published post whose views a reading of this page raises."""

    body: bytes
    etag: str
    public: bool
    viewed: PostId | None = None


@dataclass(frozen=True, slots=True)
class ListPage:
    """As Page, with what its links are made of. `page` and the totals are None where they were not asked for."""

    body: bytes
    etag: str
    public: bool
    page: int | None
    total_pages: int | None
    next_cursor: str | None


class Pages(Protocol):
    """What a viewer (None: a stranger) is shown."""

    async def post(self, ref: PostId | Slug, *, viewer: Actor | None) -> Page:
        """Raises PostNotFound, also for a draft that the viewer may not see."""
        ...

    async def posts(self, query: PostQuery, *, viewer: Actor | None) -> ListPage: ...

    async def user(self, user_id: UserId, *, include_posts: bool, viewer: Actor | None) -> Page:
        """With `include_posts`, the newest 20 that the viewer may see. Raises UserNotFound."""
        ...

    async def users(self, query: UserQuery, *, viewer: Actor | None) -> ListPage:
        """With `include_posts`, each with the newest 5 that the viewer may see, in one more statement for all."""
        ...

    async def emails(self, query: UserQuery) -> ListPage:
        """Of every active user who has one; nothing else is read. For operators."""
        ...


class Totals(Protocol):
    """How many items a list has, kept for as long as its tag is not forgotten."""

    async def __call__(self, key: str, count: Callable[[], Awaitable[int]], *, tag: str) -> int:
        """`key` is the question; raises what `count` raises."""
        ...


def digest(representation: bytes) -> str:
    """What stands for a representation in an ETag: the first 64 bits of its SHA-256, in hex.

    Today's processors compute it in half the time that BLAKE2 takes: 17 against 35 µs for a page of 20 posts.
    """
    return hashlib.sha256(representation, usedforsecurity=False).hexdigest()[:16]


def etag(version: int, representation: bytes) -> str:
    """`"<version>-<digest>"` of a representation without its views, which are nobody's edit."""
    return f'"{version}-{digest(representation)}"'


def total_pages(total: int, page_size: int) -> int:
    return -(-total // page_size)
