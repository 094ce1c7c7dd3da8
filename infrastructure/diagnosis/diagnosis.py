"""All checks, in the order in which people mend things."""

import os
from collections.abc import AsyncIterator, Sequence

from domain.errors import BylineError
from infrastructure.container import Container, running
from infrastructure.database import schema
from infrastructure.diagnosis import machine
from infrastructure.diagnosis.database import database
from infrastructure.diagnosis.findings import Finding
from infrastructure.diagnosis.redis import redis
from infrastructure.embedded.state import read_state
from infrastructure.settings import BadSettings, Settings, load_settings


async def diagnose() -> Sequence[Finding]:
    return [finding async for finding in _findings()]


async def _findings() -> AsyncIterator[Finding]:
    yield machine.python()
    for finding in machine.unknown_variables(os.environ):
        yield finding
    try:
        settings = load_settings()
    except BadSettings as error:
        for problem in error.problems:
            yield Finding.wrong("Settings", problem, "Correct it in the environment or in .env.")
        return
    yield Finding.ok("Settings", "They can be read.")
    for finding in machine.data_folder(settings):
        yield finding
    yield machine.embedded_servers(settings)
    yield machine.secret_key(settings)
    try:
        up = read_state(settings.data_dir / "state.json")
    except OSError:  # of which the look at the data folder has told
        up = None
    yield machine.port(settings, up)
    if up is not None and settings.database_url is None:
        urls = {"database_url": up.database_url, "redis_url": settings.redis_url or up.redis_url}
        settings = Settings.model_validate(settings.model_dump() | urls)
    async for finding in _servers(settings):
        yield finding


async def _servers(settings: Settings) -> AsyncIterator[Finding]:
    if settings.database_url is None:
        yield Finding.ok("Database", "None is named, and none runs: `byline up` starts its own.")
    else:
        reachable = True
        async for finding in database(settings):
            reachable = reachable and not (finding.check == "Database" and finding.state == "wrong")
            yield finding
        if reachable:
            async for finding in _contents(settings):
                yield finding
    if settings.redis_url is None:
        if settings.database_url is not None:
            yield Finding.warning(
                "Redis", "None is named: the worker does not start, and imports wait.", "Set BYLINE_REDIS_URL."
            )
    else:
        async for finding in redis(settings):
            yield finding


async def _contents(settings: Settings) -> AsyncIterator[Finding]:
    try:
        revision = await schema.current(settings.database_url)
        if revision not in schema.heads():
            yield Finding.wrong(
                "Migrations", f"The database is at {revision or 'no revision, empty'}.", "byline migrate upgrade"
            )
            return
        yield Finding.ok("Migrations", f"The database is at {revision}, the newest.")
        async with running(Container(settings=settings)) as byline:
            if await byline.find_admin() is None:
                yield Finding.wrong("Administrator", "There is none.", "byline create-admin")
            else:
                yield Finding.ok("Administrator", "There is one.")
    except BylineError as error:
        yield Finding.wrong("Database", str(error), "See its log.")
