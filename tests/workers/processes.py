"""Worker processes, and the service that gives them work."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher as Argon2
from dependency_injector import providers

from application.imports import NewImport
from application.use_cases import UseCases
from application.users import Registration
from benchmarks.make_archive import Plan, Refusal, archive
from domain.actors import Actor, Role
from domain.imports import ImportFormat, ImportJob, ImportKind
from infrastructure.container import Container, running
from infrastructure.security.passwords import Argon2Hasher
from infrastructure.settings import Settings
from tests.embedded.trees import eventually

BOUND_S = 60.0
AUTHORS = 3


class WorkerProcess:
    """`python -m workers.main`, and the events that it logs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.events: list[dict[str, Any]] = []
        self._told = asyncio.Condition()
        self._reading = asyncio.create_task(self._read())

    async def event(self, name: str) -> dict[str, Any]:
        """The first of that name, once it is there."""

        def found() -> list[dict[str, Any]]:
            return [event for event in self.events if event["event"] == name]

        async with asyncio.timeout(BOUND_S), self._told:
            await self._told.wait_for(lambda: found() or self.process.returncode is not None)
        assert found(), f"It ended without {name}: {self.events}"
        return found()[0]

    async def end(self, signal_number: int) -> int:
        """Its exit code."""
        self.process.send_signal(signal_number)
        return await self.ended()

    async def ended(self) -> int:
        async with asyncio.timeout(BOUND_S):
            code = await self.process.wait()
            await self._reading
        return code

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            try:
                event = json.loads(line)
            except ValueError:
                event = {"event": line.decode()}
            async with self._told:
                self.events.append(event)
                self._told.notify_all()


@dataclass(frozen=True, slots=True)
class Service:
    """The API's side, within the test."""

    settings: Settings
    byline: UseCases
    actor: Actor

    async def start_import(
        self, file: bytes, *, kind: ImportKind = ImportKind.POSTS, form: ImportFormat = ImportFormat.NDJSON
    ) -> ImportJob:
        async def whole() -> AsyncIterator[bytes]:
            yield file

        blob = await self.byline.receive_upload(whole(), actor=self.actor)
        return await self.byline.start_import(NewImport(blob, kind, form), actor=self.actor)

    async def job(self, job: ImportJob) -> ImportJob:
        return await self.byline.show_import(job.id, actor=self.actor)

    async def wait_for(self, job: ImportJob, is_there: Callable[[ImportJob], bool], what: str) -> ImportJob:
        async def look() -> bool:
            return is_there(await self.job(job))

        await eventually(look, what)
        return await self.job(job)

    async def finished(self, job: ImportJob) -> ImportJob:
        return await self.wait_for(job, lambda now: now.is_finished, "the import is finished")

    async def refusals(self, job: ImportJob) -> list[Refusal]:
        errors = await self.byline.list_import_errors(job.id, after=0, limit=10_000, actor=self.actor)
        return [Refusal(error.line, error.field, error.code) for _, error in errors]

    @asynccontextmanager
    async def worker(self, **changed: str) -> AsyncIterator[WorkerProcess]:
        """Ready; killed afterwards, where it has not ended by then. `changed` are variables of its environment."""
        environment = {
            "BYLINE_DATABASE_URL": str(self.settings.database_url),
            "BYLINE_REDIS_URL": str(self.settings.redis_url or ""),
            "BYLINE_DATA_DIR": str(self.settings.data_dir),
            "BYLINE_IMPORT_CHUNK_ROWS": "20",
            "BYLINE_IMPORT_LEASE_S": "1",
            "BYLINE_LOG_FORMAT": "json",
            **changed,
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith("BYLINE_")}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "workers.main"),
            cwd=self.settings.data_dir,
            env=kept | {name: value for name, value in environment.items() if value},
            stderr=asyncio.subprocess.PIPE,
        )
        worker = WorkerProcess(process)
        try:
            await worker.event("worker_ready")
            yield worker
        finally:
            if process.returncode is None:
                process.kill()
            await worker.ended()


@asynccontextmanager
async def service(database_url: str, redis_url: str | None, folder: Path) -> AsyncIterator[Service]:
    """With an administrator, and the authors of archives."""
    settings = Settings.model_validate({"database_url": database_url, "redis_url": redis_url, "data_dir": folder})
    container = Container(settings=settings)
    # Nobody signs in here.
    container.hasher.override(providers.Object(Argon2Hasher(threads=1, waiting=9, argon2=Argon2(1, 8, 1))))
    async with running(container) as byline:
        admin = await byline.register_user.register(
            Registration("admin", "admin@example.com", "correct horse", role=Role.ADMIN)
        )
        for number in range(AUTHORS):
            await byline.register_user.register(
                Registration(f"author-{number}", f"author-{number}@example.com", "correct horse")
            )
        yield Service(settings, byline, admin.actor)


@dataclass(frozen=True, slots=True)
class Archive:
    file: bytes
    good: int
    refusals: list[Refusal]

    @classmethod
    def of(cls, plan: Plan) -> "Archive":
        records = list(archive(plan))
        refusals = [refusal for _, refusal in records if refusal]
        return cls(b"".join(record for record, _ in records), plan.rows - len(refusals), refusals)
