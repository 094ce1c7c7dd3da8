"""What is kept beside an import job: the rows that failed, and the marks of what it has met."""

from dataclasses import replace

import pytest

from domain.errors import ImportNotFound
from domain.ids import ImportId
from domain.imports import ImportJob, RowError
from tests.builders import NOON, SECOND, a_job
from tests.contract.adapters import Adapters
from tests.contract.texts import NASTY_LINES


def an_error(place: int = 1) -> RowError:
    return RowError(place, None, "bad_row", "No.", None, place)


async def add_errors(adapters: Adapters, import_id: ImportId, *errors: RowError) -> None:
    async with adapters.begin() as work:
        await work.imports.add_errors(import_id, errors)
        await work.commit()


async def test_errors_are_numbered_from_one_in_file_order(adapters: Adapters, job: ImportJob) -> None:
    other = a_job()
    await adapters.keep(other)
    errors = [
        RowError(2, "title", "too_short", "It must not be empty.", {"title": "", "tags": ["a"], "n": 1, "no": None}, 1),
        RowError(3, None, "bad_json", NASTY_LINES, NASTY_LINES),
        RowError(2**40, None, "bad_encoding", "It is not UTF-8.", None),
        RowError(7, "content", "bad_character", "It holds a NUL.", {"content": "\x00 \ud800", "x": 1.5}, 2**40),
        RowError(8, "slug", "taken", "It is taken.", "raw \x00 \udfff"),
    ]
    for chunk in (errors[:2], [], errors[2:]):
        async with adapters.begin() as work:
            await work.imports.add_errors(job.id, chunk)
            await work.imports.add_errors(other.id, chunk[:1])
            await work.commit()

    async with adapters.begin() as work:
        assert list(await work.imports.errors(job.id, after=0, limit=10)) == list(enumerate(errors, 1))
        assert list(await work.imports.errors(job.id, after=0, limit=2)) == [(1, errors[0]), (2, errors[1])]
        assert list(await work.imports.errors(job.id, after=3, limit=10)) == [(4, errors[3]), (5, errors[4])]
        assert list(await work.imports.errors(job.id, after=5, limit=10)) == []
        assert list(await work.imports.errors(other.id, after=0, limit=10)) == [(1, errors[0]), (2, errors[2])]


async def test_errors_are_of_a_job(adapters: Adapters) -> None:
    async with adapters.begin() as work:
        with pytest.raises(ImportNotFound):
            await work.imports.add_errors(a_job().id, [RowError(1, None, "bad_row", "No.", None)])


async def test_places_of_failed_rows_are_told_once_and_rising(adapters: Adapters, job: ImportJob) -> None:
    other = a_job()
    await adapters.keep(other)
    await add_errors(adapters, job.id, *(an_error(place) for place in (3, 9, 3, 2**40, 1, 9)))
    await add_errors(adapters, other.id, an_error(5))
    async with adapters.begin() as work:
        assert await work.imports.error_places(job.id, after=0, limit=10) == [1, 3, 9, 2**40]
        assert await work.imports.error_places(job.id, after=0, limit=2) == [1, 3]
        assert await work.imports.error_places(job.id, after=3, limit=2) == [9, 2**40]
        assert await work.imports.error_places(job.id, after=2**40, limit=2) == []
        assert await work.imports.error_places(a_job().id, after=0, limit=2) == []


async def test_errors_of_jobs_long_finished_are_deleted_a_few_at_a_time(adapters: Adapters) -> None:
    old, older, late, unfinished = (
        replace(a_job(), finished_at=at) for at in (NOON - SECOND, NOON - 2 * SECOND, NOON, None)
    )
    jobs = (old, older, late, unfinished)
    await adapters.keep(*jobs)
    for each in jobs:
        await add_errors(adapters, each.id, *(an_error(place) for place in (1, 2, 3)))

    counts: list[int] = []
    while not counts or counts[-1]:
        async with adapters.begin() as work:
            counts.append(await work.imports.delete_errors(finished_before=NOON, limit=4))
            await work.commit()
    assert counts == [4, 2, 0]
    async with adapters.begin() as work:
        left = [len(await work.imports.errors(each.id, after=0, limit=10)) for each in jobs]
    assert left == [0, 0, 3, 3]
    assert await adapters.job(old.id) == old


async def test_marks_are_remembered_with_their_job_once(adapters: Adapters, job: ImportJob) -> None:
    other = a_job()
    await adapters.keep(other)
    marks = [b"", b"\x00", bytes(range(256)), b"slug:one", b"slug:two"]
    async with adapters.begin() as work:
        await work.imports.add_marks(job.id, [*marks[:3], marks[0]])
        await work.imports.add_marks(job.id, marks[1:4])
        await work.imports.add_marks(other.id, marks[4:])
        await work.imports.add_marks(job.id, [])
        await work.commit()
    async with adapters.begin() as work:
        await work.imports.add_marks(job.id, marks)
        assert await work.imports.marks_among(job.id, marks) == set(marks)
    async with adapters.begin() as work:
        await work.imports.add_marks(job.id, marks[:1])
        assert await work.imports.marks_among(job.id, [*marks, b"slug:"]) == set(marks[:4])
        assert await work.imports.marks_among(other.id, marks) == set(marks[4:])
        assert await work.imports.marks_among(job.id, []) == set()


async def test_marks_are_forgotten_job_by_job(adapters: Adapters, job: ImportJob) -> None:
    other = a_job()
    await adapters.keep(other)
    async with adapters.begin() as work:
        for each in (job, other):
            await work.imports.add_marks(each.id, [b"one", b"two"])
        await work.imports.delete_marks(job.id)
        assert await work.imports.marks_among(job.id, [b"one"]) == set()
        await work.commit()
    async with adapters.begin() as work:
        assert await work.imports.marks_among(job.id, [b"one", b"two"]) == set()
        assert await work.imports.marks_among(other.id, [b"one", b"two"]) == {b"one", b"two"}


async def test_marks_are_of_a_job(adapters: Adapters) -> None:
    async with adapters.begin() as work:
        with pytest.raises(ImportNotFound):
            await work.imports.add_marks(a_job().id, [b"mark"])
