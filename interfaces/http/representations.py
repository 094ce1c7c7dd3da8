"""What a page looks like on the wire: as it is or compressed, whole or as a 304, for the router's answers and for those
that come before it alike."""

import asyncio
import gzip
from functools import lru_cache

from starlette.types import Message

from application.pages import ListPage, Page
from interfaces.http.etags import ANY, tags_in

Headers = list[tuple[bytes, bytes]]

GZIP_MIN_BYTES = 2048
"""Smaller ones fit into a packet or two either way."""
GZIP_LEVEL = 6
AT_ONCE_BYTES = 64 * 1024
"""What is larger is compressed in a thread: it takes milliseconds."""
COMPRESSED_BYTES = 8 * 1024 * 1024
"""Of bodies lately compressed, as they were and as they are."""
GZIP_SUFFIX = "-gzip"
_REMEMBERED_BYTES = 200

_JSON = (b"content-type", b"application/json")
_GZIP = (b"content-encoding", b"gzip")
# Whoever signs in may be shown more: caches keep what a stranger saw for strangers, and for all who send the same.
_VARY = (b"vary", b"Authorization, Accept-Encoding")
PUBLIC = (_VARY, (b"cache-control", b"public, max-age=0, must-revalidate"))
PRIVATE = (_VARY, (b"cache-control", b"private, no-cache"))
Caching = tuple[tuple[bytes, bytes], tuple[bytes, bytes]]


class Representation:
    """One of a page. `etag` is its own; the lists are shared by all its answers, and must not be changed."""

    __slots__ = ("body", "body_message", "etag", "etag_line", "headers", "headers_of_304")

    def __init__(self, etag: str, body: bytes, told: Headers, kept: Headers) -> None:
        self.etag = etag
        self.etag_line = etag.encode()
        self.body = body
        length = (b"content-length", b"%d" % len(body))
        tag = (b"etag", self.etag_line)
        self.headers: Headers = [_JSON, *told, length, tag, *kept]
        self.headers_of_304: Headers = [tag, *kept]
        self.body_message: Message = {"type": "http.response.body", "body": body, "more_body": False}


class Representations:
    """Of one page. The compressed one is made when it is first asked for, and kept."""

    __slots__ = ("_compressed", "_kept", "is_large", "plain", "viewed")

    def __init__(self, page: Page | ListPage, caching: Caching, link: str | None) -> None:
        self._kept: Headers = list(caching)
        if link is not None:
            self._kept.append((b"link", link.encode("latin-1")))
        self.plain = Representation(page.etag, page.body, [], self._kept)
        self.viewed = page.viewed.bytes if isinstance(page, Page) and page.viewed is not None else None
        self.is_large = len(page.body) >= GZIP_MIN_BYTES
        self._compressed: Representation | None = None

    async def fitting(self, accept_encoding: bytes) -> Representation:
        """The one to answer a client with that accepts this."""
        made = self.made(accept_encoding)
        if made is None:
            made = self._compressed = await self._compress()
        return made

    def made(self, accept_encoding: bytes) -> Representation | None:
        """The same, where it need not be made first."""
        return self._compressed if self.is_large and accepts_gzip(accept_encoding) else self.plain

    async def _compress(self) -> Representation:
        body = self.plain.body
        smaller = await compressed(body)
        if len(smaller) >= len(body):
            return self.plain
        # Bytes that differ have a strong ETag that differs (RFC 9110, 8.8.3.3).
        return Representation(self.plain.etag[:-1] + GZIP_SUFFIX + '"', smaller, [_GZIP], self._kept)


def unchanged(representation: Representation, if_none_match: bytes) -> Headers | None:
    """The headers of the 304 where the client has it already, else None. By weak comparison, so that a client who has
    it in another encoding has it; it is told its own ETag. Raises HTTPException (400) where it breaks the grammar."""
    if if_none_match == representation.etag_line:
        return representation.headers_of_304
    tags = tags_in([if_none_match.decode("latin-1")], "If-None-Match")
    if tags == [ANY]:
        return representation.headers_of_304
    alike = _without_encoding(representation.etag)
    for tag in tags:
        named = tag.removeprefix("W/")
        if _without_encoding(named) == alike:
            return [(b"etag", named.encode("latin-1")), *representation.headers_of_304[1:]]
    return None


class Compressed:
    """Bodies lately compressed: the readers of one moment, and those of a page that no L1 keeps, share the work."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._kept: dict[bytes, bytes] = {}
        self.kept_bytes = 0
        self._under_way: dict[bytes, asyncio.Future[bytes]] = {}

    async def __call__(self, body: bytes) -> bytes:
        smaller = self._kept.get(body)
        if smaller is not None:
            return smaller
        if len(body) <= AT_ONCE_BYTES:
            return self._keep(body, _gzipped(body))
        running = self._under_way.get(body)
        if running is None:
            running = self._under_way[body] = asyncio.ensure_future(asyncio.to_thread(_gzipped, body))
            running.add_done_callback(lambda _: self._under_way.pop(body))
        return self._keep(body, await asyncio.shield(running))

    def _keep(self, body: bytes, smaller: bytes) -> bytes:
        if body not in self._kept:
            self._kept[body] = smaller
            self.kept_bytes += len(body) + len(smaller)
            while self.kept_bytes > self._max_bytes:
                oldest = next(iter(self._kept))
                self.kept_bytes -= len(oldest) + len(self._kept.pop(oldest))
        return smaller


compressed = Compressed(COMPRESSED_BYTES)


def accepts_gzip(accept_encoding: bytes) -> bool:
    """Whether this Accept-Encoding, its lines joined by commas, prefers gzip to nothing (RFC 9110, 12.5.3)."""
    # Long ones are not remembered: they would fill the memory.
    remembers = len(accept_encoding) <= _REMEMBERED_BYTES
    return _accepts_gzip(accept_encoding) if remembers else _accepts_gzip.__wrapped__(accept_encoding)


@lru_cache(maxsize=1024)
def _accepts_gzip(accept_encoding: bytes) -> bool:
    weights = {}
    for part in accept_encoding.decode("latin-1").lower().split(","):
        coding, *parameters = (piece.strip() for piece in part.split(";"))
        weights[coding] = _weight(parameters)
    gzip_weight = weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0)))
    return gzip_weight > 0.0 and gzip_weight >= weights.get("identity", 0.0)


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0


def _gzipped(body: bytes) -> bytes:
    """The same bytes each time: without the time of day."""
    return gzip.compress(body, GZIP_LEVEL, mtime=0)


def _without_encoding(etag: str) -> str:
    return etag[: -len(GZIP_SUFFIX) - 1] + '"' if etag.endswith(GZIP_SUFFIX + '"') else etag
