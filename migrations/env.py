"""Alembic's environment. `infrastructure.database.schema` hands over a connection; for the `alembic` command, of
developers, one is made to BYLINE_DATABASE_URL."""

import asyncio

from alembic import context
from sqlalchemy import Connection

from infrastructure.database.schema import migrating
from infrastructure.database.tables import metadata
from infrastructure.settings import load_settings


def migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        compare_server_default=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


async def migrate_settings() -> None:
    async with migrating(load_settings().database_url) as connection:
        await connection.run_sync(migrate)


handed_over = context.config.attributes.get("connection")
if context.is_offline_mode():
    context.configure(dialect_name="postgresql", target_metadata=metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
elif handed_over is not None:
    migrate(handed_over)
else:
    asyncio.run(migrate_settings())
