"""The cached read of the popular guides: JSON in Redis, looked up by redis-py in the route; on a miss the post is
queried with the request's SQLAlchemy session, dumped and kept for an hour. The answer goes through a response model.

`/posts/{slug}` is synchronous, as FastAPI's own tutorial on SQL databases writes its routes and its sessions;
`/async/{slug}` is the same with what the libraries have for asyncio. Only the second can fill the cache: Byline has no
synchronous driver among its dependencies, and a hit needs none, since a session takes a connection when it is used.
"""

import json
import os
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import redis
import redis.asyncio
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, selectinload, sessionmaker

from benchmarks.reads.rivals.models import Post, PostOut
from infrastructure.database.connections import driver_url

TTL_S = 3600

engine = create_async_engine(
    driver_url(os.environ["BYLINE_DATABASE_URL"]).replace("postgresql://", "postgresql+asyncpg://", 1)
)
new_session = sessionmaker()
new_async_session = async_sessionmaker(engine)
cache = redis.Redis.from_url(os.environ["BYLINE_REDIS_URL"])
async_cache = redis.asyncio.Redis.from_url(os.environ["BYLINE_REDIS_URL"])


def get_session() -> Iterator[Session]:
    with new_session() as session:
        yield session


async def get_async_session() -> AsyncIterator[AsyncSession]:
    async with new_async_session() as session:
        yield session


app = FastAPI()
ONE = select(Post).options(selectinload(Post.author))


@app.get("/posts/{slug}", response_model=PostOut)
def read_post(slug: str, session: Annotated[Session, Depends(get_session)]) -> Any:
    cached = cache.get(f"tutorial:{slug}")
    if cached is not None:
        return json.loads(cached)  # type: ignore[arg-type]  # redis-py's types leave open whether it is awaited
    return _kept(slug, session.scalar(ONE.where(Post.slug == slug)))


def _kept(slug: str, post: Post | None) -> PostOut:
    if post is None:
        raise HTTPException(404)
    found = PostOut.model_validate(post)
    cache.setex(f"tutorial:{slug}", TTL_S, found.model_dump_json())
    return found


@app.get("/async/{slug}", response_model=PostOut)
async def read_post_async(slug: str, session: Annotated[AsyncSession, Depends(get_async_session)]) -> Any:
    cached = await async_cache.get(f"tutorial:{slug}")
    if cached is not None:
        return json.loads(cached)
    post = await session.scalar(ONE.where(Post.slug == slug))
    if post is None:
        raise HTTPException(404)
    found = PostOut.model_validate(post)
    await async_cache.setex(f"tutorial:{slug}", TTL_S, found.model_dump_json())
    return found
