"""The database: reachable, new enough, migrated, and open to this role."""

from collections.abc import AsyncIterator

import asyncpg  # type: ignore[import-untyped]  # it has no types of its own

from infrastructure.database.connections import DriverConnection, driver_url
from infrastructure.diagnosis.findings import Finding
from infrastructure.settings import Settings

OLDEST_MAJOR = 15
SPARE_CONNECTIONS = 5


async def database(settings: Settings) -> AsyncIterator[Finding]:
    try:
        connection = await asyncpg.connect(driver_url(settings.database_url), timeout=settings.db_connect_timeout_s)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        yield _unreachable(settings, error)
        return
    try:
        major = connection.get_server_version().major
        if major < OLDEST_MAJOR:
            yield Finding.wrong("Database", f"It is PostgreSQL {major}.", f"Byline needs {OLDEST_MAJOR} or newer.")
        else:
            yield Finding.ok("Database", f"PostgreSQL {major} answers at {_place(settings)}.")
        yield await _privileges(connection)
        yield await _connections(connection, settings)
    finally:
        await connection.close()


def _place(settings: Settings) -> str:
    url = settings.database_url
    return f"{url.host}:{url.port or 5432}{url.path}" if url else ""


def _unreachable(settings: Settings, error: Exception) -> Finding:
    said = str(error) or type(error).__name__
    message = f"{_place(settings)} does not let Byline in: {said}"
    match error:
        case asyncpg.InvalidPasswordError() | asyncpg.InvalidAuthorizationSpecificationError():
            remedy = "Check the user and the password in BYLINE_DATABASE_URL."
        case asyncpg.InvalidCatalogNameError():
            remedy = "Create the database (createdb), or name another one in BYLINE_DATABASE_URL."
        case asyncpg.TooManyConnectionsError():
            remedy = "Raise max_connections, or lower BYLINE_DB_POOL_SIZE and BYLINE_DB_READ_POOL_SIZE."
        case _:
            remedy = "See that PostgreSQL runs and listens there, and check BYLINE_DATABASE_URL."
    return Finding.wrong("Database", message, remedy)


async def _privileges(connection: DriverConnection) -> Finding:
    role, may_create = await connection.fetchrow(
        "SELECT current_user, has_schema_privilege(current_schema(), 'CREATE')"
    ) or ("", False)
    if not may_create:
        return Finding.wrong(
            "Privileges",
            f"The role {role} may not create tables, so it cannot migrate.",
            f"As the database's owner: GRANT CREATE ON SCHEMA public TO {role};",
        )
    return Finding.ok("Privileges", f"The role {role} may migrate, read and write.")


async def _connections(connection: DriverConnection, settings: Settings) -> Finding:
    allowed = int(await connection.fetchval("SELECT current_setting('max_connections')"))
    one_api = settings.db_pool_size + settings.db_pool_overflow + settings.db_read_pool_size
    wanted = settings.api_processes * one_api + one_api + settings.db_import_pool_size + SPARE_CONNECTIONS
    told = f"Byline may open {wanted} connections, the server allows {allowed}."
    if wanted > allowed:
        return Finding.warning(
            "Connections", told, "Raise max_connections, or lower BYLINE_DB_POOL_SIZE or BYLINE_DB_READ_POOL_SIZE."
        )
    return Finding.ok("Connections", told)
