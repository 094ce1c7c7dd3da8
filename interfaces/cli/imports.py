"""`byline imports`: the jobs that there are, which of their rows failed, and what may be done about them."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, TypeVar

import typer

from domain.import_options import ImportFormat, ImportKind, OnConflict, Publish
from domain.imports import ImportJob, ImportState
from interfaces.cli.composition import Composition
from interfaces.cli.console import CommandFailed, err, flag, print_line, print_table, wrong_usage
from interfaces.cli.import_reports import error_table, job_facts, job_json, job_table
from interfaces.cli.import_runs import acting, follow, named, resumed
from interfaces.cli.progress import Display

if TYPE_CHECKING:
    from application.use_cases import UseCases
    from domain.actors import Actor

Answer = TypeVar("Answer")

imports = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")

Import = Annotated[str, typer.Argument(metavar="ID", help="The import's id, or last for the newest.")]
AsJson = Annotated[bool, flag("--json", "Print JSON, with the names of the HTTP API.")]
Detach = Annotated[bool, flag("--detach", "Leave it to the worker, and print the import's id.")]


class ErrorForm(StrEnum):
    CSV = "csv"
    NDJSON = "ndjson"


@imports.command(
    "list",
    epilog="[bold]byline imports list[/]\n\n[bold]byline imports list --state failed --kind posts[/]\n\n"
    "[bold]byline imports list --json | jq -r '.[].id'[/]",
)
def list_imports(
    context: typer.Context,
    state: Annotated[ImportState | None, typer.Option(help="Those in this state alone.", show_choices=True)] = None,
    kind: Annotated[ImportKind | None, typer.Option(help="Those of this kind alone.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, metavar="N", help="At most so many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the imports, newest first.

    Exit codes: 0 told, 1 not (the message says why), 2 wrong usage or settings.
    """
    from application.ports.imports import ImportQuery

    query = ImportQuery(limit=limit, state=state, kind=kind)
    jobs = _asked(context, lambda byline, actor: byline.list_imports(query, actor=actor))
    if as_json:
        typer.echo(json.dumps([job_json(job) for job in jobs], indent=2))
    elif jobs:
        print_table(job_table(jobs))
    else:
        err.print("There is no such import." if state or kind else "There is no import yet.")


@imports.command(epilog="[bold]byline imports show last[/]\n\n[bold]byline imports show ID --json[/]")
def show(context: typer.Context, import_id: Import, as_json: AsJson = False) -> None:
    """Show how an import goes, or went.

    Exit codes: 0 told, whatever became of the import; 1 not (the message says why), 2 wrong usage or settings.
    """

    async def asked(byline: "UseCases", actor: "Actor") -> ImportJob:
        return await byline.show_import(await named(byline, import_id, actor=actor), actor=actor)

    job = _asked(context, asked)
    if as_json:
        typer.echo(json.dumps(job_json(job), indent=2))
    else:
        print_table(job_facts(job))


@imports.command(
    epilog="[bold]byline imports errors last[/]\n\n"
    "[bold]byline imports errors ID --output failed.csv[/], mend it, [bold]byline import failed.csv --kind posts[/]\n\n"
    "[bold]byline imports errors ID --format ndjson | jq -r .code | sort | uniq -c[/]"
)
def errors(
    context: typer.Context,
    import_id: Import,
    form: Annotated[
        ErrorForm | None,
        typer.Option("--format", help="All of them as a file that can be mended and imported; a table, unless given."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write that file, which must not be there yet; by its name CSV or NDJSON."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, metavar="N", help="Rows of the table.")] = 100,
) -> None:
    """Show the rows of an import that failed: line, field, code and what is wrong.

    Exit codes: 0 told, be there any or none; 1 not (the message says why), 2 wrong usage or settings.
    """
    file_format = None if form is None else ImportFormat(form)
    if output is not None and file_format is None:
        file_format = ImportFormat.of_file_name(output.name)
        if file_format not in (ImportFormat.CSV, ImportFormat.NDJSON):
            raise wrong_usage(f"{output.name} does not tell its format: add --format csv or --format ndjson.")
    if file_format is None:
        _asked(context, lambda byline, actor: _tabulate(byline, import_id, limit, actor=actor))
    else:
        written = file_format
        _asked(context, lambda byline, actor: _export(byline, import_id, written, output, actor=actor))


@imports.command(epilog="[bold]byline imports cancel last[/]")
def cancel(context: typer.Context, import_id: Import) -> None:
    """Stop an import. What it has imported stays; it can be resumed.

    Exit codes: 0 it is cancelled, or stops after the rows at hand; 1 not (the message says why), 2 wrong usage or
    settings.
    """

    async def asked(byline: "UseCases", actor: "Actor") -> ImportJob:
        return await byline.cancel_import(await named(byline, import_id, actor=actor), actor=actor)

    job = _asked(context, asked)
    if job.state is ImportState.CANCELLED:
        print_line(f"Cancelled after {job.tally.rows_read:,} rows. To go on: byline imports resume {job.id}")
    else:
        print_line(f"It stops once the rows at hand are written. To see that: byline import --watch {job.id}")


@imports.command(epilog="[bold]byline imports resume last[/]\n\n[bold]byline imports resume ID --detach[/]")
def resume(context: typer.Context, import_id: Import, detach: Detach = False) -> None:
    """Go on with an import that was cancelled, has failed, or waits: from where it stood, in this process.

    Exit codes: 0 no row failed, 3 some did, 1 the import failed or was cancelled, 2 wrong usage or settings, 130
    interrupted.
    """
    follow(context.obj, resumed(import_id), detach=detach)


@imports.command(
    epilog="[bold]byline imports retry last[/]\n\n"
    "[bold]byline imports retry ID --create-authors[/], where authors were unknown\n\n"
    "[bold]byline imports retry ID --on-conflict update --detach[/]"
)
def retry(
    context: typer.Context,
    import_id: Import,
    on_conflict: Annotated[
        OnConflict | None, typer.Option(help="What becomes of a row that is here already.", show_default=False)
    ] = None,
    publish: Annotated[Publish | None, typer.Option(help="Which posts are published.", show_default=False)] = None,
    create_authors: Annotated[
        bool | None,
        typer.Option("--create-authors/--no-create-authors", help="Make the users that posts name and nobody is."),
    ] = None,
    default_author: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who wrote the posts whose author is not named, or not known.")
    ] = None,
    dry_run: Annotated[
        bool | None, typer.Option("--dry-run/--no-dry-run", help="Do and tell all the same, and change nothing.")
    ] = None,
    detach: Detach = False,
) -> None:
    """Try the rows of an import again that failed, in a new import. It has the options of the old one, but for those
    that are given.

    Exit codes: 0 no row failed, 3 some did, 1 the import failed or was cancelled, 2 wrong usage or settings, 130
    interrupted.
    """

    async def begin(byline: "UseCases", actor: "Actor", _: Display) -> ImportJob:
        from application.imports import RetryOptions

        changes = RetryOptions(on_conflict, dry_run, create_authors, default_author, publish)
        return await byline.retry_import(await named(byline, import_id, actor=actor), changes, actor=actor)

    follow(context.obj, begin, detach=detach)


def _asked(context: typer.Context, ask: Callable[["UseCases", "Actor"], Awaitable[Answer]]) -> Answer:
    composition: Composition = context.obj
    composition.use_server_urls()

    async def answer() -> Answer:
        async with composition.use_cases() as byline:
            return await ask(byline, await acting(byline))

    return asyncio.run(answer())


async def _tabulate(byline: "UseCases", name: str, limit: int, *, actor: "Actor") -> None:
    job = await byline.show_import(await named(byline, name, actor=actor), actor=actor)
    found = await byline.list_import_errors(job.id, after=0, limit=limit + 1, actor=actor)
    if not found:
        err.print("No row failed.")
        return
    print_table(error_table((error for _, error in found[:limit]), job.format))
    if len(found) > limit:
        print_line(f"These are the first {limit:,}. All of them: byline imports errors {job.id} --output failed.csv")


async def _export(byline: "UseCases", name: str, form: ImportFormat, output: Path | None, *, actor: "Actor") -> None:
    import_id = await named(byline, name, actor=actor)
    pieces = byline.export_import_errors(import_id, form, actor=actor)
    head = await anext(pieces)
    with _opened(output) as file:
        file.write(head)
        async for piece in pieces:
            file.write(piece)


@contextmanager
def _opened(output: Path | None) -> Iterator[BinaryIO]:
    """A new file, which is gone again where it was not written whole; or standard output. Raises CommandFailed."""
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        file = output.open("xb")
    except FileExistsError:
        raise CommandFailed(f"{output} is there already: name another file.") from None
    except OSError as error:
        raise CommandFailed(f"{output} cannot be written: {error.strerror}.") from None
    try:
        with file:
            yield file
    except BaseException:
        with suppress(OSError):
            output.unlink()
        raise
