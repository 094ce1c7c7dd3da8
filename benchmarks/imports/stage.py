"""Where imports are measured: embedded servers with the settings of production, a service beside them, its workers."""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg  # type: ignore[import-untyped]  # it has no types of its own
import httpx

from application.imports import NewImport
from application.ports.services import Blob
from application.use_cases import UseCases
from application.users import Registration
from benchmarks.imports.archive import AUTHORS
from domain.actors import Actor, Role
from domain.import_options import ImportFormat, ImportKind, ImportOptions
from domain.imports import ImportJob, ImportState, Tally
from infrastructure.container import Container, running
from infrastructure.database import schema
from infrastructure.embedded.binaries import postgres_programs
from infrastructure.embedded.cluster import Cluster
from infrastructure.embedded.folder import DataFolder
from infrastructure.embedded.ports import free_port
from infrastructure.embedded.postgres import EmbeddedPostgres
from infrastructure.embedded.supervisor import Supervisor
from infrastructure.embedded.users import ServerUser
from infrastructure.embedded.valkey import EmbeddedValkey
from infrastructure.settings import Settings

ADMIN: Final = Registration("admin", "admin@example.com", "correct horse battery", role=Role.ADMIN)
CHECKOUT: Final = str(Path(__file__).parents[2])
HOST: Final = "127.0.0.1"
PATIENCE_S: Final = 60.0

_PIECE: Final = 1024 * 1024
_WATCH_S: Final = 0.1

_HOW_IT_GOES: Final = "SELECT finished_at IS NULL, fence FROM imports WHERE id = $1"
_FILL: Final = f"""
INSERT INTO users (id, username, email, role, is_active, created_at, updated_at, version)
SELECT gen_random_uuid(), 'author-' || n, 'author-' || n || '@example.com', 'author', true, now(), now(), 1
FROM generate_series(0, {AUTHORS - 1}) n;
INSERT INTO profiles (user_id, display_name, bio) SELECT id, username, '' FROM users WHERE username LIKE 'author-%';
"""


@dataclass(frozen=True, slots=True)
class Stage:
    """`connection` is the benchmark's own."""

    folder: Path
    settings: Settings
    byline: UseCases
    actor: Actor
    connection: "asyncpg.Connection"

    @property
    def database_url(self) -> str:
        return str(self.settings.database_url)

    @property
    def postmaster(self) -> int:
        """Its process id."""
        return int((self.folder / "postgres" / "postmaster.pid").read_text().split()[0])

    async def upload(self, file: Path) -> Blob:
        return await self.byline.receive_upload(_pieces(file), actor=self.actor)

    async def start(self, blob: Blob, form: ImportFormat) -> ImportJob:
        """Queued; a worker finds it within two seconds."""
        new = NewImport(blob, ImportOptions(ImportKind.POSTS), form, detached=False)
        return (await self.byline.start_import(new, actor=self.actor)).job

    async def begun(self, job: ImportJob) -> ImportJob:
        """As it is after its first commit or so."""
        async for seen in self.byline.watch_import(job.id, actor=self.actor):
            if seen.tally.rows_read:
                return seen
        raise RuntimeError(f"The import made nothing.{self._log_tail('worker')}")

    async def ended(self, job: ImportJob) -> ImportJob:
        """Raises RuntimeError where it was claimed twice: its worker has failed."""
        is_open, claims = True, 0
        # A query by hand, and seldom: the import has the machine to itself.
        while is_open:
            await asyncio.sleep(_WATCH_S)
            is_open, claims = await self.connection.fetchrow(_HOW_IT_GOES, job.id)
            if claims > 1:
                raise RuntimeError(f"The import was interrupted.{self._log_tail('worker')}")
        return await self.byline.show_import(job.id, actor=self.actor)

    async def finished(self, job: ImportJob, *, rows: int) -> ImportJob:
        """Raises RuntimeError unless it made that many posts and nothing else."""
        job = await self.ended(job)
        if (job.state, job.tally) != (ImportState.SUCCEEDED, Tally(created=rows)):
            raise RuntimeError(f"The import {job.state}: {job.tally}. {job.error or ''}")
        return job

    async def empty(self) -> None:
        """No posts and no imports, as at the first start, and everything on the disk that was to be written."""
        await self.connection.execute("TRUNCATE posts, post_views, imports, import_errors, import_marks, outbox")
        await self.connection.execute("VACUUM (ANALYZE) posts")
        await self.connection.execute("VACUUM (ANALYZE) users")
        await self.connection.execute("CHECKPOINT")

    def _environment(self) -> dict[str, str]:
        """Of Byline's own processes."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("BYLINE_")}
        redis = {} if self.settings.redis_url is None else {"BYLINE_REDIS_URL": str(self.settings.redis_url)}
        own = {
            "BYLINE_DATABASE_URL": self.database_url,
            "BYLINE_DATA_DIR": str(self.folder),
            "BYLINE_LOG_FORMAT": "json",
            "PYTHONPATH": CHECKOUT,
        }
        return kept | redis | own

    @asynccontextmanager
    async def worker(self, *module: str, **changed: str) -> AsyncIterator[int]:
        """The process id of what `byline worker` becomes, once it listens; `module` is another than its own."""
        event = "worker_ready" if self.settings.redis_url is None else "redis_is_there"
        log = self.folder / "worker.log"

        async def listens() -> bool:
            return event in log.read_text()

        command = (sys.executable, "-P", "-m", *(module or ("workers.main",)))
        async with self._process("worker", command, listens, changed) as process:
            yield process.pid

    @asynccontextmanager
    async def api(self, **changed: str) -> AsyncIterator[int]:
        """The port of `byline serve`, once it is ready."""
        port = free_port(0, HOST)

        async def answers() -> bool:
            try:
                return (await client.get("/health/ready")).status_code == httpx.codes.OK
            except httpx.TransportError:
                return False

        command = (str(Path(sys.executable).with_name("byline")), "serve")
        changed = {"BYLINE_HOST": HOST, "BYLINE_PORT": str(port), "BYLINE_LOG_LEVEL": "warning", **changed}
        async with (
            httpx.AsyncClient(base_url=f"http://{HOST}:{port}") as client,
            self._process("serve", command, answers, changed),
        ):
            yield port

    def _log_tail(self, name: str) -> str:
        return "\n" + (self.folder / f"{name}.log").read_text()[-4_000:]

    @asynccontextmanager
    async def _process(
        self, name: str, command: Sequence[str], is_ready: Callable[[], Awaitable[bool]], changed: Mapping[str, str]
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """Told to stop afterwards, and killed where it does not."""
        with (self.folder / f"{name}.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *command, cwd=self.folder, env={**self._environment(), **changed}, stdout=log, stderr=log
            )
        try:
            deadline = time.monotonic() + PATIENCE_S
            while not await is_ready():
                if process.returncode is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{name} did not start.{self._log_tail(name)}")
                await asyncio.sleep(0.05)
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
                try:
                    await asyncio.wait_for(process.wait(), PATIENCE_S)
                except TimeoutError:
                    process.kill()
                    await process.wait()


@asynccontextmanager
async def stage(*, with_valkey: bool = False) -> AsyncIterator[Stage]:
    """On a data folder of its own, which is gone afterwards; call from the main thread."""
    with tempfile.TemporaryDirectory(prefix="byline-bench-") as name:
        path = Path(name)
        path.chmod(0o755)  # noqa: ASYNC240 -- once
        with DataFolder.open(path) as folder:
            is_over = False
            async with Supervisor() as supervisor:
                postgres, database_url = await EmbeddedPostgres(folder, preferred_port=0).prepare()
                await _cluster(path).execute("GRANT pg_checkpoint TO byline")
                children, redis_url = [postgres], None
                if with_valkey:
                    valkey, redis_url = EmbeddedValkey(folder, preferred_port=0).prepare()
                    children.append(valkey)
                await supervisor.start(*children)
                await schema.upgrade(database_url)
                settings = Settings.model_validate(
                    {"database_url": database_url, "redis_url": redis_url, "data_dir": path}
                )
                connection = await asyncpg.connect(database_url)
                await connection.execute(_FILL)
                async with running(Container(settings=settings)) as byline:
                    admin = await byline.register_user.register(ADMIN)
                    yield Stage(path, settings, byline, admin.actor, connection)
                await connection.close()
                is_over = True
            if not is_over:
                raise KeyboardInterrupt  # which the supervisor took for itself


def _cluster(folder: Path) -> Cluster:
    path = folder / "postgres"
    user = ServerUser.of(path)
    return Cluster(path, postgres_programs(user), user)


async def _pieces(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as opened:
        while piece := opened.read(_PIECE):
            yield piece
