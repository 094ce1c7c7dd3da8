"""What is kept beside an import job: the rows that failed, and the marks of what it has met."""

from dataclasses import replace
from datetime import datetime

import pytest

from domain.errors import ImportNotFound
from domain.ids import ImportId
from domain.imports import CLAIMED, FINISHED, ImportJob, ImportState, RowError
from tests.builders import NOON, SECOND, a_job
from tests.contract.adapters import Adapters
from tests.contract.texts import NASTY_LINES

MARKS = [b"one", b"two", b"three"]


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


async def test_errors_are_kept_while_a_job_tries_their_rows_again(adapters: Adapters) -> None:
    parent = replace(a_job(), finished_at=NOON - SECOND)
    children = [replace(a_job(), parent_id=parent.id, finished_at=at) for at in (NOON, None)]
    await adapters.keep(parent, *children)
    await add_errors(adapters, parent.id, an_error(1))
    async with adapters.begin() as work:
        assert await work.imports.delete_errors(finished_before=NOON, limit=4) == 0
        await work.imports.change(replace(children[1], finished_at=NOON))
        assert await work.imports.delete_errors(finished_before=NOON, limit=4) == 1


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


DONE = (ImportState.SUCCEEDED, ImportState.COMPLETED_WITH_ERRORS)


async def marked(adapters: Adapters, state: ImportState, finished_at: datetime | None = None) -> ImportJob:
    """With three marks."""
    job = replace(a_job(), state=state, finished_at=finished_at)
    await adapters.keep(job)
    async with adapters.begin() as work:
        await work.imports.add_marks(job.id, MARKS)
        await work.commit()
    return job


async def marks_deleted(adapters: Adapters, limit: int) -> list[int]:
    """How many each time, up to where there are none."""
    counts = [limit]
    while counts[-1]:
        async with adapters.begin() as work:
            counts.append(await work.imports.delete_marks(finished_before=NOON, limit=limit))
            await work.commit()
    return counts[1:]


@pytest.mark.parametrize(
    ("state", "finished_at"),
    [(state, at) for state in ImportState for at in ((NOON, NOON - SECOND) if state in FINISHED else (None,))],
)
async def test_marks_are_kept_until_nobody_can_want_them(
    adapters: Adapters, state: ImportState, finished_at: datetime | None
) -> None:
    job = await marked(adapters, state, finished_at)
    is_done = state in DONE or finished_at == NOON - SECOND
    assert await marks_deleted(adapters, 10) == ([3, 0] if is_done else [0])
    async with adapters.begin() as work:
        assert await work.imports.marks_among(job.id, MARKS) == (set() if is_done else set(MARKS))
    assert await adapters.job(job.id) == job


@pytest.mark.parametrize(("limit", "counts"), [(1, [1] * 12 + [0]), (5, [5, 5, 2, 0]), (12, [12, 0])])
async def test_marks_of_many_jobs_are_deleted_a_few_at_a_time(
    adapters: Adapters, limit: int, counts: list[int]
) -> None:
    async def some_more() -> list[ImportJob]:
        states = (ImportState.SUCCEEDED, ImportState.RUNNING, ImportState.FAILED)
        return [await marked(adapters, state, None if state in CLAIMED else NOON - SECOND) for state in states]

    await adapters.keep(a_job())
    jobs = [*await some_more(), await marked(adapters, ImportState.CANCELLED, NOON), *await some_more()]
    assert await marks_deleted(adapters, limit) == counts
    async with adapters.begin() as work:
        left = [len(await work.imports.marks_among(each.id, MARKS)) for each in jobs]
    assert left == [0, 3, 0, 3, 0, 3, 0]


async def test_marks_are_of_a_job(adapters: Adapters) -> None:
    async with adapters.begin() as work:
        with pytest.raises(ImportNotFound):
            await work.imports.add_marks(a_job().id, [b"mark"])
