"""The rivals that are written by hand: SQLAlchemy as its tutorials have it, in a process of its own.

    BYLINE_DATABASE_URL=… python -m benchmarks.imports.tutorial bulk|add_all FILE ROWS

Each line is parsed, validated by pydantic and given its author, an id and a slug (by Byline's own slugger, which is
faster than what it calls). Nothing looks for what is there already. Prints the seconds.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Final
from uuid import UUID

from pydantic import BaseModel, Field
from sqlalchemy import ARRAY, DateTime, Text, insert, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from uuid_utils.compat import uuid7

from infrastructure.database.connections import driver_url
from infrastructure.slugs import slug_words

BATCH: Final = 2_000


class Base(DeclarativeBase):
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: DateTime(timezone=True),
        list[str]: ARRAY(Text),
        str: Text,
    }


class Post(Base):
    __tablename__ = "posts"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    author_id: Mapped[UUID]
    slug: Mapped[str]
    title: Mapped[str]
    content: Mapped[str]
    content_format: Mapped[str]
    tags: Mapped[list[str]]
    type: Mapped[str]
    status: Mapped[str]
    published_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    version: Mapped[int]
    source: Mapped[str | None]
    external_id: Mapped[str | None]


class PostIn(BaseModel):
    title: str = Field(min_length=1, max_length=300)
    author: str
    content: str
    tags: list[str]
    published_at: datetime
    source: str
    external_id: str


def _values(line: bytes, authors: dict[str, UUID]) -> dict[str, object]:
    row = PostIn(**json.loads(line))
    now = datetime.now(UTC)
    return {
        "id": uuid7(),
        "author_id": authors[row.author],
        "slug": slug_words(row.title),
        "title": row.title,
        "content": row.content,
        "content_format": "markdown",
        "tags": row.tags,
        "type": "post",
        "status": "published",
        "published_at": row.published_at,
        "created_at": now,
        "updated_at": now,
        "version": 1,
        "source": row.source,
        "external_id": row.external_id,
    }


async def _authors(session: AsyncSession) -> dict[str, UUID]:
    found = await session.execute(text("SELECT username, id FROM users"))
    return {user.username: user.id for user in found}


async def bulk(session: AsyncSession, lines: Iterator[bytes]) -> None:
    authors = await _authors(session)
    while batch := list(islice(lines, BATCH)):
        await session.execute(insert(Post), [_values(line, authors) for line in batch])
        await session.commit()


async def add_all(session: AsyncSession, lines: Iterator[bytes]) -> None:
    authors = await _authors(session)
    while batch := list(islice(lines, BATCH)):
        session.add_all([Post(**_values(line, authors)) for line in batch])
        await session.commit()
        session.expunge_all()


async def main(way: str, file: Path, rows: int) -> None:
    url = driver_url(os.environ["BYLINE_DATABASE_URL"]).replace("postgresql://", "postgresql+asyncpg://", 1)
    engine = create_async_engine(url)
    write = {"bulk": bulk, "add_all": add_all}[way]
    with file.open("rb") as lines:
        async with async_sessionmaker(engine)() as session:
            began = time.perf_counter()
            await write(session, islice(lines, rows))
            print(time.perf_counter() - began)
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
