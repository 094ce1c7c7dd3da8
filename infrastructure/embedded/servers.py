"""The embedded servers of one data folder."""

from dataclasses import dataclass

from infrastructure.embedded import postgres, valkey
from infrastructure.embedded.folder import DataFolder
from infrastructure.embedded.postgres import EmbeddedPostgres
from infrastructure.embedded.process import Child
from infrastructure.embedded.valkey import EmbeddedValkey


@dataclass(frozen=True, slots=True)
class PreparedServers:
    """Children for a supervisor, and the URLs they will answer at; None for a server that was not asked for."""

    children: tuple[Child, ...]
    database_url: str | None
    redis_url: str | None


async def prepare_servers(
    folder: DataFolder,
    *,
    with_postgres: bool = True,
    with_valkey: bool = True,
    postgres_port: int = postgres.PORT,
    valkey_port: int = valkey.PORT,
    fast_and_unsafe: bool = False,
) -> PreparedServers:
    """Make what the servers need on this folder, once, and find ports for them: the preferred ones or the next free.

    0 leaves a port to the kernel. Call from the main thread. Raises EmbeddedError, which says what to do.
    """
    children: list[Child] = []
    database_url = redis_url = None
    if with_postgres:
        child, database_url = await EmbeddedPostgres(folder, postgres_port, fast_and_unsafe).prepare()
        children.append(child)
    if with_valkey:
        child, redis_url = EmbeddedValkey(folder, valkey_port, fast_and_unsafe).prepare()
        children.append(child)
    return PreparedServers(tuple(children), database_url, redis_url)
