"""Posts, and the views that an import brings along."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import ARRAY, Row, Select, Text, Uuid, any_, delete, exists, insert, literal, select, update

from application.ports.imports import PackedPosts
from application.ports.repositories import Stored
from domain.errors import PostNotFound, SlugTaken, StaleVersion, UserNotFound
from domain.ids import ImportId, PostId, UserId
from domain.posts import ContentFormat, Post, PostStatus, PostType, Slug, Writing
from infrastructure.database.connections import Record
from infrastructure.database.errors import Refusals
from infrastructure.database.post_copy import POST_COLUMNS, VIEWS_COLUMNS, alone, pieces_of, views_of
from infrastructure.database.tables import post_views, posts, users
from infrastructure.database.transaction import Transaction

_COLUMNS = tuple(column.name for column in posts.columns if column.computed is None)

_FEW_SOURCES: Final = 4

# Lines of one text: asyncpg looks at each item of an array three times.
_BY_SLUG: Final = r"SELECT slug, id, origin FROM posts WHERE slug = ANY(string_to_array($1, E'\n'))"
_BY_EXTERNAL_ID: Final = r"""
    SELECT external_id, id, origin FROM posts WHERE source = $1 AND external_id = ANY(string_to_array($2, E'\n'))
"""
# That there is an external id is said again, since it is what the index says: it holds no others.
_BY_SOURCE_AND_EXTERNAL_ID: Final = """
    SELECT source, external_id, id, origin
    FROM unnest($1::text[], $2::text[]) AS wanted (source, external_id) JOIN posts USING (source, external_id)
    WHERE external_id IS NOT NULL
"""
_SAVE_MANY: Final = """
    UPDATE posts SET
        author_id = new.author_id, slug = new.slug, title = new.title, content = new.content,
        content_format = new.content_format, excerpt = new.excerpt, tags = new.tags, type = new.type,
        status = new.status, published_at = new.published_at, updated_at = new.updated_at, version = posts.version + 1
    FROM unnest($1::posts[]) AS new WHERE posts.id = new.id
"""
_LOCK_AUTHORS_AND_SKIP_TRIGGERS: Final = """
    WITH locked AS (SELECT id FROM users WHERE id = ANY($1::uuid[]) ORDER BY id FOR KEY SHARE)
    SELECT CASE WHEN count(*) = cardinality($1::uuid[]) AND has_parameter_privilege('session_replication_role', 'SET')
           THEN set_config('session_replication_role', 'replica', true) END AS skips_triggers FROM locked
"""


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
        # In id order, as views are added: neither waits for the other in a circle.
        theirs = select(posts.c.id).where(posts.c.author_id == author_id).order_by(posts.c.id)
        await self._tx.execute(theirs.with_for_update())
        return (await self._tx.execute(delete(posts).where(posts.c.author_id == author_id))).rowcount

    async def exist_by_author(self, author_id: UserId, *, for_good: bool = False) -> bool:
        if for_good:
            # Whoever adds a post holds its author FOR KEY SHARE.
            await self._tx.execute(select(users.c.id).where(users.c.id == author_id).with_for_update())
        found = await self._tx.execute(select(exists().where(posts.c.author_id == author_id)))
        return bool(found.scalar_one())

    async def stored_by_slug(self, slugs: Collection[str]) -> dict[str, Stored[PostId]]:
        return {row["slug"]: _stored(row) for row in await self._tx.fetch(_BY_SLUG, "\n".join(slugs))}

    async def stored_by_external_id(self, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], Stored[PostId]]:
        names: dict[str, list[str]] = defaultdict(list)
        for source, name in keys:
            names[source].append(name)
        if len(names) <= _FEW_SOURCES:
            # One walk of the index takes a third of the time of a look-up for each key.
            return {
                (source, row["external_id"]): _stored(row)
                for source, of_source in names.items()
                for row in await self._tx.fetch(_BY_EXTERNAL_ID, source, "\n".join(of_source))
            }
        columns = [source for source, _ in keys], [name for _, name in keys]
        found = await self._tx.fetch(_BY_SOURCE_AND_EXTERNAL_ID, *columns)
        return {(row["source"], row["external_id"]): _stored(row) for row in found}

    async def lock_many(self, post_ids: Collection[PostId]) -> list[Post]:
        asked = select(posts).where(posts.c.id == any_(literal(list(post_ids), ARRAY(Uuid)))).order_by(posts.c.id)
        return [_post(row) for row in await self._tx.execute(asked.with_for_update(key_share=True))]

    async def save_many(self, changed: Sequence[Post]) -> None:
        await self._tx.fetch(_SAVE_MANY, [(*_row(post, None), None) for post in changed])

    async def add_many(self, packed: PackedPosts) -> None:
        """Where it is allowed, without the triggers that look up each row's foreign keys one by one, which take as long
        as two indexes: the authors are looked up and kept here, all at once, and the views' posts were just written."""
        (locked,) = await self._tx.fetch(_LOCK_AUTHORS_AND_SKIP_TRIGGERS, packed.author_ids)
        await self._tx.copy_encoded(posts, POST_COLUMNS, pieces_of(packed))
        if views := views_of(packed):
            await self._tx.copy_encoded(post_views, VIEWS_COLUMNS, alone(views))
        if locked["skips_triggers"]:
            await self._tx.run("SET LOCAL session_replication_role = origin")

    async def _one(self, statement: Select[Any], post_id: PostId) -> Post:
        row = (await self._tx.execute(statement)).first()
        if row is None:
            raise PostNotFound(post_id)
        return _post(row)


def _any_of(texts: Collection[str]) -> Any:
    return any_(literal(list(texts), ARRAY(Text)))


def _stored(row: Record) -> Stored[PostId]:
    return Stored(row["id"], row["origin"])


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
