"""What is read: 200,000 published posts of about 1 kB by 50 authors."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg  # type: ignore[import-untyped]  # it has no types of its own
from uuid_utils.compat import uuid7

from infrastructure.database import schema

POSTS: Final = 200_000
AUTHORS: Final = 50

_START: Final = datetime(2016, 1, 1, tzinfo=UTC)
_APART: Final = timedelta(minutes=24)
_CONTENT: Final = "Byline keeps what was written. " * 30
_POST_COLUMNS: Final = (
    *("id", "author_id", "slug", "title", "content", "content_format", "excerpt", "tags", "type", "status"),
    *("published_at", "created_at", "updated_at", "version"),
)
_ENDING: Final = (_CONTENT, "markdown", "In short.", ["a", "b"], "post", "published")


@dataclass(frozen=True, slots=True)
class Post:
    id: UUID
    slug: str
    published_at: datetime


async def fill(url: str) -> Sequence[Post]:
    """An empty database; the posts, the newest first, as lists have them."""
    await schema.upgrade(url)
    connection = await asyncpg.connect(url)
    authors = [uuid7() for _ in range(AUTHORS)]
    await connection.copy_records_to_table(
        "users",
        columns=["id", "username", "role", "is_active", "created_at", "updated_at", "version"],
        records=[(a, f"author{n}", "author", True, _START, _START, 1) for n, a in enumerate(authors)],
    )
    await connection.copy_records_to_table(
        "profiles",
        columns=["user_id", "display_name", "bio"],
        records=[(a, f"Author {n}", "") for n, a in enumerate(authors)],
    )
    posts = [Post(uuid7(), f"post-number-{n}", _START + n * _APART) for n in range(POSTS)]
    await connection.copy_records_to_table(
        "posts",
        columns=_POST_COLUMNS,
        records=(
            (post.id, authors[n % AUTHORS], post.slug, f"Post number {n}", *_ENDING, *(3 * (post.published_at,)), 1)
            for n, post in enumerate(posts)
        ),
    )
    await connection.execute("VACUUM (ANALYZE)")
    await connection.close()
    return posts[::-1]
