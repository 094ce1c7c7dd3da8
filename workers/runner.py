"""The imports that this worker runs. Wake-ups only name them: whether one may be run is decided by its claim."""

import asyncio
from collections.abc import Callable
from uuid import UUID

import structlog

from application.importing.runs import RunImport
from domain.errors import Busy, ImportNotFound, LeaseLost, Unavailable, WrongState
from domain.ids import ImportId
from domain.imports import ImportJob

log = structlog.get_logger(__name__)


class ImportRunner:
    """A `JobQueue` of this process: at most `at_once` imports run at a time, and the others wait for their turn.

    `on_finished` is told of each that has.
    """

    def __init__(
        self, run_import: RunImport, *, at_once: int, on_finished: Callable[[ImportJob], None] = lambda _: None
    ) -> None:
        self._on_finished = on_finished
        self._run_import = run_import
        self._at_once = at_once
        self._waiting: dict[ImportId, None] = {}
        self._running: dict[ImportId, asyncio.Task[None]] = {}
        self._stop = asyncio.Event()

    async def wake(self, _topic: str, key: str) -> None:
        import_id = ImportId(UUID(key))
        if import_id not in self._running:
            self._waiting[import_id] = None
            self._start_waiting()

    async def idle(self) -> None:
        """Wait until none runs, and none that waits may be started."""
        while self._running:
            await asyncio.wait(self._running.values())

    async def drain(self) -> None:
        """Let each running import commit the chunk it is at and give its job back; start no other."""
        self._stop.set()
        await self.idle()

    async def abort(self) -> None:
        """As `drain`, without waiting for chunks."""
        self._stop.set()
        for task in self._running.values():
            task.cancel()
        await self.drain()

    def _start_waiting(self) -> None:
        while self._waiting and len(self._running) < self._at_once and not self._stop.is_set():
            import_id = next(iter(self._waiting))
            del self._waiting[import_id]
            task = asyncio.create_task(self._run(import_id), name=f"import {import_id}")
            self._running[import_id] = task
            task.add_done_callback(lambda _, ended=import_id: self._ended(ended))  # type: ignore[misc]  # its default

    def _ended(self, import_id: ImportId) -> None:
        del self._running[import_id]
        self._start_waiting()

    async def _run(self, import_id: ImportId) -> None:
        told = log.bind(import_id=str(import_id))
        try:
            job = await self._run_import(import_id, stop=self._stop)
        except (WrongState, ImportNotFound) as error:
            told.debug("import_not_claimed", reason=str(error))
        except LeaseLost:
            told.warning("import_lost_to_another_worker")
        except (Busy, Unavailable) as error:
            told.warning("import_interrupted", reason=str(error))
        except Exception:
            told.exception("import_interrupted")
        else:
            event = "import_finished" if job.is_finished else "import_given_back"
            told.info(
                event,
                kind=job.kind.value,
                state=job.state.value,
                rows=job.tally.rows_read,
                created=job.tally.created,
                skipped=job.tally.skipped,
                failed=job.tally.failed,
                bytes_done=job.bytes_done,
                error=job.error,
            )
            if job.is_finished:
                self._on_finished(job)
