"""How an import goes, shown while it goes: in bars at a terminal, elsewhere in a line now and then."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn

from domain.ids import ImportId
from domain.imports import ImportJob, ImportState
from interfaces.cli.console import err, safe

LINE_EVERY_S = 10.0


class Display(Protocol):
    def stored(self, name: str, count: int, total: int | None) -> None:
        """`count` bytes of the file are stored, before the import begins."""
        ...

    def show(self, job: ImportJob) -> None: ...


@contextmanager
def display(console: Console = err) -> Iterator[Display]:
    if not console.is_terminal:
        yield Lines(console)
        return
    with _progress(console) as progress:
        yield Bars(progress)


class Bars:
    """One a file, from its first byte stored to its last row."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._storing: TaskID | None = None
        self._bars: dict[ImportId, TaskID] = {}

    def stored(self, name: str, count: int, total: int | None) -> None:
        if self._storing is None:
            self._storing = self._progress.add_task(f"{safe(name)}: storing", **_NOTHING)
        self._progress.update(self._storing, completed=count, total=total)

    def show(self, job: ImportJob) -> None:
        if self._storing is not None:
            self._progress.remove_task(self._storing)
            self._storing = None
        figures = _figures(job)
        if job.id not in self._bars:
            self._bars[job.id] = self._progress.add_task(_name(job), **figures)
        self._progress.update(
            self._bars[job.id], description=_name(job), completed=job.bytes_done, total=job.bytes_total, **figures
        )


class Lines:
    """One when it has been quiet for `every_s`."""

    def __init__(self, console: Console, every_s: float = LINE_EVERY_S) -> None:
        self._console = console
        self._every_s = every_s
        self._told_at = time.monotonic()

    def stored(self, name: str, count: int, total: int | None) -> None:
        self._tell(f"{safe(name)}: storing, {f'{count / total:.0%}' if total else f'{count:,} bytes'}")

    def show(self, job: ImportJob) -> None:
        done = f"{job.bytes_done / job.bytes_total:.0%}" if job.bytes_total else ""
        self._tell(f"{_name(job)}: {', '.join(filter(None, [done, *_figures(job).values()]))}")

    def _tell(self, line: str) -> None:
        if time.monotonic() - self._told_at >= self._every_s:
            self._console.print(line, soft_wrap=True)
            self._told_at = time.monotonic()


_NOTHING: dict[str, Any] = {"rows": "", "rate": "", "failed": "", "left": ""}


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rows]}"),
        TextColumn("{task.fields[rate]}"),
        TextColumn("[red]{task.fields[failed]}"),
        TextColumn("{task.fields[left]}"),
        console=console,
    )


def _name(job: ImportJob) -> str:
    name = safe(job.file_name or str(job.kind))
    if job.options.dry_run:
        name = f"{name}, dry run"
    return name if job.state is ImportState.RUNNING or job.succeeded else f"{name} ({job.state})"


def _figures(job: ImportJob) -> dict[str, Any]:
    left = None if job.is_finished else job.seconds_left
    return {
        "rows": f"{job.tally.rows_read:,} rows",
        "rate": "" if job.rows_per_s is None else f"{job.rows_per_s:,.0f}/s",
        "failed": f"{job.tally.failed:,} failed" if job.tally.failed else "",
        "left": "" if left is None else f"{timedelta(seconds=round(left))} left",
    }
