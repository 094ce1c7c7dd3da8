"""What `byline up` runs beside the starting API; not for people."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from domain.errors import BylineError, Conflict
from domain.import_options import ImportFormat, ImportKind, ImportOptions
from domain.imports import ImportJob
from interfaces.cli.composition import Composition
from interfaces.cli.console import CommandFailed, err
from interfaces.cli.import_reports import summary
from interfaces.cli.import_runs import acting, watch
from interfaces.cli.progress import display

if TYPE_CHECKING:
    from application.use_cases import UseCases
    from domain.actors import Actor

ADMIN_USERNAME = "admin"
SAMPLE = "interfaces.cli.sample"
PATIENCE_S = 30.0
IMPORTS_LOOKED_AT = 20


def sample_pending(data_dir: Path) -> Path:
    """Stands there from when a database was found empty until the sample archive is in it."""
    return data_dir / "sample_pending"


def prepare(context: typer.Context) -> None:
    """Migrate the database of the `byline up` that starts. Where it has no administrator, make one, and where nobody is
    in it, import the sample archive through the worker."""
    composition: Composition = context.obj
    composition.wait_for_servers()
    asyncio.run(_prepare(composition))


async def _prepare(composition: Composition) -> None:
    settings = composition.settings()
    await composition.schema().upgrade(composition.database_url())
    async with composition.use_cases() as byline:
        await _ensure_admin(byline, composition)
        if sample_pending(settings.data_dir).exists():
            try:
                await _import_sample(byline)
            except (CommandFailed, BylineError) as error:
                err.print(f"The sample archive is not imported whole: {error} The next start tries again.")
            else:
                sample_pending(settings.data_dir).unlink()


async def _ensure_admin(byline: "UseCases", composition: Composition) -> None:
    from application.pages import UserQuery
    from application.users import Registration

    settings = composition.settings()
    if await byline.find_admin():
        return
    users = await byline.pages.users(UserQuery(page_size=1), viewer=None)
    if settings.sample and not users.total_pages:
        sample_pending(settings.data_dir).touch()
    request = Registration(ADMIN_USERNAME, settings.admin_email, composition.admin_password())
    try:
        await byline.create_admin(request)
    except Conflict as error:
        raise CommandFailed(
            f"The database has no administrator, and {ADMIN_USERNAME} <{settings.admin_email}> cannot be made: "
            f"{error} Make one with `byline create-admin`, or set BYLINE_ADMIN_EMAIL."
        ) from None


async def _import_sample(byline: "UseCases") -> None:
    """Raises CommandFailed."""
    actor = await acting(byline)
    with display() as shown:
        for kind in (ImportKind.USERS, ImportKind.POSTS):
            job = await _started(byline, kind, actor=actor)
            job = await watch(byline, job.id, shown, actor=actor, patience_s=PATIENCE_S)
            if job.error or job.tally.failed:
                raise CommandFailed(f"{summary(job)}. {job.error or ''}")


async def _started(byline: "UseCases", kind: ImportKind, *, actor: "Actor") -> ImportJob:
    """The import of the sample's file of that kind; an earlier start may have begun it."""
    from application.imports import NewImport
    from application.ports.imports import ImportQuery

    file = files(SAMPLE) / f"{kind}.ndjson"
    content = file.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    for job in await byline.list_imports(ImportQuery(limit=IMPORTS_LOOKED_AT), actor=actor):
        if job.file_hash == digest:
            return job
    blob = await byline.receive_upload(_all_of(content), actor=actor)
    wanted = NewImport(blob, ImportOptions(kind), ImportFormat.NDJSON, file_name=f"sample {file.name}")
    return (await byline.start_import(wanted, actor=actor)).job


async def _all_of(content: bytes) -> AsyncIterator[bytes]:
    yield content
