"""Byline whole, on one machine: its servers, API and worker as one process tree on one data folder."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from infrastructure.embedded.api_port import api_port, reachable
from infrastructure.embedded.errors import EmbeddedError
from infrastructure.embedded.folder import DataFolder, FolderInUse
from infrastructure.embedded.process import Child, Process, Program
from infrastructure.embedded.servers import prepare_servers
from infrastructure.embedded.state import Running, read_state, remove_state, write_state
from infrastructure.embedded.supervisor import Supervisor
from infrastructure.settings import Settings

STARTING = "\0byline-starting"
STARTING_TRIES = 2_000
STARTING_PAUSE_S = 0.03
DRAIN_MARGIN_S = 16.0
"""What the API may take to stop beyond its longest request."""


class StepFailed(EmbeddedError):
    """A program of Byline that should have done its work did not; it has said why on stderr."""


@dataclass(frozen=True, slots=True)
class Commands:
    """Byline's own programs: the absolute path of each and its arguments. They find the servers by the environment."""

    prepare: tuple[str, ...]
    """Migrates the database once the state file names it, and puts in it what an empty one needs; then ends."""
    serve: tuple[str, ...]
    worker: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LocalService:
    """`byline up`. API and worker write to `logs/` in the data folder, or with `logs_shown` where this process does."""

    settings: Settings
    commands: Commands
    logs_shown: bool = False

    async def run(self, *, tell: Callable[[str], None], welcome: Callable[[str], None]) -> None:
        """Run until SIGINT, SIGTERM or SIGHUP; then nothing of it is left. `tell` gets each step as it begins,
        `welcome` the URL of the API when everything is ready. Raises EmbeddedError, which says what to do."""
        with self._folder() as folder:
            remove_state(folder.state)
            try:
                async with Supervisor() as supervisor:
                    await self._start(folder, supervisor, tell, welcome)
                    await supervisor.wait()
            finally:
                remove_state(folder.state)

    async def _start(
        self, folder: DataFolder, supervisor: Supervisor, tell: Callable[[str], None], welcome: Callable[[str], None]
    ) -> None:
        """Python takes longest to import what it needs: its processes do so side by side, and the first meanwhile."""
        environment = os.environ | {"BYLINE_DATA_DIR": str(folder.path)}
        async with _starting_alone():
            port = api_port(self.settings)
            tell("Starting the servers")
            preparing = Process(Child("prepare", Program(self.commands.prepare, environment), ready=_at_once))
            try:
                running = await self._start_servers(folder, supervisor)
                environment |= {
                    "BYLINE_DATABASE_URL": running.database_url,
                    "BYLINE_REDIS_URL": running.redis_url,
                    "BYLINE_HOST": self.settings.host,
                    "BYLINE_PORT": str(port),
                }
                tell("Starting the API and the worker")
                starting = supervisor.start(self._api(folder, port, environment), self._worker(folder, environment))
                await _unless_it_fails(preparing, starting)
            except BaseException:
                await preparing.stop()
                raise
        try:
            url = _url(self.settings.host, port)
            write_state(folder.state, replace(running, http_url=url))
            _require_success(await preparing.wait())
        finally:
            await preparing.stop()
        welcome(url)

    async def _start_servers(self, folder: DataFolder, supervisor: Supervisor) -> Running:
        servers = await prepare_servers(
            folder, with_postgres=self.settings.database_url is None, with_valkey=self.settings.redis_url is None
        )
        await supervisor.start(*servers.children)
        running = Running.this_process(
            database_url=servers.database_url or str(self.settings.database_url),
            redis_url=servers.redis_url or str(self.settings.redis_url),
        )
        write_state(folder.state, running)
        return running

    def _folder(self) -> DataFolder:
        try:
            return DataFolder.open(self.settings.data_dir)
        except FolderInUse:
            running = read_state(self.settings.data_dir / "state.json")
            if running is None or running.http_url is None:
                raise
            raise FolderInUse(
                f"Byline is running on this data folder already, at {running.http_url} (process {running.pid}). "
                f"Stop it with Ctrl-C or `kill {running.pid}`, or set BYLINE_DATA_DIR to another folder."
            ) from None

    def _api(self, folder: DataFolder, port: int, environment: Mapping[str, str]) -> Child:
        async def is_ready() -> bool:
            return await _answers_ready(reachable(self.settings.host), port)

        return Child(
            "api",
            Program(self.commands.serve, environment),
            ready=is_ready,
            log=None if self.logs_shown else folder.logs / "api.log",
            stop_timeout_s=self.settings.request_timeout_s + DRAIN_MARGIN_S,
        )

    def _worker(self, folder: DataFolder, environment: Mapping[str, str]) -> Child:
        return Child(
            "worker",
            Program(self.commands.worker, environment),
            ready=_at_once,
            log=None if self.logs_shown else folder.logs / "worker.log",
        )


async def _unless_it_fails(preparing: Process, starting: Coroutine[None, None, None]) -> None:
    """Await `starting`; a preparation that failed ends it, since the API would not become ready. Raises StepFailed."""
    ended = asyncio.ensure_future(preparing.wait())
    started = asyncio.ensure_future(starting)
    try:
        await asyncio.wait({ended, started}, return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            _require_success(ended.result())
        await started
    finally:
        ended.cancel()
        started.cancel()
        await asyncio.wait({ended, started})


def _require_success(status: int) -> None:
    if status:
        raise StepFailed("The database could not be prepared.")


@asynccontextmanager
async def _starting_alone() -> AsyncIterator[None]:
    """Bylines of one machine start one after the other, so that none takes a port that another has just found free.

    The API's port could even be taken twice, unnoticed: its server listens with SO_REUSEPORT. A Byline that hangs
    while it starts holds the others up for a minute at most.
    """
    if sys.platform != "linux":  # no name that ends with the process, whatever its user
        yield
        return
    with socket.socket(socket.AF_UNIX) as lock:
        for _ in range(STARTING_TRIES):
            if _bound(lock):
                break
            await asyncio.sleep(STARTING_PAUSE_S)
        yield


def _bound(lock: socket.socket) -> bool:
    try:
        lock.bind(STARTING)
    except OSError:
        return False
    return True


async def _at_once() -> bool:
    return True


def _url(host: str, port: int) -> str:
    host = reachable(host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def _answers_ready(host: str, port: int) -> bool:
    """Whether /health/ready says 200. A client library would cost this process its memory for one GET."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        status = await reader.readline()
        return status.split(b" ")[1:2] == [b"200"]
    finally:
        writer.close()
        await writer.wait_closed()
