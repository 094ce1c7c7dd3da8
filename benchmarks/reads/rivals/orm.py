"""SQLAlchemy's ORM and pydantic: an AsyncSession a request, the author by selectinload, a response model.

`/page` is page 1 of a list as tutorials have it: a `count(*)`, then OFFSET and LIMIT.
"""

import os
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, FastAPI, HTTPException, Query
from sqlalchemy import Select, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import selectinload

from benchmarks.reads.rivals.models import ListOut, PageOut, Post, PostOut
from infrastructure.database.connections import driver_url

# As many connections as the others have: the default of 5 makes up to 10 more and closes them again all the time.
engine = create_async_engine(
    driver_url(os.environ["BYLINE_DATABASE_URL"]).replace("postgresql://", "postgresql+asyncpg://", 1),
    pool_size=10,
    max_overflow=0,
)
new_session = async_sessionmaker(engine, expire_on_commit=False)


async def get_session() -> AsyncIterator[AsyncSession]:
    async with new_session() as session:
        yield session


Session = Annotated[AsyncSession, Depends(get_session)]

app = FastAPI()


def _published() -> Select[Post]:
    return (
        select(Post)
        .where(Post.status == "published", Post.type == "post")
        .options(selectinload(Post.author))
        .order_by(Post.listed_at.desc(), Post.id.desc())
    )


@app.get("/posts/{slug}", response_model=PostOut)
async def read_post(slug: str, session: Session) -> Post:
    post = await session.scalar(select(Post).where(Post.slug == slug).options(selectinload(Post.author)))
    if post is None:
        raise HTTPException(404)
    return post


@app.get("/posts", response_model=ListOut)
async def read_posts(session: Session, after: str | None = None) -> dict[str, object]:
    statement = _published().limit(20)
    if after is not None:
        moment, _, post_id = after.partition("_")
        last = datetime.fromisoformat(moment), UUID(post_id)
        statement = statement.where(tuple_(Post.listed_at, Post.id) < last)
    return {"items": (await session.scalars(statement)).all()}


@app.get("/page", response_model=PageOut)
async def read_page(
    session: Session, page: Annotated[int, Query(ge=1)] = 1, page_size: Annotated[int, Query(ge=1, le=100)] = 20
) -> dict[str, object]:
    counted = select(func.count()).select_from(Post).where(Post.status == "published", Post.type == "post")
    total = await session.scalar(counted) or 0
    posts = await session.scalars(_published().offset((page - 1) * page_size).limit(page_size))
    pages = -(-total // page_size)
    return {"items": posts.all(), "page": page, "page_size": page_size, "total": total, "total_pages": pages}
