"""`byline migrate`: the database's schema."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from interfaces.cli.composition import Composition, Schema
from interfaces.cli.console import CommandFailed, out, wrong_usage

migrate = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")


@migrate.command(epilog="[bold]byline migrate upgrade[/]")
def upgrade(
    context: typer.Context,
    revision: Annotated[str, typer.Argument(help="Where to go: a revision, +1 or head.")] = "head",
) -> None:
    """Bring the database forward to a revision, to the newest unless another is named.

    Safe to repeat, and to run from several places at once.

    Exit codes: 0 done, 1 not reached (the message says why), 2 wrong usage or settings.
    """
    _move(context, lambda schema, url: schema.upgrade(url, revision))


@migrate.command(
    context_settings={"ignore_unknown_options": True},
    epilog="[bold]byline migrate downgrade -1[/]\n\n[bold]byline migrate downgrade base[/]",
)
def downgrade(
    context: typer.Context,
    revision: Annotated[
        str, typer.Argument(help="Where to go back to: a revision, -1, or base for an empty database.")
    ],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Take the database back to an earlier revision. [red]What that one cannot hold is lost.[/]

    Asks first; where nobody can answer, it needs --yes.

    Exit codes: 0 done, 1 not reached (the message says why), 2 wrong usage or settings.
    """
    if not yes:
        if not sys.stdin.isatty():
            raise wrong_usage("What the earlier revision cannot hold is lost for good: add --yes to go on.")
        typer.confirm(f"What revision {revision} cannot hold is lost for good. Go on?", abort=True)
    _move(context, lambda schema, url: schema.downgrade(url, revision))


@migrate.command()
def current(context: typer.Context) -> None:
    """Print the revision that the database is at, and whether it is the newest."""
    composition: Composition = context.obj
    schema, url = composition.schema(), composition.database_url()
    revision = asyncio.run(schema.current(url))
    heads = [known.id for known in schema.history() if known.is_head]
    out.print(f"{revision or 'empty'} ({'newest' if revision in heads else f'the newest is {heads[0]}'})")


@migrate.command()
def history(context: typer.Context) -> None:
    """List the revisions, newest first; the one that the database is at is marked."""
    composition: Composition = context.obj
    schema, url = composition.schema(), composition.database_url()
    revision = asyncio.run(schema.current(url))
    for known in schema.history():
        out.print(f"{'*' if known.id == revision else ' '} {known.id}  {known.title}")


def _move(context: typer.Context, step: Callable[[Schema, object], Awaitable[None]]) -> None:
    from alembic.util import CommandError

    composition: Composition = context.obj
    schema, url = composition.schema(), composition.database_url()

    async def move() -> tuple[str | None, str | None]:
        before = await schema.current(url)
        await step(schema, url)
        return before, await schema.current(url)

    try:
        before, after = asyncio.run(move())
    except CommandError as error:
        raise CommandFailed(f"{error}. `byline migrate history` lists the revisions.") from None
    if before == after:
        out.print(f"The database is at {after or 'no revision, empty,'} already.")
    else:
        out.print(f"{before or 'empty'} → {after or 'empty'}")
