"""Imports and the rows of them that failed, as the command line tells of them."""

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.table import Table

from domain.import_options import EACH_A_LINE, ImportFormat, ImportKind
from domain.imports import ImportJob, ImportState, RowError
from interfaces.cli.console import out, plain, print_line, print_table, safe

if TYPE_CHECKING:
    from application.use_cases import UseCases
    from domain.actors import Actor

FIRST_ERRORS = 10

_ID_WIDTH = 36
_STATE_WIDTH = max(map(len, ImportState))
_FILE_WIDTH_LEAST = 12


def summary(job: ImportJob) -> str:
    """One sentence of an import that has finished."""
    tally = job.tally
    counts = {"updated": tally.updated, "unchanged": tally.unchanged, "skipped": tally.skipped, "failed": tally.failed}
    told = [f"{tally.created:,} created", *(f"{count:,} {name}" for name, count in counts.items() if count)]
    return (
        f"{plain(job.file_name or job.kind)}: {tally.rows_read:,} rows read, {', '.join(told)}, in {job.busy_s:.1f} s"
    )


async def report(byline: "UseCases", job: ImportJob, *, actor: "Actor") -> None:
    """What became of an import that has finished, and the commands that go on from there."""
    print_line(summary(job))
    if job.tally.reasons:
        print_line(f"Skipped: {_reasons(job)}")
    if job.tally.authors_created:
        print_line(f"Authors created: {job.tally.authors_created:,}")
    if job.options.dry_run:
        out.print("[bold]This was a dry run: nothing was changed.[/]")
    if job.tally.failed:
        first = await byline.list_import_errors(job.id, after=0, limit=FIRST_ERRORS, actor=actor)
        print_table(error_table((error for _, error in first), job.format))
        if job.tally.failed > len(first):
            print_line(f"These are the first {len(first)} of {job.tally.failed:,} rows that failed.")
        print_line(f"All of them, to be mended:   byline imports errors {job.id} --output failed.csv")
        print_line(f"Once they are mended:        byline import failed.csv --kind {job.kind}")
        if not job.options.dry_run:
            print_line(f"Try them again as they are:  byline imports retry {job.id}")
    if job.state in (ImportState.FAILED, ImportState.CANCELLED) and not job.is_refused:
        print_line(f"Go on from there:            byline imports resume {job.id}")


def error_table(errors: Iterable[RowError], form: ImportFormat) -> Table:
    table = Table()
    table.add_column("Line", justify="right", no_wrap=True)
    table.add_column("Field", overflow="fold")
    table.add_column("Code", overflow="fold")
    table.add_column("What is wrong", overflow="fold")
    for error in errors:
        table.add_row(_where(error, form), safe(error.field or ""), safe(error.code), safe(error.message))
    return table


def job_table(jobs: Iterable[ImportJob]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    # Where a terminal is too narrow, names of files are folded, and then all but ids and states is cut.
    table.add_column("ID", no_wrap=True, min_width=_ID_WIDTH)
    table.add_column("State", no_wrap=True, min_width=_STATE_WIDTH)
    table.add_column("Kind", no_wrap=True)
    table.add_column("File", overflow="fold", min_width=_FILE_WIDTH_LEAST)
    for name in ("Done", "Rows", "Failed"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("Made", no_wrap=True)
    for job in jobs:
        tally = job.tally
        name = f"{job.file_name or '-'}{' (dry run)' if job.options.dry_run else ''}"
        cells = (job.state, job.kind, safe(name), _share(job), f"{tally.rows_read:,}", f"{tally.failed:,}")
        table.add_row(str(job.id), *cells, _time(job.created_at))
    return table


def job_facts(job: ImportJob) -> Table:
    """All there is to know of it."""
    tally, options = job.tally, job.options
    facts = {
        "ID": str(job.id),
        "File": f"{job.file_name or '-'} ({job.format}, {job.bytes_total:,} bytes)",
        "Kind": job.kind,
        "State": f"{job.state}{', a dry run: it changes nothing' if options.dry_run else ''}",
        "Error": job.error,
        "Options": _options(job),
        "Done": f"{_share(job)} ({job.bytes_done:,} bytes)",
        "Rows read": f"{tally.rows_read:,}",
        **{
            name.capitalize(): f"{count:,}"
            for name in ("created", "updated", "unchanged", "skipped", "failed")
            if (count := getattr(tally, name))
        },
        "Skipped for": _reasons(job),
        "Authors created": f"{tally.authors_created:,}" if tally.authors_created else None,
        "Rate": None if job.rows_per_s is None else f"{job.rows_per_s:,.0f} rows/s",
        "Left": None if job.is_finished or job.seconds_left is None else f"{job.seconds_left:,.0f} s",
        "Tries again": None if job.parent_id is None else f"the rows of {job.parent_id} that failed",
        "Made": _time(job.created_at),
        "Started": _time(job.started_at),
        "Finished": _time(job.finished_at),
    }
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts.items():
        if value:
            table.add_row(f"[bold]{name}", safe(value))
    return table


def job_json(job: ImportJob) -> dict[str, Any]:
    """As the HTTP API shows it."""
    tally, options = job.tally, job.options
    return {
        "id": str(job.id),
        "kind": job.kind,
        "format": job.format,
        "state": job.state,
        "options": {
            "on_conflict": options.on_conflict,
            "dry_run": options.dry_run,
            "create_authors": options.create_authors,
            "default_author": options.default_author and str(options.default_author),
            "max_errors": options.max_errors,
            "publish": options.publish,
            "map": dict(options.columns),
        },
        "file_name": job.file_name,
        "bytes_total": job.bytes_total,
        "bytes_done": job.bytes_done,
        "rows_read": tally.rows_read,
        "rows_per_s": None if job.rows_per_s is None else round(job.rows_per_s, 1),
        "seconds_left": None if job.seconds_left is None else round(job.seconds_left, 1),
        "created": tally.created,
        "updated": tally.updated,
        "unchanged": tally.unchanged,
        "skipped": tally.skipped,
        "skipped_because": dict(sorted(tally.reasons.items())),
        "failed": tally.failed,
        "authors_created": tally.authors_created,
        "created_at": _instant(job.created_at),
        "started_at": _instant(job.started_at),
        "finished_at": _instant(job.finished_at),
        "error": job.error,
        "parent_id": job.parent_id and str(job.parent_id),
        "revision": job.revision,
    }


def _where(error: RowError, form: ImportFormat) -> str:
    """All rows of an array may be in one line."""
    return str(error.line) if form in EACH_A_LINE else f"{error.line}, row {error.place}"


def _reasons(job: ImportJob) -> str:
    most_first = sorted(job.tally.reasons.items(), key=lambda reason: (-reason[1], reason[0]))
    return ", ".join(f"{count:,} {reason}" for reason, count in most_first)


def _options(job: ImportJob) -> str:
    """As the command line takes them."""
    options = job.options
    told = [f"--on-conflict {options.on_conflict}"]
    told += [f"--publish {options.publish}"] * (options.kind is ImportKind.POSTS)
    told += ["--create-authors"] * options.create_authors
    told += [] if options.default_author is None else [f"--default-author {options.default_author}"]
    told += [] if options.max_errors is None else [f"--max-errors {options.max_errors}"]
    return " ".join([*told, *(f"--map {old}={new}" for old, new in options.columns.items())])


def _share(job: ImportJob) -> str:
    if job.bytes_total == 0:
        return "100%" if job.succeeded else "0%"
    return f"{int(100 * job.bytes_done / job.bytes_total)}%"


def _time(at: datetime | None) -> str:
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S}" if at else ""


def _instant(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat().replace("+00:00", "Z")
