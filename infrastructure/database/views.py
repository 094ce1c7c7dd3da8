"""Views, added up in batches that count once."""

from datetime import datetime
from typing import Final

from sqlalchemy import delete, select

from application.ports.repositories import ViewBatch
from domain.posts import VIEWS_MAX
from infrastructure.database.tables import view_batches
from infrastructure.database.transaction import Transaction

# All is locked before anything is written, in the order in which a deletion locks it: first posts, then their views.
# Who waits there for a deletion passes over what it deleted, where the foreign key would refuse the whole batch. Posts
# that have a row of views are not locked themselves, since that would write to each post that was read.
_ADD: Final = f"""
    WITH batch AS (
        INSERT INTO view_batches AS stored (process, sequence, counted_at) VALUES ($1, $2, $3)
        ON CONFLICT (process) DO UPDATE SET sequence = excluded.sequence, counted_at = excluded.counted_at
        WHERE stored.sequence < excluded.sequence
        RETURNING process
    ), counted AS MATERIALIZED (
        SELECT post_id, views FROM unnest($4::uuid[], $5::bigint[]) AS counted (post_id, views)
        WHERE EXISTS (SELECT FROM batch)
    ), first AS (
        SELECT counted.post_id, counted.views FROM counted JOIN posts ON posts.id = counted.post_id
        WHERE NOT EXISTS (SELECT FROM post_views WHERE post_views.post_id = counted.post_id)
        ORDER BY posts.id FOR KEY SHARE OF posts
    ), further AS (
        SELECT counted.post_id, counted.views FROM counted JOIN post_views USING (post_id)
        ORDER BY post_views.post_id FOR NO KEY UPDATE OF post_views
    )
    INSERT INTO post_views AS stored (post_id, views)
    SELECT post_id, views FROM (SELECT * FROM first UNION ALL SELECT * FROM further) AS seen ORDER BY post_id
    ON CONFLICT (post_id) DO UPDATE
    SET views = least(stored.views, {VIEWS_MAX} - excluded.views) + excluded.views
"""  # noqa: S608  # of a constant


class SqlViews:
    def __init__(self, transaction: Transaction) -> None:
        self._tx = transaction

    async def add(self, batch: ViewBatch, *, at: datetime) -> None:
        views = [min(count, VIEWS_MAX) for count in batch.counts.values()]
        await self._tx.fetch(_ADD, batch.process, batch.sequence, at, list(batch.counts), views)

    async def forget_processes(self, *, before: datetime, limit: int) -> int:
        silent = (
            select(view_batches.c.process)
            .where(view_batches.c.counted_at < before)
            .order_by(view_batches.c.counted_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        return (await self._tx.execute(delete(view_batches).where(view_batches.c.process.in_(silent)))).rowcount
