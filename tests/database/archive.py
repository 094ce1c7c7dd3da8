"""Posts and users enough for plans to matter: a third by one author, a fifth drafts, a seventh pages."""

from dataclasses import dataclass
from uuid import UUID

import asyncpg  # type: ignore[import-untyped]  # it has no types of its own

from domain.ids import UserId
from infrastructure.database.database import Database

USERS = 3_000
POSTS = 6_000

_FILL = f"""
INSERT INTO users (id, username, email, role, is_active, created_at, updated_at, version)
SELECT md5('user' || n)::uuid, 'user' || n, 'user' || n || '@example.com',
       CASE WHEN n % 50 = 0 THEN 'operator' ELSE 'author' END, n % 20 <> 0, at, at, 1
FROM generate_series(1, {USERS}) n, LATERAL (SELECT timestamptz '2020-01-01Z' + n * interval '1 hour' AS at) t;
INSERT INTO profiles SELECT id, username, '', NULL, NULL FROM users;
INSERT INTO posts (id, author_id, slug, title, content, content_format, tags, type, status, published_at, created_at,
                   updated_at, version)
SELECT md5('post' || n)::uuid, md5('user' || CASE WHEN n % 3 = 0 THEN 1 ELSE 1 + n % 997 END)::uuid,
       'post-' || n, 'Post ' || n, repeat('Words. ', 50), 'markdown',
       CASE WHEN n % 4 = 0 THEN ARRAY['common', 't' || n % 500] ELSE ARRAY['t' || n % 500] END,
       CASE WHEN n % 7 = 0 THEN 'page' ELSE 'post' END, CASE WHEN n % 5 = 0 THEN 'draft' ELSE 'published' END,
       CASE WHEN n % 10 <> 0 THEN at END, at, at, 1
FROM generate_series(1, {POSTS}) n, LATERAL (SELECT timestamptz '2020-01-01Z' + n * interval '1 hour' AS at) t;
INSERT INTO post_views SELECT id, 1 + abs(hashtext(slug)) % 1000 FROM posts WHERE abs(hashtext(slug)) % 5 > 1;
"""


@dataclass(frozen=True, slots=True)
class Archive:
    """`author_id` wrote more posts than anybody else."""

    url: str
    database: Database
    author_id: UserId


async def fill(url: str) -> UUID:
    """The author of most posts."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(_FILL)
        await connection.execute("VACUUM ANALYZE users, profiles, posts, post_views")
        return UUID(
            str(await connection.fetchval("SELECT author_id FROM posts GROUP BY 1 ORDER BY count(*) DESC LIMIT 1"))
        )
    finally:
        await connection.close()
