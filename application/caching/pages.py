"""The pages, for strangers through the cache. Whoever signs in reads past it: they may be shown more."""

import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import cast
from uuid import UUID

from application.caching.keys import PageKey, post_key, posts_key, user_key, users_key
from application.caching.reading import Form, ReadThrough
from application.caching.tags import ALL
from application.pages import ListPage, Page, Pages, PostQuery, UserQuery
from domain.actors import Actor
from domain.ids import PostId, UserId
from domain.posts import Slug

_PAGE = struct.Struct(">?B16s")
_NOBODY = bytes(16)
_LIST = struct.Struct(">?BqqH")
_NONE = -1


@dataclass(frozen=True, slots=True)
class CachedPages:
    """`source` is asked for what is not there."""

    source: Pages
    through: ReadThrough

    async def read(self, key: PageKey) -> tuple[Page | ListPage, bool]:
        """What a stranger is shown, and whether it was kept. Raises PostNotFound, UserNotFound."""
        return await self.through.read(key.text, key.tags, partial(key.read, self.source), _FORMS[key.is_list])

    async def post(self, ref: PostId | Slug, *, viewer: Actor | None) -> Page:
        if viewer is not None:
            return await self.source.post(ref, viewer=viewer)
        page, _ = await self.read(post_key(ref))
        return cast("Page", page)

    async def posts(self, query: PostQuery, *, viewer: Actor | None) -> ListPage:
        if viewer is not None:
            return await self.source.posts(query, viewer=viewer)
        page, _ = await self.read(posts_key(query))
        return cast("ListPage", page)

    async def user(self, user_id: UserId, *, include_posts: bool, viewer: Actor | None) -> Page:
        if viewer is not None:
            return await self.source.user(user_id, include_posts=include_posts, viewer=viewer)
        page, _ = await self.read(user_key(user_id, include_posts))
        return cast("Page", page)

    async def users(self, query: UserQuery, *, viewer: Actor | None) -> ListPage:
        if viewer is not None:
            return await self.source.users(query, viewer=viewer)
        page, _ = await self.read(users_key(query))
        return cast("ListPage", page)

    async def emails(self, query: UserQuery) -> ListPage:
        return await self.source.emails(query)


@dataclass(frozen=True, slots=True)
class CachedTotals:
    """How many items a public list has. Counting them takes a hundred times as long as reading a page of them, and
    what is written changes it far less often than it changes the page."""

    read: ReadThrough

    async def __call__(self, key: str, count: Callable[[], Awaitable[int]], *, tag: str) -> int:
        async def load() -> bytes:
            return b"%d" % await count()

        return int(await self.read(f"total/{key}", (tag, ALL), load))


class _PageForm:
    def pack(self, value: Page | ListPage) -> bytes:
        assert isinstance(value, Page)  # noqa: S101 -- what its key is of, for the type checker
        return packed_page(value)

    def unpack(self, packed: bytes) -> Page | ListPage:
        return unpacked_page(packed)


class _ListForm:
    def pack(self, value: Page | ListPage) -> bytes:
        assert isinstance(value, ListPage)  # noqa: S101 -- what its key is of, for the type checker
        return packed_list(value)

    def unpack(self, packed: bytes) -> Page | ListPage:
        return unpacked_list(packed)


_FORMS: tuple[Form[Page | ListPage], Form[Page | ListPage]] = (_PageForm(), _ListForm())
"""Of pages, and of pages of lists."""


def packed_page(page: Page) -> bytes:
    etag = page.etag.encode()
    viewed = _NOBODY if page.viewed is None else page.viewed.bytes
    return b"".join((_PAGE.pack(page.public, len(etag), viewed), etag, page.body))


def unpacked_page(packed: bytes) -> Page:
    public, length, viewed = _PAGE.unpack_from(packed)
    start = _PAGE.size + length
    etag = packed[_PAGE.size : start].decode()
    return Page(packed[start:], etag, public, None if viewed == _NOBODY else _post_id(viewed))


@lru_cache(maxsize=4096)
def _post_id(packed: bytes) -> PostId:
    return PostId(UUID(bytes=packed))


def packed_list(page: ListPage) -> bytes:
    etag, cursor = page.etag.encode(), (page.next_cursor or "").encode()
    head = _LIST.pack(page.public, len(etag), _or_none(page.page), _or_none(page.total_pages), len(cursor))
    return b"".join((head, etag, cursor, page.body))


def unpacked_list(packed: bytes) -> ListPage:
    public, length, page, total_pages, cursor_length = _LIST.unpack_from(packed)
    cursor_start = _LIST.size + length
    start = cursor_start + cursor_length
    return ListPage(
        packed[start:],
        packed[_LIST.size : cursor_start].decode(),
        public,
        None if page == _NONE else page,
        None if total_pages == _NONE else total_pages,
        packed[cursor_start:start].decode() or None,
    )


def _or_none(number: int | None) -> int:
    return _NONE if number is None else number
