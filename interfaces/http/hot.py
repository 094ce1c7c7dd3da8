"""Hot reads: public pages, answered before the router by the same bytes.

Pure ASGI, outermost, for GET and HEAD without credentials. L1 holds ready answers by raw URL, each stamped with its
tags' tokens in the memory that all processes of this host share (HostTokens): it is true for as long as they are
unchanged. What is not there is read through the shared cache, and whatever is unusual goes on to the router.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import NamedTuple

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from application.caching.pages import CachedPages
from application.pages import ListPage
from application.ports.cache import HostTokens
from application.use_cases import UseCases
from domain.ids import PostId
from interfaces.http.addresses import URL_MAX, Address, address_of
from interfaces.http.middleware import NOSNIFF, REFUSED, is_sane_id, next_request_id, note
from interfaces.http.problems import REQUEST_ID
from interfaces.http.queries import links
from interfaces.http.representations import PUBLIC, Representations, unchanged

ENTRY_BYTES = 3000
"""What an entry of L1 takes beside its bodies."""

NO_BODY = {"type": "http.response.body", "body": b"", "more_body": False}

Stamp = tuple[tuple[int, int], ...]


class Kept:
    """An entry of L1: `expires_at` by `time.monotonic()`."""

    __slots__ = ("epoch", "expires_at", "representations", "size", "stamp")

    def __init__(self, representations: Representations, stamp: Stamp, epoch: int, expires_at: float) -> None:
        self.representations = representations
        self.stamp = stamp
        self.epoch = epoch
        self.expires_at = expires_at
        self.size = 0


class LocalPages:
    """L1: ready answers by URL, at most `max_bytes` of them; those kept first go first. One kept for `ttl_s`, give or
    take a tenth, is gone too."""

    def __init__(self, host: HostTokens, *, max_bytes: int, ttl_s: float) -> None:
        self._host = host
        self._table = host.table
        self._kept: dict[bytes, Kept] = {}
        self._bytes = 0
        self._max_bytes = max_bytes
        self._ttl_s = ttl_s

    def get(self, url: bytes) -> Representations | None:
        kept = self._kept.get(url)
        if kept is None:
            return None
        now = time.monotonic()
        host = self._host
        if now >= kept.expires_at or now >= host.trusted_until or kept.epoch != host.epoch:
            return None
        table = self._table
        for slot, token in kept.stamp:
            if table[slot] != token:
                return None
        return kept.representations

    def stamp(self, tags: tuple[str, ...]) -> Stamp:
        """To be taken before the page is read, wherever from."""
        table = self._table
        return tuple([(slot, table[slot]) for slot in self._host.slots(tags)])

    @property
    def epoch(self) -> int:
        return self._host.epoch

    def keep(self, url: bytes, representations: Representations, stamp: Stamp, epoch: int) -> None:
        """Under the stamp and the epoch that were taken before the page was read."""
        kept = Kept(representations, stamp, epoch, time.monotonic() + self._ttl_s * random.uniform(0.9, 1.1))  # noqa: S311
        kept.size = ENTRY_BYTES + len(representations.plain.body) * (2 if representations.is_large else 1)
        if kept.size > self._max_bytes:
            return
        if (old := self._kept.pop(url, None)) is not None:
            self._bytes -= old.size
        self._kept[url] = kept
        self._bytes += kept.size
        while self._bytes > self._max_bytes:
            self._bytes -= self._kept.pop(next(iter(self._kept))).size

    def stats(self) -> dict[str, int]:
        return {"pages": len(self._kept), "bytes": self._bytes, "max_bytes": self._max_bytes}


@dataclass(frozen=True, slots=True)
class HotOptions:
    """`l1_max_bytes` 0: none is kept in the process."""

    l1_max_bytes: int = 64 * 1024 * 1024
    l1_ttl_s: float = 10.0


class _Asked(NamedTuple):
    """What a request's headers say, as far as it matters here; None where they say nothing."""

    encodings: bytes | None
    conditions: bytes | None
    request_id: bytes | None


class HotReads:
    """`app` answers all the rest. The use cases are its own, once its lifespan has opened them."""

    def __init__(self, app: FastAPI, options: HotOptions) -> None:
        self.app = app
        self._options = options
        self._local: LocalPages | None = None
        self._pages: CachedPages
        self._count: Callable[[PostId], None]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await self.app(scope, receive, send)
            return
        encodings = conditions = request_id = None
        for name, value in scope["headers"]:
            if name == b"accept-encoding":
                encodings = value if encodings is None else encodings + b"," + value
            elif name == b"if-none-match":
                conditions = value if conditions is None else conditions + b", " + value
            elif name == b"x-request-id":
                if request_id is None and is_sane_id(value):
                    request_id = value
            elif name == b"authorization":
                await self.app(scope, receive, send)
                return
        asked = _Asked(encodings, conditions, request_id)
        local = self._local or self._open()
        representations = local.get(scope.get("raw_path", b"") + b"?" + scope["query_string"])
        if representations is None:
            await self._read(local, asked, scope, receive, send)
        elif not await self._answer(representations, asked, scope["method"], send):
            await self.app(scope, receive, send)

    def _open(self) -> LocalPages:
        use_cases: UseCases = self.app.state.use_cases
        self._pages = use_cases.pages
        self._count = self.app.state.count_view
        options = self._options
        self._local = LocalPages(use_cases.host_tokens, max_bytes=options.l1_max_bytes, ttl_s=options.l1_ttl_s)
        self.app.state.local_pages = self._local
        return self._local

    async def _answer(self, representations: Representations, asked: _Asked, method: str, send: Send) -> int:
        """Its status; 0 where the condition breaks the grammar, which is the router's to tell."""
        encodings, conditions, request_id = asked
        fitting = representations.plain
        if encodings is not None and representations.is_large:
            fitting = await representations.fitting(encodings)
        status, headers, body = 200, fitting.headers, fitting.body_message
        if conditions is not None:
            try:
                headers_of_304 = unchanged(fitting, conditions)
            except HTTPException:
                return 0
            if headers_of_304 is not None:
                status, headers, body = 304, headers_of_304, NO_BODY
        if method == "HEAD":
            body = NO_BODY
        elif representations.viewed is not None:
            self._count(representations.viewed)
        told = (b"x-request-id", request_id or next_request_id())
        await send({"type": "http.response.start", "status": status, "headers": [*headers, told, NOSNIFF]})
        await send(body)
        return status

    async def _read(self, local: LocalPages, asked: _Asked, scope: Scope, receive: Receive, send: Send) -> None:
        """What L1 does not have. What no cache has is told in the log, as the router's answers are."""
        address = self._address(scope)
        if address is None:
            await self.app(scope, receive, send)
            return
        began = perf_counter()
        stamp, epoch = local.stamp(address.tags), local.epoch
        try:
            page, was_kept = await address.read(self._pages, self.app.state.site)
        except Exception as error:
            scope[REFUSED] = error
            await self.app(scope, receive, send)
            return
        link = links(scope, page) if isinstance(page, ListPage) else None
        representations = Representations(page, PUBLIC, link)
        local.keep(scope["raw_path"] + b"?" + scope["query_string"], representations, stamp, epoch)
        if was_kept:
            if not await self._answer(representations, asked, scope["method"], send):
                await self.app(scope, receive, send)
            return
        request_id = asked.request_id or next_request_id()
        status = await self._answer(representations, asked._replace(request_id=request_id), scope["method"], send)
        if status:
            scope[REQUEST_ID] = request_id.decode()
            note(scope, scope["method"], status, perf_counter() - began, route=address.route)
        else:
            await self.app(scope, receive, send)

    def _address(self, scope: Scope) -> Address | None:
        path = scope["path"]
        # A path that is written in another way than it reads is the router's to understand.
        if scope.get("raw_path") != path.encode() or scope.get("root_path"):
            return None
        if len(path) + len(scope["query_string"]) > URL_MAX:
            return None
        return address_of(path, scope["query_string"])
