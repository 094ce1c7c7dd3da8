"""Posts in memory, their views beside them."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from application.ports.imports import ImportedPost, PackedPosts
from application.ports.repositories import Stored
from domain.errors import ExternalIdTaken, PostNotFound, SlugTaken, StaleVersion, UserNotFound
from domain.ids import ImportId, PostId, UserId
from domain.posts import Post, Slug, Writing
from infrastructure.memory.locks import Strength
from infrastructure.memory.tables import StoredPost
from infrastructure.memory.transaction import Transaction


def pack_posts(posts: Sequence[ImportedPost], *, origin: ImportId, at: datetime) -> PackedPosts:
    return PackedPosts(posts, origin, at)


class MemoryPosts:
    def __init__(self, transaction: Transaction) -> None:
        self._tx = transaction

    async def get(self, post_id: PostId) -> Post:
        await self._tx.statement()
        stored = self._tx.posts.find(post_id)
        if stored is None:
            raise PostNotFound(post_id)
        return stored.post

    async def lock(self, post_id: PostId) -> Post:
        await self._tx.statement()
        stored = await self._tx.posts.lock(post_id)
        if stored is None:
            raise PostNotFound(post_id)
        return stored.post

    async def slugs_taken(self, slugs: Collection[str]) -> set[str]:
        await self._tx.statement()
        return {slug for slug in slugs if self._tx.slugs.find(slug) is not None}

    async def add(self, post: Post) -> None:
        await self._tx.statement()
        await self._add([post], origin=None)

    async def save(self, post: Post) -> Post:
        await self._tx.statement()
        stored = await self._tx.posts.lock(post.id)
        if stored is None or stored.post.version != post.version:
            raise StaleVersion(stored.post.version if stored else None)
        saved = replace(post, author_id=stored.post.author_id)
        return await self._save(stored, saved)

    async def delete(self, post_id: PostId) -> None:
        await self._tx.statement()
        await self._delete(post_id)

    async def delete_by_author(self, author_id: UserId) -> int:
        await self._tx.statement()
        theirs = sorted(stored.post.id for stored in self._tx.posts.values() if stored.post.author_id == author_id)
        return sum([await self._delete(post_id) for post_id in theirs])

    async def exist_by_author(self, author_id: UserId, *, for_good: bool = False) -> bool:
        await self._tx.statement()
        if for_good:
            await self._tx.users.lock(author_id, Strength.UPDATE)
        return any(stored.post.author_id == author_id for stored in self._tx.posts.values())

    async def stored_by_slug(self, slugs: Collection[str]) -> dict[str, Stored[PostId]]:
        await self._tx.statement()
        found = {slug: self._stored(self._tx.slugs.find(slug)) for slug in slugs}
        return {slug: stored for slug, stored in found.items() if stored is not None}

    async def stored_by_external_id(self, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], Stored[PostId]]:
        await self._tx.statement()
        found = {key: self._stored(self._tx.external_ids.find(key)) for key in keys}
        return {key: stored for key, stored in found.items() if stored is not None}

    async def lock_many(self, post_ids: Collection[PostId]) -> list[Post]:
        await self._tx.statement()
        locked = [await self._tx.posts.lock(post_id) for post_id in sorted(set(post_ids))]
        return [stored.post for stored in locked if stored is not None]

    async def save_many(self, posts: Sequence[Post]) -> None:
        await self._tx.statement()
        moved = []
        for post in posts:
            stored = await self._tx.posts.lock(post.id)
            if stored is not None:
                await self._save(stored, post)
                moved += [post] if post.author_id != stored.post.author_id else []
        for post in moved:
            await self._require_author(post)

    async def add_many(self, packed: PackedPosts) -> None:
        await self._tx.statement()
        await self._add([_post(imported, packed.at) for imported in packed.posts], origin=packed.origin)
        for imported in packed.posts:
            if imported.views:
                self._tx.views.put(imported.id, imported.views)

    async def _add(self, posts: Sequence[Post], *, origin: ImportId | None) -> None:
        """Foreign keys are looked at when the statement has written all of its rows."""
        for post in posts:
            await self._claim_slug(post)
            key = _external_key(post)
            if key is not None and not await self._tx.external_ids.claim(key, post.id):
                raise self._tx.refused(ExternalIdTaken())
            self._tx.posts.put(post.id, StoredPost(post, origin))
        for post in posts:
            await self._require_author(post)

    async def _save(self, stored: StoredPost, post: Post) -> Post:
        before = stored.post
        saved = replace(
            post,
            created_at=before.created_at,
            source=before.source,
            external_id=before.external_id,
            version=before.version + 1,
        )
        if saved.slug != before.slug:
            await self._tx.slugs.remove(before.slug.value)
            await self._claim_slug(saved)
        self._tx.posts.put(saved.id, replace(stored, post=saved))
        return saved

    async def _require_author(self, post: Post) -> None:
        if not await self._tx.users.refer(post.author_id):
            raise self._tx.refused(UserNotFound(post.author_id))

    async def _delete(self, post_id: PostId) -> bool:
        stored = await self._tx.posts.remove(post_id)
        if stored is None:
            return False
        await self._tx.slugs.remove(stored.post.slug.value)
        key = _external_key(stored.post)
        if key is not None:
            await self._tx.external_ids.remove(key)
        await self._tx.views.remove(post_id)
        return True

    async def _claim_slug(self, post: Post) -> None:
        if not await self._tx.slugs.claim(post.slug.value, post.id):
            raise self._tx.refused(SlugTaken(post.slug.value))

    def _stored(self, post_id: PostId | None) -> Stored[PostId] | None:
        stored = None if post_id is None else self._tx.posts.find(post_id)
        return None if stored is None else Stored(stored.post.id, stored.origin)


def _external_key(post: Post) -> tuple[str, str] | None:
    return None if post.source is None or post.external_id is None else (post.source, post.external_id)


def _post(imported: ImportedPost, at: datetime) -> Post:
    return Post(
        id=imported.id,
        author_id=imported.author_id,
        slug=Slug(imported.slug),
        writing=Writing(
            imported.title,
            imported.content,
            imported.content_format,
            imported.excerpt,
            imported.tags,
            imported.type,
        ),
        created_at=at,
        updated_at=at,
        status=imported.status,
        published_at=imported.published_at,
        source=imported.source,
        external_id=imported.external_id,
    )
