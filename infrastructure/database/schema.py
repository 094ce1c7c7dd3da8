"""The schema's revisions: bringing a database to one of them, and telling where it stands."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, NullPool, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from infrastructure.database.connections import Connector, Timeouts, driver_url
from infrastructure.database.errors import in_domain_terms
from infrastructure.database.revisions import MIGRATIONS

_LOCK = 0x42594C494E45
"""Of the database's advisory locks: "BYLINE"."""
_CONNECT_TIMEOUT_S = 10.0
_LOCK_TIMEOUT_S = 10.0
_NO_LIMIT_S = 0.0


@dataclass(frozen=True, slots=True)
class Revision:
    id: str
    title: str
    is_head: bool


def alembic_config() -> Config:
    """Made in code: it is the same in a checkout and in an installed wheel."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    return config


async def upgrade(url: object, revision: str = "head") -> None:
    """Several at a time are safe: one migrates, the others wait and then find nothing left to do.

    A migration that waits longer than 10 s for a table gives up, and nothing of it is done: it would hold up everybody
    who comes after. Raises Busy then; Unavailable where the database cannot be reached.
    """
    await _run(url, lambda config: command.upgrade(config, revision))


async def downgrade(url: object, revision: str) -> None:
    """As `upgrade`; "base" takes everything away."""
    await _run(url, lambda config: command.downgrade(config, revision))


async def current(url: object) -> str | None:
    """The revision that the database is at, None where it is empty. Raises Unavailable."""

    def revision(connection: Connection) -> str | None:
        return MigrationContext.configure(connection).get_current_revision()

    async with _connected(url) as connection:
        return await connection.run_sync(revision)


def history() -> list[Revision]:
    """Every revision that this code knows, newest first."""
    scripts = ScriptDirectory.from_config(alembic_config())
    heads = set(scripts.get_heads())
    return [Revision(script.revision, script.doc, script.revision in heads) for script in scripts.walk_revisions()]


def heads() -> frozenset[str]:
    """The newest revisions that this code knows."""
    return frozenset(revision.id for revision in history() if revision.is_head)


@asynccontextmanager
async def migrating(url: object) -> AsyncIterator[AsyncConnection]:
    """A connection on which nobody else migrates meanwhile. Raises Unavailable, Busy."""
    async with _connected(url) as connection:
        # Of the session, not of a transaction: each migration has one of its own.
        await connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
        await connection.execute(text(f"SET lock_timeout = '{_LOCK_TIMEOUT_S:g}s'"))
        await connection.commit()
        yield connection


@asynccontextmanager
async def _connected(url: object) -> AsyncIterator[AsyncConnection]:
    timeouts = Timeouts(_NO_LIMIT_S, _NO_LIMIT_S, _NO_LIMIT_S)
    connect = Connector(driver_url(url), "byline-migrate", timeouts, _CONNECT_TIMEOUT_S)
    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    with in_domain_terms():
        async with engine.connect() as connection:
            yield connection


async def _run(url: object, step: Callable[[Config], None]) -> None:
    def migrate(connection: Connection) -> None:
        config = alembic_config()
        config.attributes["connection"] = connection
        step(config)

    async with migrating(url) as connection:
        await connection.run_sync(migrate)
