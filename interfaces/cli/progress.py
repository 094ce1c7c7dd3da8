"""How an import goes, shown while it goes."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from interfaces.cli.console import CommandFailed, err

if TYPE_CHECKING:
    from application.use_cases import UseCases
    from domain.actors import Actor
    from domain.ids import ImportId
    from domain.imports import ImportJob

POLL_S = 0.1
ERRORS_SHOWN = 20


class ImportProgress:
    """A bar for each import that is watched: its bytes, rows, failures, rate and the time that is left."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[rows]:,} rows"),
            TextColumn("{task.fields[rate]:,.0f}/s"),
            TextColumn("[red]{task.fields[failed]:,} failed", markup=True),
            TimeRemainingColumn(compact=True),
            console=err,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    @contextmanager
    def storing(self, name: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """Bytes on their way into the storage, before the import begins; call it with each count."""
        bar = self._progress.add_task(f"{escape(name)}: storing", total=total, rows=0, failed=0, rate=0.0)
        yield lambda count: self._progress.advance(bar, count)
        self._progress.remove_task(bar)

    async def watch(
        self, byline: "UseCases", import_id: "ImportId", *, actor: "Actor", patience_s: float | None = None
    ) -> "ImportJob":
        """Until it has finished. Raises CommandFailed when nothing of it moves for `patience_s`."""
        job = await byline.show_import(import_id, actor=actor)
        name = escape(job.file_name or str(job.kind))
        bar = self._progress.add_task(name, total=job.bytes_total, rows=job.tally.rows_read, failed=0, rate=0.0)
        rows_before, began, moved = job.tally.rows_read, time.monotonic(), time.monotonic()
        while True:
            seconds = time.monotonic() - began
            self._progress.update(
                bar,
                completed=job.bytes_done,
                rows=job.tally.rows_read,
                failed=job.tally.failed,
                rate=(job.tally.rows_read - rows_before) / seconds if seconds > 0 else 0.0,
            )
            if job.is_finished:
                return job
            await asyncio.sleep(POLL_S)
            before, job = job, await byline.show_import(import_id, actor=actor)
            if job.checkpoint != before.checkpoint or job.state != before.state:
                moved = time.monotonic()
            elif patience_s is not None and time.monotonic() - moved > patience_s:
                raise CommandFailed(f"The worker has not gone on with import {import_id} for {patience_s:g} s.")


def summary(job: "ImportJob") -> str:
    """One sentence of an import that has finished."""
    tally = job.tally
    counts = {"updated": tally.updated, "unchanged": tally.unchanged, "skipped": tally.skipped, "failed": tally.failed}
    told = [f"{tally.created:,} created", *(f"{count:,} {name}" for name, count in counts.items() if count)]
    taken = (job.finished_at - job.started_at).total_seconds() if job.finished_at and job.started_at else 0.0
    return f"{job.file_name or job.kind}: {tally.rows_read:,} rows read, {', '.join(told)}, in {taken:.1f} s"


async def first_errors(byline: "UseCases", job: "ImportJob", *, actor: "Actor") -> Table:
    """The rows that failed first, in a table."""
    table = Table(
        title=f"The first of {job.tally.failed:,} rows that failed" if job.tally.failed > ERRORS_SHOWN else None
    )
    table.add_column("Line", justify="right")
    table.add_column("Field")
    table.add_column("Code")
    table.add_column("What is wrong", overflow="fold")
    for _, error in await byline.list_import_errors(job.id, after=0, limit=ERRORS_SHOWN, actor=actor):
        table.add_row(str(error.line), escape(error.field or ""), error.code, escape(error.message))
    return table
