"""What a database holds in its `public` schema, as PostgreSQL itself writes it down."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg  # type: ignore[import-untyped]  # it has no types of its own

from tests.stage import drop_database

_OBJECTS = """
SELECT 'column ' || c.relname || '.' || a.attname,
       format('%s %s %s %s %s %s', format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attgenerated, co.collname,
              pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum))
FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
LEFT JOIN pg_collation co ON co.oid = a.attcollation
WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
UNION ALL
SELECT 'table ' || relname, obj_description(oid) FROM pg_class
WHERE relkind IN ('r', 'v', 'm', 'S') AND relnamespace = 'public'::regnamespace
UNION ALL
SELECT 'constraint ' || conrelid::regclass || '.' || conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
UNION ALL
SELECT 'index ' || indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL
SELECT 'trigger ' || tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
UNION ALL
SELECT 'function ' || proname, pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
UNION ALL
SELECT 'statistics ' || stxname, pg_get_statisticsobjdef(oid) FROM pg_statistic_ext
UNION ALL
SELECT 'type ' || typname, typtype::text FROM pg_type
WHERE typnamespace = 'public'::regnamespace AND typtype IN ('e', 'd')
"""


async def catalogue(url: str) -> dict[str, str | None]:
    """Every object's definition by its kind and name. The migrations' own table is left out."""
    connection = await asyncpg.connect(url)
    try:
        found = dict(await connection.fetch(_OBJECTS))
    finally:
        await connection.close()
    # Blanks between the words of a function's body are nobody's difference.
    return {
        name: None if definition is None else " ".join(definition.split())
        for name, definition in found.items()
        if "alembic_version" not in name
    }


@asynccontextmanager
async def new_database(server_url: str) -> AsyncIterator[str]:
    """The URL of an empty database, which is dropped in the end."""
    name = f"byline_migrations_{uuid4().hex[:12]}"
    connection = await asyncpg.connect(server_url)
    try:
        await connection.execute(f'CREATE DATABASE "{name}"')
        try:
            yield urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
        finally:
            await drop_database(connection, name)
    finally:
        await connection.close()
