"""Conditional requests (RFC 9110, section 13).

An ETag is `"<version>-<digest>"`: `If-None-Match` compares all of it, `If-Match` the version alone.
"""

import re
from collections.abc import Awaitable, Callable, Sequence

from starlette.exceptions import HTTPException
from starlette.requests import Request

from application.pages import Page
from domain.errors import VersionMismatch

_LIST = re.compile(r'[ \t,]*(?:(?P<tag>(?:W/)?"[\x21\x23-\x7e\x80-\xff]*")[ \t]*(?:,|$))')
ANY = "*"


def tags_in(lines: Sequence[str], header: str) -> list[str]:
    """The entity tags of a header, or `["*"]`. Raises HTTPException (400) where it breaks the grammar."""
    text = ", ".join(lines).strip()
    if text == ANY:
        return [ANY]
    tags: list[str] = []
    at = 0
    while at < len(text) or not tags:
        match = _LIST.match(text, at)
        if match is None:
            raise HTTPException(400, f'{header} must be * or quoted entity tags, as in {header}: "3-0f1e".')
        tags.append(match["tag"])
        at = match.end()
    return tags


async def expected_version(request: Request, read: Callable[[], Awaitable[Page]]) -> int | None:
    """The version that `If-Match` asks for, None where any will do. `read` is called only where the header alone does
    not decide. Weak tags never match. Raises VersionMismatch, HTTPException (400)."""
    lines = _lines(request, b"if-match")
    if not lines:
        return None
    tags = tags_in(lines, "If-Match")
    if tags == [ANY]:
        return None
    versions = {_version(tag) for tag in tags} - {None}
    if len(versions) == 1:
        return versions.pop()
    current = _version((await read()).etag)
    if current not in versions:
        raise VersionMismatch(current)
    return current


def _lines(request: Request, header: bytes) -> list[str]:
    return [value.decode("latin-1") for name, value in request.scope["headers"] if name == header]


def _version(tag: str) -> int | None:
    """None where there is none, and for weak tags, which begin with a W."""
    number = tag.strip('"').partition("-")[0]
    return int(number) if number.isascii() and number.isdigit() and len(number) < 19 else None
