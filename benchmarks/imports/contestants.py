"""Ways of getting an archive's posts into the table, each timed from an empty one."""

import asyncio
import os
import shutil
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from application.ports.services import Blob
from benchmarks.imports.cpu import MachineCpu, PostgresCpu, children_seconds, loop_seconds
from benchmarks.imports.sampled import functions
from benchmarks.imports.stage import CHECKOUT, Stage
from benchmarks.load import cpu_seconds
from domain.import_options import ImportFormat

LOOP: Final = "of it the event loop"
REST: Final = "of it its other threads"
_BACKEND_ENDS_S: Final = 0.3
"""A moment after its client; only then is all of its CPU told."""
_COLUMNS: Final = """
    SELECT string_agg(quote_ident(column_name), ', ' ORDER BY ordinal_position) FROM information_schema.columns
    WHERE table_name = 'posts' AND is_generated = 'NEVER'
"""


@dataclass(frozen=True, slots=True)
class Run:
    """`cpu` is in seconds, by whose it was; `others` is the share of the machine that strangers had meanwhile."""

    rows: int
    seconds: float
    cpu: Mapping[str, float]
    others: float

    @property
    def rows_per_s(self) -> float:
        return self.rows / self.seconds


Contestant = Callable[[], Awaitable[Run]]


@dataclass(frozen=True, slots=True)
class Ours:
    """A worker of its own, from the claim to the end of the job, as its clock has them."""

    stage: Stage
    blob: Blob
    form: ImportFormat
    rows: int

    async def __call__(self) -> Run:
        return await self._run()

    async def by_function(self) -> list[tuple[float, str]]:
        """Seconds of the worker's CPU for each function, the most first, of a run that is looked at."""
        file = self.stage.folder / "functions"
        run = await self._run("benchmarks.imports.sampled", str(file))
        return functions(file, loop_s=run.cpu[LOOP], other_s=run.cpu[REST])

    async def _run(self, *module: str) -> Run:
        async with self.stage.worker(*module) as worker:
            machine, postgres = MachineCpu.now(), PostgresCpu.now(self.stage.postmaster)
            python, loop = cpu_seconds(worker), loop_seconds(worker)
            job = await self.stage.finished(await self.stage.start(self.blob, self.form), rows=self.rows)
            python, loop = cpu_seconds(worker) - python, loop_seconds(worker) - loop
            postgres = PostgresCpu.now(self.stage.postmaster) - postgres
            others = machine.share_of_others(python + postgres.backends + postgres.others)
        if job.started_at is None or job.finished_at is None:
            raise RuntimeError("The import has no times.")
        return Run(
            self.rows,
            (job.finished_at - job.started_at).total_seconds(),
            {"worker": python, LOOP: loop, REST: python - loop, **postgres.told()},
            others,
        )


@dataclass(frozen=True, slots=True)
class Copy:
    r"""`psql \copy` of a text file of the rows that an import of ours has written, all columns as they were."""

    stage: Stage
    file: Path
    columns: str
    rows: int

    @classmethod
    async def of_what_is_there(cls, stage: Stage, file: Path) -> "Copy":
        """To be called with the rows in the table."""
        columns = await stage.connection.fetchval(_COLUMNS)
        await stage.connection.execute("SET synchronize_seqscans = off")  # in the order in which they were written
        told = await stage.connection.copy_from_query(f"SELECT {columns} FROM posts", output=file, format="text")
        return cls(stage, file, columns, int(told.split()[1]))

    async def __call__(self) -> Run:
        url = urlsplit(self.stage.database_url)
        command = rf"\copy posts ({self.columns}) from '{self.file}'"
        return await _timed_process(
            self.stage,
            "psql",
            *("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", str(url.hostname), "-p", str(url.port)),
            *("-U", str(url.username), "-d", url.path[1:], "-c", command),
            rows=self.rows,
            environment={"PGPASSWORD": str(url.password)},
        )

    @staticmethod
    def can_run() -> bool:
        """The embedded PostgreSQL brings no psql."""
        return shutil.which("psql") is not None


@dataclass(frozen=True, slots=True)
class Tutorial:
    """`way` is bulk or add_all; of the first `rows` of the file."""

    stage: Stage
    way: str
    file: Path
    rows: int

    async def __call__(self) -> Run:
        module = ("-m", "benchmarks.imports.tutorial", self.way, str(self.file), str(self.rows))
        environment = {"BYLINE_DATABASE_URL": self.stage.database_url, "PYTHONPATH": CHECKOUT}
        return await _timed_process(
            self.stage, "Python", sys.executable, *module, rows=self.rows, environment=environment
        )


async def _timed_process(stage: Stage, name: str, *command: str, rows: int, environment: Mapping[str, str]) -> Run:
    """It may print the seconds that it took, which are less than those of its whole life."""
    machine, postgres, children = MachineCpu.now(), PostgresCpu.now(stage.postmaster), children_seconds()
    loop = asyncio.get_running_loop()
    began = loop.time()
    process = await asyncio.create_subprocess_exec(
        *command, env=os.environ | environment, stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await process.communicate()
    seconds = loop.time() - began
    if process.returncode:
        raise RuntimeError(f"{command[0]} failed.")
    await asyncio.sleep(_BACKEND_ENDS_S)
    children = children_seconds() - children
    postgres = PostgresCpu.now(stage.postmaster) - postgres
    others = machine.share_of_others(children + postgres.backends + postgres.others)
    written = await stage.connection.fetchval("SELECT count(*) FROM posts")
    if written != rows:
        raise RuntimeError(f"{command[0]} wrote {written} rows of {rows}.")
    return Run(rows, float(printed) if printed else seconds, {name: children, **postgres.told()}, others)
