"""One row in a hundred is bad, in every way there is: exactly those are reported, and mended they come in too."""

import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]  # it has no types of its own
import pytest

from benchmarks.make_archive import Plan
from domain.import_options import ImportFormat
from domain.imports import ImportJob, ImportState, Tally
from tests.faults.mending import mended, named_in
from tests.workers.processes import AUTHORS, Archive, Service, service

pytestmark = pytest.mark.e2e

FEW, MANY = 2_000, 100_000
CSV, NDJSON, JSON = ImportFormat.CSV, ImportFormat.NDJSON, ImportFormat.JSON
ROWS = pytest.mark.parametrize(
    "rows", [pytest.param(FEW, id="few"), pytest.param(MANY, id="many", marks=pytest.mark.soak)]
)


@pytest.fixture
async def office(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    async with service(database_url, redis_url, tmp_path) as office:
        yield office


def poisoned(rows: int, form: ImportFormat) -> Archive:
    return Archive.of(Plan(rows=rows, bad=rows // 100, authors=AUTHORS, format=form, truncated=True))


async def external_ids(office: Service) -> list[str]:
    connection = await asyncpg.connect(str(office.settings.database_url))
    try:
        found = await connection.fetch("SELECT external_id FROM posts ORDER BY external_id::int")
        return [row["external_id"] for row in found]
    finally:
        await connection.close()


async def error_file(office: Service, job: ImportJob, form: ImportFormat) -> bytes:
    return b"".join([piece async for piece in office.byline.export_import_errors(job.id, form, actor=office.actor)])


@ROWS
async def test_exactly_the_bad_rows_are_reported_and_mended_they_are_in(office: Service, rows: int) -> None:
    async with office.worker(BYLINE_IMPORT_CHUNK_ROWS="500"):
        for form, reported in ((NDJSON, NDJSON), (CSV, CSV), (JSON, CSV)):
            archive = poisoned(rows, form)
            job = await office.finished(await office.start_import(archive.file, form=None), bound_s=600)
            assert (job.format, job.state) == (form, ImportState.COMPLETED_WITH_ERRORS)
            assert await office.refusals(job) == archive.refusals
            assert (job.tally.failed, job.tally.rows_read) == (rows // 100 + 1, rows + 1)
            assert await external_ids(office) != everything(rows)

            file = await error_file(office, job, reported)
            there = {*await external_ids(office), *named_in(file, reported)}
            missing = (external_id for external_id in everything(rows) if external_id not in there)
            again = await office.start_import(
                mended(file, reported, missing, source="archive-1", left_out=archive.refusals[-1].line), form=None
            )
            again = await office.finished(again)
            assert (again.state, await office.refusals(again)) == (ImportState.SUCCEEDED, [])
            assert await external_ids(office) == everything(rows)
            await forget_posts(office)


async def test_a_damaged_span_is_one_error_that_says_where_reading_went_on(office: Service) -> None:
    """A quote that nobody closes, an array's object that breaks off, and what is no text at all."""
    good = b'{"title": "T%d", "author": "author-0"}'
    files = {
        NDJSON: b"\n".join([good % 1, b"\xff\x00 nothing", good % 3, good % 4]),
        CSV: b'title,author,excerpt\nT2,author-0,\n"never closed,author-0,\nT4,author-0,\nT5,author-0,"a\nb"\n',
        JSON: b"[\n" + b",\n".join([good % 2, b'{"title": "broken', good % 4, good % 5]) + b"\n]\n",
    }
    async with office.worker():
        for form, file in files.items():
            job = await office.finished(await office.start_import(file, form=form))
            ((_, error),) = await office.byline.list_import_errors(job.id, after=0, limit=9, actor=office.actor)
            line = 2 if form is NDJSON else 3
            assert (job.tally, error.line) == (Tally(created=3, failed=1), line)
            assert form is NDJSON or f"Reading went on in line {line + 1}." in error.message


async def test_a_compressed_file_that_breaks_off_is_read_up_to_there_and_says_so(office: Service) -> None:
    archive = Archive.of(Plan(rows=FEW, authors=AUTHORS))
    whole = gzip.compress(archive.file)
    async with office.worker():
        job = await office.finished(await office.start_import(whole[: len(whole) * 2 // 3], form=None))
        assert job.state is ImportState.COMPLETED_WITH_ERRORS
        assert 0 < job.tally.created < FEW
        assert job.tally.failed == 1
        (refused,) = await office.refusals(job)
        assert (refused.line, refused.code) == (job.tally.created + 1, "truncated")
        assert await external_ids(office) == everything(job.tally.created)

        rest = await office.finished(await office.start_import(whole, form=None))
        assert rest.tally == Tally(created=FEW - job.tally.created, skipped=job.tally.created)
        assert await external_ids(office) == everything(FEW)


def everything(rows: int) -> list[str]:
    return list(map(str, range(rows)))


async def forget_posts(office: Service) -> None:
    connection = await asyncpg.connect(str(office.settings.database_url))
    await connection.execute("DELETE FROM post_views; DELETE FROM posts")
    await connection.close()
