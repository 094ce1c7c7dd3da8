"""Pages as responses, whose bytes are ready; and what is encoded anew each time, which nobody may store."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from application.pages import ListPage, Page
from interfaces.http.queries import cursor_links
from interfaces.http.representations import PRIVATE, PUBLIC, Representations, unchanged
from interfaces.http.streams import IS_HEAD

NO_STORE = {"cache-control": "no-store"}


class _Ready(Response):
    """Of headers that are bytes already: encoding them anew would cost a hot route more than all else here."""

    def __init__(self, status: int, body: bytes, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self.status_code = status
        self.body = body
        self.background = None
        self.raw_headers = list(headers)


async def shown(request: Request, page: Page | ListPage, link: str | None = None) -> Response:
    """The page, compressed where the client likes that, or 304 where it has it already. A page of views counts one
    more, unless only its headers are asked for."""
    encodings: bytes | None = None
    conditions: bytes | None = None
    is_stranger = True
    for name, value in request.scope["headers"]:
        if name == b"accept-encoding":
            encodings = value if encodings is None else encodings + b"," + value
        elif name == b"if-none-match":
            conditions = value if conditions is None else conditions + b", " + value
        elif name == b"authorization":
            is_stranger = False
    representations = Representations(page, PUBLIC if page.public or is_stranger else PRIVATE, link)
    fitting = representations.plain
    if representations.is_large and encodings is not None:
        fitting = await representations.fitting(encodings)
    headers_of_304 = None if conditions is None else unchanged(fitting, conditions)
    if representations.viewed is not None and IS_HEAD not in request.scope:
        request.app.state.count_view(representations.viewed)
    if headers_of_304 is not None:
        return _Ready(304, b"", headers_of_304)
    return _Ready(200, fitting.body, fitting.headers)


def address(request: Request, path: str) -> str:
    """As clients reach it, also where a proxy strips a prefix."""
    root: str = request.scope.get("root_path", "")
    return root + path


def written(page: Page, *, location: str | None = None) -> Response:
    """What a write made of the resource: the bytes and the ETag of the next GET. With `location`, 201."""
    plain = Representations(page, PRIVATE, None).plain
    if location is None:
        return _Ready(200, plain.body, plain.headers)
    return _Ready(201, plain.body, (*plain.headers, (b"location", location.encode())))


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
