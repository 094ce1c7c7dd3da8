"""Posts of an import as COPY takes them: the fastest way that many rows go in, and so at pains to be fast itself."""

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import islice
from typing import Final

from application.ports.imports import ImportedPost, PackedPosts
from domain.ids import ImportId
from infrastructure.database.binary_copy import (
    BEGIN,
    END,
    NULL,
    UUID_LENGTH,
    count,
    instant_field,
    int4_field,
    int8_field,
    length,
    text_field,
    texts_field,
    uuid_field,
)

POST_COLUMNS: Final = (
    "created_at", "updated_at", "version", "origin", "id", "author_id", "content_format", "type", "status", "source",
    "tags", "published_at", "external_id", "slug", "excerpt", "title", "content",
)  # fmt: skip
"""What is the same in all rows comes first, so that it is one piece."""
VIEWS_COLUMNS: Final = ("post_id", "views")

PIECE_BYTES: Final = 128 * 1024
"""PostgreSQL is at work on a piece while the next one is on its way."""


def pack_posts(posts: Sequence[ImportedPost], *, origin: ImportId, at: datetime) -> PackedPosts:
    """Encoded: first the views, empty where there are none, then the posts in pieces."""
    author_ids = tuple({post.author_id for post in posts})
    return PackedPosts(posts, origin, at, author_ids, (_views(posts), *_post_pieces(posts, origin, at)))


def views_of(packed: PackedPosts) -> bytes:
    return packed.encoded[0]


async def pieces_of(packed: PackedPosts) -> AsyncIterator[bytes]:
    for piece in islice(packed.encoded, 1, None):
        yield piece


async def alone(piece: bytes) -> AsyncIterator[bytes]:
    yield piece


def _views(posts: Sequence[ImportedPost]) -> bytes:
    begin = count(len(VIEWS_COLUMNS))
    rows = [begin + uuid_field(post.id) + int8_field(post.views) for post in posts if post.views]
    return b"".join((BEGIN, *rows, END)) if rows else b""


def _post_pieces(posts: Sequence[ImportedPost], origin: ImportId, at: datetime) -> Iterator[bytes]:
    created = instant_field(at)
    begin = count(len(POST_COLUMNS)) + created + created + int4_field(1) + uuid_field(origin) + UUID_LENGTH
    parts = [BEGIN]
    size = 0
    for post in posts:
        slug, title, content = post.slug.encode(), post.title.encode(), post.content.encode()
        parts += (
            begin,
            post.id.bytes,
            uuid_field(post.author_id),
            _codes(post.content_format, post.type, post.status),
            _source(post.source),
            _tags(post.tags),
            instant_field(post.published_at),
            text_field(post.external_id),
            length(len(slug)),
            slug,
            NULL if post.excerpt is None else text_field(post.excerpt),
            length(len(title)),
            title,
            length(len(content)),
            content,
        )
        size += len(content)
        if size >= PIECE_BYTES:
            yield b"".join(parts)
            parts = []
            size = 0
    parts.append(END)
    yield b"".join(parts)


@lru_cache(maxsize=64)
def _codes(content_format: str, type_: str, status: str) -> bytes:
    return text_field(content_format) + text_field(type_) + text_field(status)


_source = lru_cache(maxsize=64)(text_field)
_tags = lru_cache(maxsize=4096)(texts_field)
