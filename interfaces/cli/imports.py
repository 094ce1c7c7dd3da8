"""`byline import`: the use cases that an upload over HTTP and the worker drive, in one command."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, NoReturn
from uuid import UUID

import typer

from domain.errors import LeaseLost, WrongState
from domain.ids import ImportId
from domain.imports import ImportFormat, ImportJob, ImportKind, ImportState
from interfaces.cli.composition import Composition
from interfaces.cli.console import CommandFailed, ExitCode, err, flag, out, wrong_usage
from interfaces.cli.progress import ImportProgress, first_errors, summary

if TYPE_CHECKING:
    from application.use_cases import UseCases
    from domain.actors import Actor

PIECE_BYTES = 1024 * 1024
TAKEN_PAUSE_S = 1.0
STDIN = Path("-")


def import_file(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="The file, or - for standard input.", show_default=False)] = None,
    kind: Annotated[
        ImportKind | None, typer.Option(help="What the rows are; guessed where the file's name says it.")
    ] = None,
    file_format: Annotated[
        ImportFormat | None, typer.Option("--format", help="By the file's extension, unless given.")
    ] = None,
    detach: Annotated[bool, flag("--detach", "Leave it to the worker, and print the import's id.")] = False,
    resume: Annotated[
        UUID | None, typer.Option(metavar="ID", help="Go on with an import that was interrupted, instead of a file.")
    ] = None,
) -> None:
    """Import a file of users or posts, and show how it goes and which rows failed.

    It runs in this process, or is watched where a worker was quicker to take it. Ctrl-C gives it back, to be resumed.
    Rows that cannot be imported fail alone. It acts as the first administrator. The file is stored under
    BYLINE_DATA_DIR, which this command and the workers must share.

    Exit codes: 0 no row failed, 3 some did, 1 the import failed, 2 wrong usage or settings, 130 interrupted.
    """
    composition: Composition = context.obj
    if file is not None and resume is None:
        subject: _Source | ImportId = _Source.of(file, kind, file_format)
    elif file is None and resume is not None:
        subject = ImportId(resume)
    else:
        raise wrong_usage("Give either a file or --resume ID.")
    composition.use_server_urls()
    job = asyncio.run(_import(composition, subject, detach=detach))
    if detach:
        out.print(str(job.id))
    elif job.state is ImportState.FAILED:
        raise CommandFailed(f"The import failed: {job.error}")
    elif job.tally.failed:
        raise typer.Exit(ExitCode.ROWS_FAILED)


class _Source:
    """The file, what it holds, and how it is written."""

    def __init__(self, path: Path, kind: ImportKind, file_format: ImportFormat) -> None:
        self.path = path
        self.kind = kind
        self.format = file_format

    @classmethod
    def of(cls, path: Path, kind: ImportKind | None, file_format: ImportFormat | None) -> "_Source":
        if path != STDIN and not path.is_file():
            raise wrong_usage(f"{path} is a folder: name a file." if path.is_dir() else f"There is no file {path}.")
        named = [one for one in ImportKind if one.removesuffix("s") in path.name.lower()]
        kind = kind or (named[0] if len(named) == 1 else None)
        if kind is None:
            raise wrong_usage(f"{path.name} does not tell what it holds: add --kind users or --kind posts.")
        file_format = file_format or ImportFormat.of_file_name(path.name)
        if file_format is None:
            raise wrong_usage(f"{path.name} does not tell its format: add --format csv or --format ndjson.")
        return cls(path, kind, file_format)

    @property
    def name(self) -> str | None:
        return None if self.path == STDIN else self.path.name

    @property
    def size(self) -> int | None:
        return None if self.path == STDIN else self.path.stat().st_size

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """Raises CommandFailed."""
        if self.path == STDIN:
            yield sys.stdin.buffer
            return
        try:
            file = self.path.open("rb")
        except OSError as error:
            raise CommandFailed(f"{self.path} cannot be read: {error.strerror}.") from None
        with file:
            yield file


async def acting(byline: "UseCases") -> "Actor":
    """Raises CommandFailed where there is no administrator."""
    actor = await byline.find_admin()
    if actor is None:
        raise CommandFailed("There is no administrator to act as. Make one: byline create-admin")
    return actor


async def _import(composition: Composition, subject: _Source | ImportId, *, detach: bool) -> ImportJob:
    async with composition.use_cases() as byline:
        actor = await acting(byline)
        with ImportProgress() as progress:
            if isinstance(subject, _Source):
                job = await _start(byline, subject, progress, actor=actor, detach=detach)
            else:
                job = await byline.show_import(subject, actor=actor)
            if detach:
                return job
            try:
                job = await _run_or_watch(byline, job, progress, actor=actor)
            except asyncio.CancelledError:
                err.print(f"Interrupted. A running worker goes on with it; else: byline import --resume {job.id}")
                raise
        out.print(summary(job))
        if job.tally.failed:
            out.print(await first_errors(byline, job, actor=actor))
            out.print(f"All of them: GET /v1/imports/{job.id}/errors")
    return job


async def _start(
    byline: "UseCases", source: _Source, progress: ImportProgress, *, actor: "Actor", detach: bool
) -> ImportJob:
    from application.imports import NewImport

    with source.opened() as file, progress.storing(source.name or "standard input", source.size) as stored:
        blob = await byline.receive_upload(_pieces(file, stored), actor=actor)
    request = NewImport(blob, source.kind, source.format, file_name=source.name, detached=detach)
    return await byline.start_import(request, actor=actor)


async def _pieces(file: BinaryIO, stored: Callable[[int], None]) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(file.read, PIECE_BYTES):
        yield piece
        stored(len(piece))


async def _run_or_watch(byline: "UseCases", job: ImportJob, progress: ImportProgress, *, actor: "Actor") -> ImportJob:
    """Watched until it has finished, and run here whenever nobody else has it."""
    running = asyncio.create_task(_run(byline, job.id))
    watching = asyncio.create_task(progress.watch(byline, job.id, actor=actor))
    try:
        await asyncio.wait({running, watching}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        return await watching
    finally:
        running.cancel()
        watching.cancel()
        await asyncio.wait({running, watching})  # the job is given back meanwhile


async def _run(byline: "UseCases", import_id: ImportId) -> NoReturn:
    """Raises what keeps the import from going on."""
    while True:
        with suppress(WrongState, LeaseLost):
            await byline.run_import(import_id)
        await asyncio.sleep(TAKEN_PAUSE_S)
