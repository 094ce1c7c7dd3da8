"""Hot reads: public pages, answered before the router by the same bytes.

Pure ASGI, outermost, for GET and HEAD without credentials. What L1 does not have is read through the shared cache, and
whatever is unusual goes on to the router.
"""

from collections.abc import Callable
from functools import lru_cache
from time import perf_counter

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from application.caching.pages import CachedPages
from application.pages import ListPage
from application.use_cases import UseCases
from interfaces.http.addresses import URL_MAX, Address, address_of
from interfaces.http.local_pages import LocalPages
from interfaces.http.middleware import NOSNIFF, REFUSED, Refused, is_sane_id, next_request_id, note
from interfaces.http.problems import REQUEST_ID
from interfaces.http.queries import links
from interfaces.http.representations import PUBLIC, Representation, Representations, unchanged

NO_BODY: Message = {"type": "http.response.body", "body": b"", "more_body": False}


_Asked = tuple[bytes | None, bytes | None, bytes | None]
"""Encodings, conditions and the id that a request's headers bring along, as far as they do."""


class HotReads:
    """`app` answers all the rest. The use cases are its own, once its lifespan has opened them."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self._local: LocalPages | None = None
        self._pages: CachedPages
        self._count: Callable[[bytes], None]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = _asked(scope)
        if asked is None:
            await self.app(scope, receive, send)
            return
        local = self._local or self._open()
        representations = local.get(_url(scope))
        if representations is None:
            await self._read(local, asked, scope, receive, send)
        elif not await self._answer(representations, asked, scope["method"], send):
            await self.app(scope, receive, send)

    def at_once(self, scope: Scope) -> tuple[Message, Message] | None:
        """What to send, where L1 has all of it, and `__call__` would send the same. Ask from any thread."""
        local = self._local
        asked = None if local is None else _asked(scope)
        if local is None or asked is None:
            return None
        representations = local.get(_url(scope))
        if representations is None:
            return None
        encodings, _, _ = asked
        made = representations.made(encodings) if encodings is not None else representations.plain
        return None if made is None else self._messages(representations, made, asked, scope["method"])

    def _open(self) -> LocalPages:
        state = self.app.state
        use_cases: UseCases = state.use_cases
        local: LocalPages = state.local_pages
        self._pages, self._count, self._local = use_cases.pages, state.count_view, local
        return local

    async def _answer(self, representations: Representations, asked: _Asked, method: str, send: Send) -> int:
        """Its status; 0 where the condition breaks the grammar."""
        encodings, _, _ = asked
        fitting = await representations.fitting(encodings) if encodings is not None else representations.plain
        messages = self._messages(representations, fitting, asked, method)
        if messages is None:
            return 0
        start, body = messages
        await send(start)
        await send(body)
        status: int = start["status"]
        return status

    def _messages(
        self, representations: Representations, fitting: Representation, asked: _Asked, method: str
    ) -> tuple[Message, Message] | None:
        """None where the condition breaks the grammar, which is the router's to tell."""
        _, conditions, request_id = asked
        status, headers, body = 200, fitting.headers, fitting.body_message
        if conditions is not None:
            try:
                headers_of_304 = unchanged(fitting, conditions)
            except HTTPException:
                return None
            if headers_of_304 is not None:
                status, headers, body = 304, headers_of_304, NO_BODY
        if method == "HEAD":
            body = NO_BODY
        elif representations.viewed is not None:
            self._count(representations.viewed)
        told = (b"x-request-id", request_id or next_request_id())
        return {"type": "http.response.start", "status": status, "headers": [*headers, told, NOSNIFF]}, body

    async def _read(self, local: LocalPages, asked: _Asked, scope: Scope, receive: Receive, send: Send) -> None:
        """What L1 does not have. What no cache has is told in the log, as the router's answers are."""
        raw_path, query = scope.get("raw_path", b""), scope["query_string"]
        # What is too long to be remembered is not asked here, or it would fill the memory.
        is_short = len(raw_path) + len(query) <= URL_MAX and not scope.get("root_path")
        address = _address(raw_path, scope["path"], query) if is_short else None
        if address is None:
            await self.app(scope, receive, send)
            return
        began = perf_counter()
        stamp, epoch = local.stamp(address.tags) if local.is_on else (), local.epoch
        try:
            page, was_kept = await address.read(self._pages, self.app.state.site)
        except Exception as error:
            scope[REFUSED] = Refused(error, address.route, began)
            await self.app(scope, receive, send)
            return
        link = links(scope, page) if isinstance(page, ListPage) else None
        representations = Representations(page, PUBLIC, link)
        if local.is_on:
            local.keep(_url(scope), address.name, representations, stamp, epoch)
        if was_kept:
            if not await self._answer(representations, asked, scope["method"], send):
                await self.app(scope, receive, send)
            return
        encodings, conditions, request_id = asked
        request_id = request_id or next_request_id()
        asked = encodings, conditions, request_id
        status = await self._answer(representations, asked, scope["method"], send)
        if status:
            scope[REQUEST_ID] = request_id.decode()
            note(scope, scope["method"], status, perf_counter() - began, route=address.route)
        else:
            await self.app(scope, receive, send)


def _url(scope: Scope) -> bytes:
    """By which L1 keeps it: as it was sent, with a question mark in any case."""
    url: bytes = scope.get("raw_path", b"") + b"?" + scope["query_string"]
    return url


def _asked(scope: Scope) -> _Asked | None:
    """None where it is nothing that a stranger reads."""
    if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
        return None
    encodings = conditions = request_id = None
    for name, value in scope["headers"]:
        if name == b"accept-encoding":
            encodings = value if encodings is None else encodings + b"," + value
        elif name == b"if-none-match":
            conditions = value if conditions is None else conditions + b", " + value
        elif name == b"x-request-id":
            if request_id is None and is_sane_id(value):
                request_id = value
        elif name in (b"authorization", b"content-length"):
            return None
    return encodings, conditions, request_id


@lru_cache(maxsize=8192)
def _address(raw_path: bytes, path: str, query: bytes) -> Address | None:
    """A path that is written in another way than it reads is the router's to understand."""
    return address_of(path, query) if raw_path == path.encode() else None
