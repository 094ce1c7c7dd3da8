"""Pages as responses, whose bytes are ready; and what is encoded anew each time, which nobody may store."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from application.pages import ListPage, Page
from interfaces.http.etags import is_current
from interfaces.http.queries import cursor_links

NO_STORE = {"cache-control": "no-store"}

_JSON = (b"content-type", b"application/json")
# Whoever signs in may be shown more: caches keep what a stranger saw for strangers, and for all who send the same.
_VARY = (b"vary", b"Authorization")
_PUBLIC = (_VARY, (b"cache-control", b"public, max-age=0, must-revalidate"))
_PRIVATE = (_VARY, (b"cache-control", b"private, no-cache"))


class _Ready(Response):
    """Of headers that are bytes already: encoding them anew would cost a hot route more than all else here."""

    def __init__(self, status: int, body: bytes, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self.status_code = status
        self.body = body
        self.background = None
        self.raw_headers = list(headers)


def shown(request: Request, page: Page | ListPage, link: str | None = None) -> Response:
    """The page, or 304 where the client has it already."""
    etag = (b"etag", page.etag.encode())
    caching = _PUBLIC if page.public or "authorization" not in request.headers else _PRIVATE
    links = () if link is None else ((b"link", link.encode("latin-1")),)
    if is_current(request, page.etag):
        return _Ready(304, b"", (etag, *caching, *links))
    return _Ready(200, page.body, (_JSON, _length(page.body), etag, *caching, *links))


def address(request: Request, path: str) -> str:
    """As clients reach it, also where a proxy strips a prefix."""
    root: str = request.scope.get("root_path", "")
    return root + path


def written(page: Page, *, location: str | None = None) -> Response:
    """What a write made of the resource: the bytes and the ETag of the next GET. With `location`, 201."""
    told = (_JSON, _length(page.body), (b"etag", page.etag.encode()), *_PRIVATE)
    if location is None:
        return _Ready(200, page.body, told)
    return _Ready(201, page.body, (*told, (b"location", location.encode())))


def encoded(body: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    told = {**NO_STORE, **(headers or {})}
    return Response(msgspec.json.encode(body), status, told, media_type="application/json")


def encoded_list(request: Request, items: list[Any], page_size: int, next_cursor: str | None) -> Response:
    """Of a walk by cursor."""
    body = {
        "items": items,
        "page": None,
        "page_size": page_size,
        "total": None,
        "total_pages": None,
        "next_cursor": next_cursor,
    }
    return encoded(body, headers={"link": cursor_links(request, next_cursor)})


def _length(body: bytes) -> tuple[bytes, bytes]:
    return b"content-length", b"%d" % len(body)
