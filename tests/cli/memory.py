"""The command line over memory adapters, in this process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from typer.testing import CliRunner, Result

from application.ports.imports import ImportQuery
from application.use_cases import UseCases
from domain.ids import ImportId
from domain.imports import ImportJob
from infrastructure.container import Container, MemoryAdapters, running
from infrastructure.settings import Settings
from interfaces.cli.main import Adapters, app

PASSWORD = "correct horse battery staple"


@dataclass
class Byline(Adapters):
    """What its commands did is in memory from one to the next, as in one database."""

    options: dict[str, object] = field(default_factory=dict)
    adapters: MemoryAdapters = field(default_factory=MemoryAdapters)

    def settings(self) -> Settings:
        return Settings.model_validate(self.options)

    def use_server_urls(self, *, redis: bool = False) -> None:
        pass

    @asynccontextmanager
    async def use_cases(self) -> AsyncIterator[UseCases]:
        container = Container(settings=self.settings())
        container.override(self.adapters)
        async with running(container) as use_cases:
            yield use_cases

    def __call__(self, *arguments: str, stdin: str | bytes = "") -> Result:
        return CliRunner(env={"COLUMNS": "200"}).invoke(app, arguments, input=stdin, obj=self)

    def with_admin(self) -> "Byline":
        made = self("create-admin", "--email", "root@example.com", "--password-stdin", stdin=PASSWORD)
        assert made.exit_code == 0, made.output
        return self

    def jobs(self) -> list[ImportJob]:
        """All imports, newest first."""

        async def look() -> list[ImportJob]:
            async with self.adapters.store().begin() as work:
                return await work.imports.newest(ImportQuery(limit=1_000))

        return asyncio.run(look())

    def job(self, import_id: ImportId | None = None) -> ImportJob:
        """The newest import, or that of the id."""
        return next(job for job in self.jobs() if import_id in (None, job.id))

    def stored_files(self) -> list[str]:
        return asyncio.run(self.adapters.blobs().older_than(datetime.max.replace(tzinfo=UTC)))
