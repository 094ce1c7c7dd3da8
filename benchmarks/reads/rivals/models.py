"""The tables as SQLAlchemy's ORM has them, and the answers as pydantic has them."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from sqlalchemy import ARRAY, DateTime, ForeignKey, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: DateTime(timezone=True),
        list[str]: ARRAY(Text),
        str: Text,
    }


class Profile(Base):
    __tablename__ = "profiles"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), primary_key=True)
    display_name: Mapped[str]


class User(Base):
    __tablename__ = "users"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    username: Mapped[str]
    profile: Mapped[Profile] = relationship(lazy="joined", innerjoin=True)

    @property
    def display_name(self) -> str:
        return self.profile.display_name


class PostViews(Base):
    __tablename__ = "post_views"

    post_id: Mapped[UUID] = mapped_column(ForeignKey("posts.id"), primary_key=True)
    views: Mapped[int]


class Post(Base):
    __tablename__ = "posts"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    author_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    title: Mapped[str]
    slug: Mapped[str]
    content: Mapped[str]
    content_format: Mapped[str]
    excerpt: Mapped[str | None]
    tags: Mapped[list[str]]
    type: Mapped[str]
    status: Mapped[str]
    published_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    version: Mapped[int]
    listed_at: Mapped[datetime]
    author: Mapped[User] = relationship()
    counted: Mapped[PostViews | None] = relationship(lazy="joined")

    @property
    def views(self) -> int:
        return self.counted.views if self.counted else 0


class AuthorOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    username: str
    display_name: str


class PostOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    title: str
    slug: str
    content: str
    content_format: str
    excerpt: str | None
    tags: list[str]
    type: str
    status: str
    published_at: datetime | None
    created_at: datetime
    updated_at: datetime
    version: int
    author: AuthorOut
    views: int


class ListOut(BaseModel):
    items: list[PostOut]


class PageOut(ListOut):
    page: int
    page_size: int
    total: int
    total_pages: int
