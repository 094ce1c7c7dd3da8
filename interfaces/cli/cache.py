"""`byline cache`: warm it, see its figures, have it forget."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, TypeVar
from uuid import UUID

import typer
from rich.table import Table

from application.caching.tags import ALL
from domain.errors import InvalidValue
from domain.ids import UserId
from domain.warmings import Ending, Warming, WarmingReport, WarmingState
from interfaces.cli.composition import Composition
from interfaces.cli.console import CommandFailed, err, flag, print_line, print_table, safe, wrong_usage
from interfaces.cli.import_runs import acting

if TYPE_CHECKING:
    from application.cache_control import Forgettable
    from application.use_cases import UseCases
    from domain.actors import Actor

PATIENCE_S = 10.0
"""How long a warming may wait while none runs: a worker looks every 2 s."""
LOOK_EVERY_S = 0.25

Answer = TypeVar("Answer")

cache = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")

_ENDED: Mapping[Ending, str] = {
    Ending.DONE: "when all was read",
    Ending.BUDGET: "when it had had its pages or its time (BYLINE_WARM_PAGES_MAX, BYLINE_WARM_MAX_S)",
    Ending.BUSY: "early: the database was busy, and warming gives way",
    Ending.AWAY: "early: Redis or the database was away",
    Ending.CANCELLED: "early: its worker was stopped",
}


@cache.command(epilog="[bold]byline cache warm[/]\n\n[bold]byline cache warm --detach[/]")
def warm(
    context: typer.Context,
    detach: Annotated[bool, flag("--detach", "Leave it to the worker, and print the warming's id.")] = False,
) -> None:
    """Have a worker read the pages that will be asked for: those read most lately, and the first ones of the common
    lists. Workers do so by themselves after their start, after imports, and every BYLINE_WARM_EVERY_S; what is there
    for as long is left alone.

    Exit codes: 0 it is warm, or asked for with --detach; 1 it is not (the message says why), 2 wrong usage or settings.
    """

    async def asked(byline: "UseCases", actor: "Actor") -> Warming:
        warming = await byline.request_warming(actor=actor)
        return warming if detach else await _followed(byline, warming, actor=actor)

    warming = _asked(context, asked)
    if detach:
        print_line(str(warming.id))
        err.print(f"It is left to the worker. What it did: GET /v1/cache/warmings/{warming.id}", soft_wrap=True)
        return
    if warming.report is None:
        raise CommandFailed("A defect ended the warming; see the worker's log.")
    print_table(_table(_facts(warming.report)))
    if warming.state is WarmingState.FAILED:
        raise CommandFailed(f"It ended {_ENDED[warming.report.ended]}.")


@cache.command(epilog="[bold]byline cache stats[/]\n\n[bold]byline cache stats --json | jq .shared.memory_bytes[/]")
def stats(
    context: typer.Context,
    as_json: Annotated[bool, flag("--json", "Print JSON, with the names of the HTTP API.")] = False,
) -> None:
    """Show the figures of the cache that all processes share: keys, bytes, hits and misses. Those of an API process
    are at GET /v1/cache.

    Exit codes: 0 told, also that it is away; 1 not (the message says why), 2 wrong usage or settings.
    """
    shared = _asked(context, _figures)
    if as_json:
        typer.echo(json.dumps({"shared": dict(shared)}, indent=2))
        return
    print_table(_table({name: _told(value) for name, value in shared.items()}))
    if shared.get("connected") == 0:
        err.print("Redis is away. Reads go to the database, and all is well once it is back.")
    elif shared.get("in_doubt"):
        err.print("Redis was not told of a write of this host, which reads past it until some seconds after it is.")


@cache.command(
    epilog="[bold]byline cache forget[/], all of it\n\n[bold]byline cache forget --post on-tides --post on-winds[/]\n\n"
    "[bold]byline cache forget --user 0190a8c1-0000-7000-8000-000000000000[/]"
)
def forget(
    context: typer.Context,
    posts: Annotated[
        list[str] | None,
        typer.Option("--post", metavar="REF", help="By id or slug: its pages, and the lists it is on. Repeatable."),
    ] = None,
    users: Annotated[
        list[str] | None,
        typer.Option("--user", metavar="ID", help="Their pages, and all that shows their name. Repeatable."),
    ] = None,
) -> None:
    """Have pages loaded anew when they are next asked for: all of them, unless some are named. Only needed after the
    database was changed by other means than Byline. It loses nothing but a little speed.

    All pages are forgotten too where a post or a user named is not there any more, and for a user who has posts. A
    post's former pages and lists are not found by its name: where slugs, tags or authors were changed, name nothing.

    Exit codes: 0 forgotten, or noted to be once Redis is back; 1 not (the message says why), 2 wrong usage or settings.
    """
    named = _named(posts or (), users or ())
    forgotten = _asked(context, lambda byline, actor: byline.forget_pages(named, actor=actor))
    for tag in forgotten:
        print_line(f"Forgotten: {tag}")
    if forgotten == [ALL] and (posts or users):
        err.print("Those are all pages: something named is not there, or is a user who has posts.", soft_wrap=True)


async def _figures(byline: "UseCases", actor: "Actor") -> Mapping[str, int | float | str]:
    return (await byline.cache_stats(actor=actor)).shared


def _named(posts: "list[str] | tuple[()]", users: "list[str] | tuple[()]") -> "Forgettable":
    from application.cache_control import Forgettable
    from domain.posts import post_ref

    try:
        return Forgettable(tuple(map(post_ref, posts)), tuple(UserId(UUID(user)) for user in users))
    except InvalidValue:
        raise wrong_usage("--post takes the id or the slug of a post.") from None
    except ValueError:
        raise wrong_usage("--user takes the id of a user.") from None


async def _followed(byline: "UseCases", warming: Warming, *, actor: "Actor") -> Warming:
    """To its end. Raises CommandFailed where no worker takes it."""
    quiet_since = time.monotonic()
    with _shown("The worker warms the cache"):
        while not warming.is_finished:
            await asyncio.sleep(LOOK_EVERY_S)
            now = datetime.now(UTC)
            if any(each.runs(at=now) for each in await byline.list_warmings(10, actor=actor)):
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since > PATIENCE_S:
                raise CommandFailed(
                    "No worker has taken the warming: it waits until one runs (`byline worker`, or `byline up`)."
                )
            warming = await byline.show_warming(warming.id, actor=actor)
    return warming


def _shown(what: str) -> AbstractContextManager[object]:
    return err.status(what) if err.is_terminal else nullcontext()


def _facts(report: WarmingReport) -> dict[str, str]:
    return {
        "Pages read": f"{report.asked:,}",
        "Loaded": f"{report.loaded:,}",
        "Already there": f"{report.already_there:,}",
        "Gone": f"{report.gone:,}",
        "Took": f"{report.took_s:.1f} s",
        "Ended": _ENDED[report.ended],
    }


def _told(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:,}"


def _table(facts: Mapping[str, str]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(f"[bold]{safe(name)}", safe(value))
    return table


def _asked(context: typer.Context, ask: Callable[["UseCases", "Actor"], Awaitable[Answer]]) -> Answer:
    composition: Composition = context.obj
    composition.use_server_urls()

    async def answer() -> Answer:
        async with composition.use_cases() as byline:
            return await ask(byline, await acting(byline))

    return asyncio.run(answer())
