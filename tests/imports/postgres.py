"""What import jobs run on in tests, on PostgreSQL."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it has no types of its own

from application.ports.imports import PackPosts
from application.ports.work import BeginWork
from infrastructure.database.database import Database, import_database
from infrastructure.database.post_copy import pack_posts
from infrastructure.settings import Settings
from infrastructure.storage.files import FileBlobs
from tests.imports.places import Place, StoredPost, StoredUser, is_of_jobs


class SqlPlace(Place):
    def __init__(self, database: Database, url: str, folder: Path) -> None:
        super().__init__(FileBlobs(folder))
        self.database = database
        self._url = url

    @property
    def begin(self) -> BeginWork:
        return self.database.begin

    @property
    def pack(self) -> PackPosts:
        return pack_posts

    async def posts(self) -> list[StoredPost]:
        rows = await self._rows("""
            SELECT slug, title, content, content_format, excerpt, tags, type, status, published_at, p.created_at,
                   coalesce(views, 0) AS views, username AS author, source, external_id, p.updated_at, p.version
            FROM posts p JOIN users u ON u.id = author_id LEFT JOIN post_views ON post_id = p.id ORDER BY slug
        """)
        return [StoredPost(**row | {"tags": tuple(row["tags"])}) for row in rows]

    async def users(self) -> list[StoredUser]:
        rows = await self._rows("""
            SELECT username, email, role, display_name, bio, website, password_hash IS NOT NULL AS has_password,
                   (SELECT count(*) FROM accounts WHERE owner_id = u.id) AS accounts, version
            FROM users u JOIN profiles ON user_id = u.id ORDER BY username COLLATE "C"
        """)
        return [StoredUser(**row) for row in rows]

    async def everything(self) -> dict[str, object]:
        tables = await self._rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename")
        names = [row["tablename"] for row in tables if not is_of_jobs(row["tablename"])]
        return {name: await self._rows(f'SELECT t.* FROM "{name}" t ORDER BY t::text') for name in names}

    async def _rows(self, statement: str) -> Sequence[dict[str, Any]]:
        connection = await asyncpg.connect(self._url)
        try:
            return [dict(row) for row in await connection.fetch(statement)]
        finally:
            await connection.close()


@asynccontextmanager
async def on_postgres(url: str, folder: Path) -> AsyncIterator[SqlPlace]:
    database = import_database(Settings(database_url=url, _env_file=None))  # type: ignore[arg-type,call-arg]  # as text
    await database.open()
    try:
        yield SqlPlace(database, url, folder)
        assert database.checked_out() == 0
    finally:
        await database.close()
