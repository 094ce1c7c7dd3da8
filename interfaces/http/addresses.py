"""Which public page an address asks for, without the router. None for all that is not plainly one: the router's
answer to that is the right one, whatever it is."""

import re
from dataclasses import dataclass, replace
from uuid import UUID

from fastapi.exceptions import RequestValidationError
from starlette.requests import Request

from application.caching.keys import PageKey, post_key, posts_key, user_key, users_key
from application.caching.pages import CachedPages
from application.pages import ListPage, Page
from domain.errors import PostNotFound
from domain.ids import UserId
from interfaces.http.posts import ref_of
from interfaces.http.queries import author_posts_asked, posts_asked, users_asked

URL_MAX = 500
"""Longer ones ask for no page that many ask for."""

_POST = re.compile(r"/v1/posts/([A-Za-z0-9-]+)")
_USER = re.compile(r"/v1/users/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(/posts)?")


@dataclass(frozen=True, slots=True)
class Address:
    """`route` is what the router calls it. `key` None: the settings. `requires`: a page that must be there too."""

    route: str
    key: PageKey | None
    requires: PageKey | None = None

    @property
    def tags(self) -> tuple[str, ...]:
        """Of both; of the settings, which stay for the life of the process, none."""
        if self.requires is None:
            return () if self.key is None else self.key.tags
        return (*self.key.tags, *self.requires.tags) if self.key else ()

    @property
    def name(self) -> str:
        return self.route if self.key is None else self.key.text

    async def read(self, pages: CachedPages, site: Page) -> tuple[Page | ListPage, bool]:
        """The page, and whether it was kept. Raises PostNotFound, UserNotFound."""
        if self.key is None:
            return site, True
        if self.requires is not None:
            await pages.read(self.requires)
        return await pages.read(self.key)


def address_of(path: str, query: bytes) -> Address | None:
    if path == "/v1/posts":
        return _list(path, query)
    if post := _POST.fullmatch(path):
        try:
            return None if query else Address("/v1/posts/{ref}", post_key(ref_of(post[1])))
        except PostNotFound:
            return None
    if path == "/v1/users":
        return _list(path, query)
    if user := _USER.fullmatch(path):
        user_id = UserId(UUID(user[1]))
        if user[2]:
            return _posts_of(user_id, path, query)
        if query in (b"", b"include=posts"):
            return Address("/v1/users/{user_id}", user_key(user_id, bool(query)))
    if path == "/v1/settings" and not query:
        return Address(path, None)
    return None


def _list(path: str, query: bytes) -> Address | None:
    request = _request(path, query)
    try:
        key = posts_key(posts_asked(request)) if path == "/v1/posts" else users_key(users_asked(request))
    except RequestValidationError:
        return None
    return Address(path, key)


def _posts_of(user_id: UserId, path: str, query: bytes) -> Address | None:
    try:
        asked = replace(author_posts_asked(_request(path, query)), author_id=user_id)
    except RequestValidationError:
        return None
    return Address("/v1/users/{user_id}/posts", posts_key(asked), requires=user_key(user_id, False))


def _request(path: str, query: bytes) -> Request:
    return Request({"type": "http", "path": path, "query_string": query, "headers": []})
