"""FastAPI and raw asyncpg, nothing else. The same results, the same encoder, no rules and no errors.

BYLINE_DATABASE_URL=… granian --interface asgi benchmarks.reads.rivals.minimal:app
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

import asyncpg  # type: ignore[import-untyped]  # it has no types of its own
import msgspec
from fastapi import FastAPI, Request, Response

COLUMNS = """
    p.id, p.title, p.slug, p.content, p.content_format, p.excerpt, p.tags, p.type, p.status, p.published_at,
    p.created_at, p.updated_at, p.version, u.id AS author_id, u.username, f.display_name, coalesce(v.views, 0) AS views
"""
JOINED = """
    FROM posts p JOIN users u ON u.id = p.author_id JOIN profiles f ON f.user_id = u.id
    LEFT JOIN post_views v ON v.post_id = p.id
"""
LISTED = f"SELECT {COLUMNS} {JOINED} WHERE p.status = 'published' AND p.type = 'post'"
IN_ORDER = "ORDER BY p.listed_at DESC, p.id DESC LIMIT 20"
ONE = f"SELECT {COLUMNS} {JOINED} WHERE p.slug = $1"
NEWEST = f"{LISTED} {IN_ORDER}"
AFTER = f"{LISTED} AND (p.listed_at, p.id) < ($1, $2) {IN_ORDER}"


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.pool = await asyncpg.create_pool(os.environ["BYLINE_DATABASE_URL"], min_size=10, max_size=10)
    yield
    await app.state.pool.close()


app = FastAPI(lifespan=lifespan)


def shaped(row: asyncpg.Record) -> dict[str, object]:
    post = dict(row)
    author = {"id": post.pop("author_id"), "username": post.pop("username"), "display_name": post.pop("display_name")}
    return {**post, "author": author}


@app.get("/posts/{slug}")
async def read_post(slug: str, request: Request) -> Response:
    row = await request.app.state.pool.fetchrow(ONE, slug)
    return Response(msgspec.json.encode(shaped(row)), media_type="application/json")


@app.get("/posts")
async def read_posts(request: Request, after: str | None = None) -> Response:
    """`after` is the moment and the id of the last post seen, with an underscore between."""
    pool = request.app.state.pool
    if after is None:
        rows = await pool.fetch(NEWEST)
    else:
        moment, _, post_id = after.partition("_")
        rows = await pool.fetch(AFTER, datetime.fromisoformat(moment), UUID(post_id))
    return Response(msgspec.json.encode({"items": [shaped(row) for row in rows]}), media_type="application/json")
