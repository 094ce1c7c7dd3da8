"""Worker processes, and the service that gives them work."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from argon2 import PasswordHasher as Argon2
from dependency_injector import providers

from application.imports import NewImport
from application.outbox import START_IMPORT
from application.ports.services import JobQueue
from application.use_cases import UseCases
from application.users import Registration
from benchmarks.make_archive import Plan, Refusal, archive
from domain.actors import Actor, Role
from domain.errors import Busy, Unavailable
from domain.import_options import ImportFormat, ImportKind, ImportOptions
from domain.imports import ImportJob
from infrastructure.container import Container, running
from infrastructure.security.passwords import Argon2Hasher
from infrastructure.settings import Settings
from tests.builders import CountingIds, FixedClock

ROOT = Path(__file__).parents[2]
BOUND_S = 60.0
POLL_S = 0.005
AUTHORS = 3
_TODAY = datetime.now(UTC)


class WorkerProcess:
    """`python -m workers.main`, and the events that it logs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.events: list[dict[str, Any]] = []
        self._told = asyncio.Condition()
        self._reading = asyncio.create_task(self._read())

    @property
    def pss_mib(self) -> float:
        return float(psutil.Process(self.process.pid).memory_full_info().pss) / 2**20

    async def event(self, *names: str) -> dict[str, Any]:
        """The first of any of these names, once it is there."""

        def found() -> list[dict[str, Any]]:
            return [event for event in self.events if event["event"] in names]

        async with asyncio.timeout(BOUND_S), self._told:
            await self._told.wait_for(lambda: found() or self.process.returncode is not None)
        assert found(), f"It ended without {names}: {self.events}"
        return found()[0]

    async def freeze(self) -> None:
        """All of its threads stand still by then."""
        self.process.send_signal(signal.SIGSTOP)
        process = psutil.Process(self.process.pid)
        async with asyncio.timeout(BOUND_S):
            while process.status() != psutil.STATUS_STOPPED:  # noqa: ASYNC110 -- the system tells nobody
                await asyncio.sleep(POLL_S)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    async def kill(self) -> None:
        assert await self.end(signal.SIGKILL) == -signal.SIGKILL

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
    queue: JobQueue

    async def start_import(
        self,
        file: bytes | AsyncIterable[bytes],
        *,
        kind: ImportKind = ImportKind.POSTS,
        form: ImportFormat | None = ImportFormat.NDJSON,
        **options: Any,
    ) -> ImportJob:
        blob = await self.byline.receive_upload(_whole(file) if isinstance(file, bytes) else file, actor=self.actor)
        request = NewImport(blob, ImportOptions(kind, **options), form)
        return (await self.byline.start_import(request, actor=self.actor)).job

    async def job(self, job: ImportJob) -> ImportJob:
        return await self.byline.show_import(job.id, actor=self.actor)

    async def wait_for(
        self, job: ImportJob, is_there: Callable[[ImportJob], bool], what: str, *, bound_s: float = BOUND_S
    ) -> ImportJob:
        """The job as it was then. The database may be away meanwhile."""
        found = None
        try:
            async with asyncio.timeout(bound_s):
                while True:
                    with suppress(Busy, Unavailable):
                        found = await self.job(job)
                        if is_there(found):
                            return found
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            raise AssertionError(f"Not within {bound_s:g} s: {what}; {found}") from None

    async def claimed(self, job: ImportJob, *, after: int) -> ImportJob:
        """Once somebody has it under a higher fence than `after`; they are woken until then."""

        def is_claimed(now: ImportJob) -> bool:
            return now.fence > after or now.is_finished

        waking = asyncio.create_task(self._wake_again_and_again(job))
        try:
            return await self.wait_for(job, is_claimed, f"it is claimed after {after}")
        finally:
            waking.cancel()
            await asyncio.wait([waking])

    async def _wake_again_and_again(self, job: ImportJob) -> None:
        while True:
            await self.wake(job)
            await asyncio.sleep(10 * POLL_S)

    async def wake(self, job: ImportJob) -> None:
        with suppress(Unavailable):
            await self.queue.wake(START_IMPORT, str(job.id))

    async def finished(self, job: ImportJob, *, bound_s: float = BOUND_S) -> ImportJob:
        return await self.wait_for(job, lambda now: now.is_finished, "the import is finished", bound_s=bound_s)

    async def refusals(self, job: ImportJob) -> list[Refusal]:
        errors = await self.byline.list_import_errors(job.id, after=0, limit=10_000, actor=self.actor)
        return [Refusal(error.line, error.field, error.code) for _, error in errors]

    @asynccontextmanager
    async def worker(self, module: str = "workers.main", **changed: str) -> AsyncIterator[WorkerProcess]:
        """Ready; killed afterwards, where it has not ended by then. `changed` are variables of its environment."""
        environment = {
            "BYLINE_DATABASE_URL": str(self.settings.database_url),
            "BYLINE_REDIS_URL": str(self.settings.redis_url or ""),
            "BYLINE_DATA_DIR": str(self.settings.data_dir),
            "BYLINE_HOST_TOKENS": str(self.settings.host_tokens),
            "BYLINE_IMPORT_CHUNK_ROWS": "20",
            "BYLINE_IMPORT_LEASE_S": "1",
            "BYLINE_LOG_FORMAT": "json",
            "PYTHONPATH": str(ROOT),
            **changed,
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith("BYLINE_")}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", module),
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
async def service(
    database_url: str, redis_url: str | None, folder: Path, *, repeatable: bool = False
) -> AsyncIterator[Service]:
    """With an administrator, and the authors of archives. A `repeatable` one gives the ids and times that others gave
    before: jobs that it queues in the same order have the same ids, and so do the posts that they make."""
    urls = {"database_url": database_url, "redis_url": redis_url}
    settings = Settings.model_validate(
        {**urls, "data_dir": folder, "host_tokens": folder.with_name(f"{folder.name}.tokens")}
    )
    container = Container(settings=settings)
    if repeatable:
        container.clock.override(providers.Object(FixedClock(_TODAY)))
        container.ids.override(providers.Object(CountingIds(at=_TODAY)))
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
        yield Service(settings, byline, admin.actor, container.queue())


async def _whole(file: bytes) -> AsyncIterator[bytes]:
    yield file


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
