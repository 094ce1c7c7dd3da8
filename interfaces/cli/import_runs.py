"""An import from its start to its end: run in this process, or watched where another has it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import UUID

import typer

from domain.errors import BylineError, LeaseLost, WrongState
from domain.ids import ImportId
from domain.imports import RESUMABLE, ImportJob, ImportState
from interfaces.cli.composition import Composition
from interfaces.cli.console import CommandFailed, ExitCode, err, out, plain, wrong_usage
from interfaces.cli.import_reports import report
from interfaces.cli.progress import Display, display

if TYPE_CHECKING:
    from application.use_cases import UseCases
    from domain.actors import Actor

TAKEN_PAUSE_S = 1.0
LAST = "last"
Begin = Callable[["UseCases", "Actor", Display], Awaitable[ImportJob]]


def follow(composition: Composition, begin: Begin, *, detach: bool = False, elsewhere: bool = False) -> None:
    """The import that `begin` starts or finds: to its end, which is told, and is the exit code. `detach`: only started,
    and left to the worker. `elsewhere`: only watched."""
    composition.use_server_urls()
    job = asyncio.run(_follow(composition, begin, detach=detach, elsewhere=elsewhere))
    if detach:
        out.print(str(job.id))
        err.print(f"It is left to the worker. To watch it: byline import --watch {job.id}", soft_wrap=True)
    elif job.state is ImportState.FAILED:
        raise CommandFailed(f"The import failed: {plain(job.error or '')}")
    elif job.state is ImportState.CANCELLED:
        raise CommandFailed("The import was cancelled. What was imported until then stays.")
    elif job.tally.failed:
        raise typer.Exit(ExitCode.ROWS_FAILED)


async def acting(byline: "UseCases") -> "Actor":
    """Raises CommandFailed where there is no administrator."""
    actor = await byline.find_admin()
    if actor is None:
        raise CommandFailed("There is no administrator to act as. Make one: byline create-admin")
    return actor


async def named(byline: "UseCases", name: str, *, actor: "Actor") -> ImportId:
    """An id, or LAST for the newest import. Raises CommandFailed."""
    if name != LAST:
        try:
            return ImportId(UUID(name))
        except ValueError:
            raise wrong_usage(
                f"{name} is no id of an import: `byline imports list` shows them, or say {LAST}."
            ) from None
    from application.ports.imports import ImportQuery

    newest = await byline.list_imports(ImportQuery(limit=1), actor=actor)
    if not newest:
        raise CommandFailed("There is no import yet.")
    return newest[0].id


def existing(name: str) -> Begin:
    """The import of that name, as it is."""

    async def begin(byline: "UseCases", actor: "Actor", _: Display) -> ImportJob:
        return await byline.show_import(await named(byline, name, actor=actor), actor=actor)

    return begin


def resumed(name: str, *, always: bool = True) -> Begin:
    """The import of that name, queued again: `always`, or only where it was cancelled, has failed or is to begin."""

    async def begin(byline: "UseCases", actor: "Actor", shown: Display) -> ImportJob:
        job = await existing(name)(byline, actor, shown)
        return await byline.resume_import(job.id, actor=actor) if always or job.state in RESUMABLE else job

    return begin


async def watch(
    byline: "UseCases", import_id: ImportId, shown: Display, *, actor: "Actor", patience_s: float | None = None
) -> ImportJob:
    """Until it has finished. Raises CommandFailed when nothing of it moves for `patience_s`."""
    changes = byline.watch_import(import_id, actor=actor)
    job = await anext(changes)
    shown.show(job)
    while True:
        try:
            async with asyncio.timeout(patience_s):
                changed = await anext(changes, None)
        except TimeoutError:
            raise CommandFailed(f"The worker has not gone on with import {import_id} for {patience_s:g} s.") from None
        if changed is None:
            return job
        job = changed
        shown.show(job)


async def _follow(composition: Composition, begin: Begin, *, detach: bool, elsewhere: bool) -> ImportJob:
    async with composition.use_cases() as byline:
        actor = await acting(byline)
        with display() as shown:
            job = await begin(byline, actor, shown)
            if detach:
                return job
            is_run_here = not elsewhere and not job.is_finished
            try:
                if elsewhere:
                    if not job.is_finished:
                        err.print(f"The import is {job.state}. Ctrl-C ends the watching alone.")
                    job = await watch(byline, job.id, shown, actor=actor)
                else:
                    job = await _run_or_watch(byline, job, shown, actor=actor)
            except asyncio.CancelledError:
                _tell_of_interruption(job, elsewhere=elsewhere)
                raise
        if is_run_here:
            await _have_warmed(byline, job)
        await report(byline, job, actor=actor)
    return job


async def _have_warmed(byline: "UseCases", job: ImportJob) -> None:
    """Where that cannot be asked for it is only told: the import has ended, and the schedule has the cache warmed."""
    try:
        await byline.request_warming.after(job)
    except BylineError as error:
        err.print(f"The cache is not warmed at once: {plain(str(error))}", soft_wrap=True)


def _tell_of_interruption(job: ImportJob, *, elsewhere: bool) -> None:
    went_on = f"byline import --watch {job.id}" if elsewhere else f"byline import --resume {job.id}"
    told = "It goes on. To watch it again:" if elsewhere else "A running worker goes on with it; else:"
    err.print(f"Interrupted. {told} {went_on}", soft_wrap=True)
    err.print(f"To stop it: byline imports cancel {job.id}", soft_wrap=True)


async def _run_or_watch(byline: "UseCases", job: ImportJob, shown: Display, *, actor: "Actor") -> ImportJob:
    """Watched until it has finished, and run here whenever nobody else has it."""
    running = asyncio.create_task(_run(byline, job.id))
    watching = asyncio.create_task(watch(byline, job.id, shown, actor=actor))
    try:
        await asyncio.wait({running, watching}, return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            return watching.result()
        job = running.result()
        shown.show(job)
        return job
    finally:
        running.cancel()
        watching.cancel()
        await asyncio.wait({running, watching})  # the job is given back meanwhile


async def _run(byline: "UseCases", import_id: ImportId) -> ImportJob:
    """As it is once it has finished here. Raises what keeps it from going on."""
    while True:
        with suppress(WrongState, LeaseLost):
            job = await byline.run_import(import_id)
            if job.is_finished:
                return job
        await asyncio.sleep(TAKEN_PAUSE_S)
