"""`byline import`: the use cases that an upload over HTTP and the worker drive, in one command."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from domain.errors import BylineError, Unavailable
from domain.import_options import ARCHIVES, ImportFormat, ImportKind, ImportOptions, OnConflict, Publish
from domain.imports import ImportJob
from interfaces.cli.console import CommandFailed, err, wrong_usage
from interfaces.cli.import_runs import existing, follow, resumed
from interfaces.cli.progress import Display

if TYPE_CHECKING:
    from application.use_cases import UseCases
    from domain.actors import Actor

PIECE_BYTES = 1024 * 1024
STDIN = Path("-")
POSTS_ALONE = "--create-authors, --default-author and --publish are for posts."

FILE, ROWS, RUN = "The file", "Its rows", "Another import, and who runs it"


def import_file(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="The file, or - for standard input.", show_default=False)] = None,
    kind: Annotated[
        ImportKind | None,
        typer.Option(
            help="What the rows are. Guessed where the file's name says users or posts; posts for .xml and for the"
            " formats wxr, ghost and stackexchange.",
            rich_help_panel=FILE,
        ),
    ] = None,
    file_format: Annotated[
        ImportFormat | None, typer.Option("--format", help="Told by the content, unless given.", rich_help_panel=FILE)
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="OLD=NEW",
            help="The file's name OLD is Byline's field NEW; OLD= leaves it out. Repeat it.",
            rich_help_panel=FILE,
        ),
    ] = None,
    on_conflict: Annotated[
        OnConflict | None,
        typer.Option(help="What becomes of a row that is here already: skip, unless given.", rich_help_panel=ROWS),
    ] = None,
    publish: Annotated[
        Publish | None,
        typer.Option(
            help="Which posts are published: those that the file says (keep, unless given), none, or all.",
            rich_help_panel=ROWS,
        ),
    ] = None,
    create_authors: Annotated[
        bool,
        typer.Option(
            "--create-authors", metavar="", help="Make the users that posts name and nobody is.", rich_help_panel=ROWS
        ),
    ] = False,
    default_author: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Username, address or id of who wrote the posts whose author is not named, or not known.",
            rich_help_panel=ROWS,
        ),
    ] = None,
    max_errors: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Fail once more rows than these have failed.", rich_help_panel=ROWS),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", metavar="", help="Do and tell all the same, and change nothing.", rich_help_panel=ROWS
        ),
    ] = False,
    detach: Annotated[
        bool,
        typer.Option(
            "--detach", metavar="", help="Leave it to the worker, and print the import's id.", rich_help_panel=RUN
        ),
    ] = False,
    watch: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help="Follow an import that runs elsewhere, instead of a file.", rich_help_panel=RUN
        ),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Go on with one that was interrupted, instead of a file.", rich_help_panel=RUN),
    ] = None,
) -> None:
    """Import a file of users or posts, and show how it goes and which rows failed.

    Formats: CSV, NDJSON, a JSON array, and the exports of WordPress (wxr), Ghost and Stack Exchange; plain, or
    compressed by gzip or zstd. [bold]last[/] is the ID of the newest import.

    It runs in this process, or is watched where a worker was quicker to take it. Ctrl-C gives it back, to be resumed.
    Rows that cannot be imported fail alone; [bold]byline imports[/] has all of them. It acts as the first
    administrator. The file is stored under BYLINE_DATA_DIR, which this command and the workers must share.

    Exit codes: 0 no row failed, 3 some did, 1 the import failed or was cancelled, 2 wrong usage or settings, 130
    interrupted.
    """
    if [file, watch, resume].count(None) != 2:
        raise wrong_usage("Give a file, --watch ID or --resume ID: one of them.")
    told = (kind, file_format, columns, on_conflict, publish, default_author, max_errors)
    if file is None and (create_authors or dry_run or any(option is not None for option in told)):
        raise wrong_usage("An import goes on as it began: only --detach goes with --resume, and nothing with --watch.")
    if watch is not None:
        if detach:
            raise wrong_usage("Give --watch or --detach, not both.")
        follow(context.obj, existing(watch), elsewhere=True)
    elif resume is not None:
        follow(context.obj, resumed(resume, always=detach), detach=detach)
    elif file is not None:
        kind = _kind(file, kind, file_format)
        options = ImportOptions(
            kind,
            on_conflict=on_conflict or OnConflict.SKIP,
            dry_run=dry_run,
            create_authors=create_authors,
            max_errors=max_errors,
            publish=publish or Publish.KEEP,
            columns=_mapped(columns or (), kind),
        )
        if options.kind is not ImportKind.POSTS and (create_authors or default_author or publish):
            raise wrong_usage(POSTS_ALONE)
        upload = _Upload(file, options, file_format, default_author, detached=detach)
        follow(context.obj, upload, detach=detach)


def _kind(path: Path, kind: ImportKind | None, file_format: ImportFormat | None) -> ImportKind:
    """As given, else as the file's name or its format says. Raises CommandFailed."""
    if path != STDIN and not path.exists():
        raise wrong_usage(f"There is no file {path}.")
    if path.is_dir():
        raise wrong_usage(f"{path} is a folder: name a file.")
    if kind is not None:
        return kind
    named = [one for one in ImportKind if one.removesuffix("s") in path.name.lower()]
    if len(named) == 1:
        return named[0]
    if file_format in ARCHIVES or ".xml" in PurePath(path.name.lower()).suffixes or _is_ghosts(path, file_format):
        return ImportKind.POSTS
    name = "Standard input" if path == STDIN else path.name
    raise wrong_usage(f"{name} does not tell what it holds: add --kind users or --kind posts.")


def _is_ghosts(path: Path, file_format: ImportFormat | None) -> bool:
    """By the name that Ghost gives to its exports."""
    return file_format is None and ".ghost." in path.name.lower()


def _mapped(columns: Sequence[str], kind: ImportKind) -> Mapping[str, str]:
    """Raises CommandFailed."""
    from application.ports.formats import PostRow, UserRow

    rows = {ImportKind.POSTS: PostRow, ImportKind.USERS: UserRow}
    known = sorted({field.name for field in fields(rows[kind])} - {"details"})
    mapped: dict[str, str] = {}
    for column in columns:
        old, _, new = (part.strip() for part in column.rpartition("="))
        if not old:
            raise wrong_usage(f"--map {column} is not of the form OLD=NEW, such as --map headline=title.")
        if new and new not in known:
            raise wrong_usage(f"--map {column}: there is no field {new}. Those of {kind} are: {', '.join(known)}.")
        if old in mapped:
            raise wrong_usage(f"--map says twice what {old} is.")
        mapped[old] = new
    return mapped


class _Upload:
    """The import of a file that is stored first."""

    def __init__(
        self,
        path: Path,
        options: ImportOptions,
        file_format: ImportFormat | None,
        default_author: str | None,
        *,
        detached: bool,
    ) -> None:
        self._path = path
        self._options = options
        self._format = file_format
        self._default_author = default_author
        self._detached = detached

    async def __call__(self, byline: "UseCases", actor: "Actor", shown: Display) -> ImportJob:
        from application.imports import NewImport

        name = None if self._path == STDIN else self._path.name
        size = self._path.stat().st_size if self._path.is_file() else None
        with self._opened() as file:
            stored = _Counter(lambda count: shown.stored(name or "standard input", count, size))
            try:
                blob = await byline.receive_upload(stored.pieces(file), actor=actor)
            except asyncio.CancelledError:
                err.print("Interrupted before it began: nothing is imported.")
                raise
        request = NewImport(
            blob,
            self._options,
            self._format,
            file_name=name,
            default_author=self._default_author,
            detached=self._detached,
        )
        try:
            return (await byline.start_import(request, actor=actor)).job
        except Unavailable:
            raise  # the job may be there, and only the answer to its commit be lost
        except BylineError:
            await byline.discard_upload(blob)
            raise

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO]:
        """Raises CommandFailed."""
        if self._path == STDIN:
            yield sys.stdin.buffer
            return
        try:
            file = self._path.open("rb")
        except OSError as error:
            raise CommandFailed(f"{self._path} cannot be read: {error.strerror}.") from None
        with file:
            yield file


class _Counter:
    """Tells how many bytes went through."""

    def __init__(self, tell: Callable[[int], None]) -> None:
        self._tell = tell
        self._count = 0

    async def pieces(self, file: BinaryIO) -> AsyncIterator[bytes]:
        while piece := await asyncio.to_thread(file.read, PIECE_BYTES):
            yield piece
            self._count += len(piece)
            self._tell(self._count)
