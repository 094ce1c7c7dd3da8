"""Posts, and the views that an import brings along."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ARRAY, Row, Select, Text, any_, delete, exists, func, insert, literal, select, update

from application.ports.repositories import ImportedPost
from domain.errors import PostNotFound, SlugTaken, StaleVersion, UserNotFound
from domain.ids import ImportId, PostId, UserId
from domain.posts import ContentFormat, Post, PostStatus, PostType, Slug, Writing
from infrastructure.database.errors import Refusals
from infrastructure.database.tables import post_views, posts
from infrastructure.database.transaction import Transaction

_COLUMNS = tuple(column.name for column in posts.columns if column.computed is None)


class SqlPosts:
    def __init__(self, transaction: Transaction) -> None:
        self._tx = transaction

    async def get(self, post_id: PostId) -> Post:
        return await self._one(select(posts).where(posts.c.id == post_id), post_id)

    async def lock(self, post_id: PostId) -> Post:
        return await self._one(select(posts).where(posts.c.id == post_id).with_for_update(key_share=True), post_id)

    async def slugs_taken(self, slugs: Collection[str]) -> set[str]:
        found = await self._tx.execute(select(posts.c.slug).where(posts.c.slug == _any_of(slugs)))
        return set(found.scalars())

    async def add(self, post: Post) -> None:
        made = dict(zip(_COLUMNS, _row(post, None), strict=True))
        await self._tx.execute(insert(posts).values(made), refusals=_refusals(post))

    async def save(self, post: Post) -> Post:
        saved = replace(post, version=post.version + 1)
        values = dict(zip(_COLUMNS, _row(saved, None), strict=True))
        for kept in ("id", "author_id", "created_at", "source", "external_id", "origin"):
            del values[kept]
        changed = update(posts).where(posts.c.id == post.id, posts.c.version == post.version).values(values)
        if (await self._tx.execute(changed, refusals=_refusals(post))).rowcount == 0:
            found = await self._tx.execute(select(posts.c.version).where(posts.c.id == post.id))
            raise StaleVersion(found.scalar_one_or_none())
        return saved

    async def delete(self, post_id: PostId) -> None:
        await self._tx.execute(delete(posts).where(posts.c.id == post_id))

    async def delete_by_author(self, author_id: UserId) -> int:
        return (await self._tx.execute(delete(posts).where(posts.c.author_id == author_id))).rowcount

    async def exist_by_author(self, author_id: UserId) -> bool:
        found = await self._tx.execute(select(exists().where(posts.c.author_id == author_id)))
        return bool(found.scalar_one())

    async def origins_by_slug(self, slugs: Collection[str]) -> dict[str, ImportId | None]:
        found = await self._tx.execute(select(posts.c.slug, posts.c.origin).where(posts.c.slug == _any_of(slugs)))
        return {row.slug: row.origin for row in found}

    async def origins_by_external_id(self, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], ImportId | None]:
        wanted = (
            func.unnest(
                literal([source for source, _ in keys], ARRAY(Text)), literal([name for _, name in keys], ARRAY(Text))
            )
            .table_valued("source", "external_id", name="wanted")
            .render_derived()
        )
        is_wanted = (posts.c.source == wanted.c.source) & (posts.c.external_id == wanted.c.external_id)
        # Said again, since it is what the index says: it holds no others.
        found = await self._tx.execute(
            select(posts.c.source, posts.c.external_id, posts.c.origin)
            .join_from(wanted, posts, is_wanted)
            .where(posts.c.external_id.is_not(None))
        )
        return {(row.source, row.external_id): row.origin for row in found}

    async def add_many(self, imported: Sequence[ImportedPost], *, origin: ImportId) -> None:
        await self._tx.copy(posts, _COLUMNS, (_row(one.post, origin) for one in imported))
        viewed = [(one.post.id, one.views) for one in imported if one.views]
        if viewed:
            await self._tx.copy(post_views, ("post_id", "views"), viewed)

    async def _one(self, statement: Select[Any], post_id: PostId) -> Post:
        row = (await self._tx.execute(statement)).first()
        if row is None:
            raise PostNotFound(post_id)
        return _post(row)


def _any_of(texts: Collection[str]) -> Any:
    return any_(literal(list(texts), ARRAY(Text)))


def _post(row: Row[Any]) -> Post:
    return Post(
        id=PostId(row.id),
        author_id=UserId(row.author_id),
        slug=Slug(row.slug),
        writing=Writing(
            title=row.title,
            content=row.content,
            content_format=ContentFormat(row.content_format),
            excerpt=row.excerpt,
            tags=tuple(row.tags),
            type=PostType(row.type),
        ),
        created_at=row.created_at,
        updated_at=row.updated_at,
        status=PostStatus(row.status),
        published_at=row.published_at,
        source=row.source,
        external_id=row.external_id,
        version=row.version,
    )


def _row(post: Post, origin: ImportId | None) -> tuple[object, ...]:
    """In the order of the table's columns."""
    writing = post.writing
    return (
        post.id,
        post.author_id,
        post.slug.value,
        writing.title,
        writing.content,
        writing.content_format.value,
        writing.excerpt,
        writing.tags,
        writing.type.value,
        post.status.value,
        post.published_at,
        post.created_at,
        post.updated_at,
        post.version,
        post.source,
        post.external_id,
        origin,
    )


def _refusals(post: Post) -> Refusals:
    return {
        "uq_posts_slug": lambda _: SlugTaken(post.slug.value),
        "fk_posts_author_id": lambda _: UserNotFound(post.author_id),
    }
