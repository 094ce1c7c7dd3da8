"""Imports that faults are tried on, and what they leave when nothing disturbs them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from domain.import_options import ImportFormat, ImportKind, OnConflict
from domain.imports import ImportJob
from tests.faults import archives
from tests.faults.conftest import Offices
from tests.faults.tables import Tables, tables
from tests.workers.processes import Service

Start = Callable[[Service], Awaitable[ImportJob]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """`start` queues its last job; those before it have run by then."""

    name: str
    start: Start

    def __str__(self) -> str:
        return self.name

    async def undisturbed(self, offices: Offices) -> Tables:
        """What it leaves without any fault, in large chunks."""
        async with offices() as office:
            await run_here(office, await self.start(office))
            return await tables(str(office.settings.database_url))


async def run_here(office: Service, job: ImportJob) -> None:
    """By this process."""
    assert (await office.byline.run_import(job.id)).is_finished


async def _of_posts(office: Service, *, rows: int, **options: Any) -> ImportJob:
    return await office.start_import(archives.posts(rows), **options)


async def _of_posts_again(office: Service, *, rows: int) -> ImportJob:
    await run_here(office, await office.start_import(archives.posts(rows // 2)))
    return await office.start_import(
        archives.posts(rows, edition=2), on_conflict=OnConflict.UPDATE, create_authors=True
    )


async def _of_users(office: Service, *, rows: int) -> ImportJob:
    return await office.start_import(archives.users(rows), kind=ImportKind.USERS, form=ImportFormat.CSV)


def new_posts(rows: int) -> Scenario:
    return Scenario("new posts", partial(_of_posts, rows=rows))


def new_authors(rows: int) -> Scenario:
    return Scenario("new authors", partial(_of_posts, rows=rows, create_authors=True))


def updates(rows: int) -> Scenario:
    return Scenario("updates", partial(_of_posts_again, rows=rows))


def rehearsed(rows: int) -> Scenario:
    return Scenario("a dry run", partial(_of_posts, rows=rows, create_authors=True, dry_run=True))


def new_users(rows: int) -> Scenario:
    return Scenario("users", partial(_of_users, rows=rows))
