"""Cancelled, resumed, tried again: what was committed stays, and all ends as if nothing had come between."""

import asyncio
import gzip
from dataclasses import replace
from typing import Any

import pytest

from application.imports import CancelImport, ResumeImport, RetryImport, RetryOptions
from application.ports.formats import PostRow
from domain.actors import Role
from domain.errors import WrongState
from domain.import_options import ImportFormat, OnConflict
from domain.imports import ImportJob, ImportState, Tally
from domain.users import User
from infrastructure.memory.queue import MemoryQueue
from tests.imports.faults import Crash, Disturbed, raising
from tests.imports.places import CHUNK_ROWS, LEASE, Place, whole
from tests.imports.readings import Given, Parsed
from tests.imports.test_faults import FILE, Left, clear, left_by
from tests.imports.test_posts import lines, titled


@pytest.fixture
async def operator(place: Place) -> User:
    return await place.add_user("operator", role=Role.OPERATOR)


@pytest.fixture
async def undisturbed(place: Place) -> Left:
    job = await place.imported(FILE)
    left = await left_by(place, job)
    await clear(place)
    return left


async def cancel(place: Place, job: ImportJob, operator: User) -> ImportJob:
    return await CancelImport(place.begin, place.clock)(job.id, actor=operator.actor)


async def resume(place: Place, job: ImportJob, operator: User) -> ImportJob:
    return await ResumeImport(place.begin, MemoryQueue(), place.clock, place.ids)(job.id, actor=operator.actor)


async def retried(place: Place, job: ImportJob, operator: User, **options: Any) -> ImportJob:
    """Run to its end."""
    retry = RetryImport(place.begin, place.blobs, MemoryQueue(), place.clock, place.ids)
    child = await retry(job.id, RetryOptions(**options), actor=operator.actor)
    assert child.parent_id == job.id
    return await place.run_import()(child.id)


@pytest.mark.parametrize("chunks", [0, 1, 3])
async def test_a_job_that_is_cancelled_while_it_runs_stops_within_a_chunk_and_goes_on_to_the_same_end(
    place: Place, operator: User, undisturbed: Left, chunks: int
) -> None:
    job = await place.upload(FILE)

    async def somebody_cancels() -> None:
        assert (await cancel(place, job, operator)).state is ImportState.CANCELLING

    begin = Disturbed(place.begin).before("hold", somebody_cancels, number=1 + chunks)
    stopped = await place.run_import(begin=begin)(job.id)
    assert stopped == await place.job(job.id)
    assert (stopped.state, stopped.tally.rows_read) == (ImportState.CANCELLED, chunks * CHUNK_ROWS)
    assert (stopped.lease_until, stopped.finished_at) == (None, place.clock.now())
    assert len(await place.posts()) == stopped.tally.created
    with pytest.raises(WrongState):
        await place.run_import()(job.id)

    await resume(place, job, operator)
    await place.run_import()(job.id)
    assert await left_by(place, job) == undisturbed


async def test_a_cancel_in_the_middle_of_a_chunk_lets_that_one_in(place: Place, operator: User) -> None:
    job = await place.upload(FILE)

    async def somebody_cancels() -> None:
        await cancel(place, job, operator)

    begin = Disturbed(place.begin).after("add_many", somebody_cancels, number=2)
    stopped = await place.run_import(begin=begin)(job.id)
    assert (stopped.state, stopped.tally.rows_read) == (ImportState.CANCELLED, 2 * CHUNK_ROWS)


async def test_a_cancel_after_the_last_chunk_comes_too_late(place: Place, operator: User, undisturbed: Left) -> None:
    job = await place.upload(FILE)

    async def somebody_cancels() -> None:
        await cancel(place, job, operator)

    begin = Disturbed(place.begin).before("hold", somebody_cancels, number=7)
    await place.run_import(begin=begin)(job.id)
    assert await left_by(place, job) == undisturbed


async def test_a_job_that_waits_is_cancelled_at_once_and_resumed(
    place: Place, operator: User, undisturbed: Left
) -> None:
    job = await place.upload(FILE)
    assert (await cancel(place, job, operator)).state is ImportState.CANCELLED
    with pytest.raises(WrongState):
        await place.run_import()(job.id)
    await resume(place, job, operator)
    await place.run_import()(job.id)
    assert await left_by(place, job) == undisturbed


async def test_a_cancelled_job_that_nobody_runs_any_more_is_settled_by_the_next_claim(
    place: Place, operator: User, undisturbed: Left
) -> None:
    job = await place.upload(FILE)
    with pytest.raises(Crash):
        await place.run_import(begin=Disturbed(place.begin).before("save", raising(Crash()), number=2))(job.id)
    assert (await cancel(place, job, operator)).state is ImportState.CANCELLING
    with pytest.raises(WrongState):
        await place.run_import()(job.id)
    place.clock.advance(LEASE)
    async with place.begin() as work:
        assert await work.imports.claimable(10, at=place.clock.now()) == [job.id]
    watched = Disturbed(place.begin)
    settled = await place.run_import(begin=watched)(job.id)
    assert (settled.state, settled.tally.rows_read) == (ImportState.CANCELLED, CHUNK_ROWS)
    assert "add_many" not in watched.calls

    await resume(place, job, operator)
    await place.run_import()(job.id)
    assert await left_by(place, job) == undisturbed


async def test_a_finished_job_is_not_cancelled(place: Place, operator: User) -> None:
    job = await place.imported(FILE)
    with pytest.raises(WrongState):
        await cancel(place, job, operator)
    with pytest.raises(WrongState):
        await resume(place, job, operator)


async def test_a_job_that_failed_goes_on_once_its_file_is_back(place: Place, operator: User, undisturbed: Left) -> None:
    job = await place.upload(FILE)
    stop = asyncio.Event()
    assert (await place.run_import()(job.id, lambda _: stop.set(), stop=stop)).state is ImportState.QUEUED
    with place.blobs.open(job.blob_key) as file:
        content = file.read()
    await place.blobs.delete(job.blob_key)
    assert (await place.run_import()(job.id)).state is ImportState.FAILED

    await place.blobs.write(job.blob_key, whole(content), limit=len(content))
    resumed = await resume(place, job, operator)
    assert (resumed.state, resumed.error) == (ImportState.QUEUED, None)
    await place.run_import()(job.id)
    assert await left_by(place, job) == undisturbed


async def test_more_failed_rows_than_allowed_end_the_job_at_that_chunk(place: Place) -> None:
    rows = [titled("" if number % 3 == 0 else f"T {number}") for number in range(70)]
    job = await place.imported(lines(*rows), max_errors=4)
    assert (job.state, job.tally.rows_read, job.tally.failed) == (ImportState.FAILED, 2 * CHUNK_ROWS, 5)
    assert job.error == "5 rows failed, more than the 4 that were allowed."
    assert len(await place.posts()) == job.tally.created
    assert (await place.imported(lines(*rows), max_errors=24)).state is ImportState.COMPLETED_WITH_ERRORS


async def test_a_job_that_is_resumed_after_too_many_errors_may_have_as_many_again(place: Place, operator: User) -> None:
    rows = [titled("" if number % 3 == 0 else f"T {number}") for number in range(70)]
    job = await place.imported(lines(*rows), max_errors=9)
    assert (job.state, job.tally.rows_read, job.tally.failed) == (ImportState.FAILED, 4 * CHUNK_ROWS, 10)
    await resume(place, job, operator)
    job = await place.run_import()(job.id)
    assert (job.state, job.tally.rows_read, job.tally.failed) == (ImportState.FAILED, 9 * CHUNK_ROWS, 21)
    assert job.error == "11 more rows failed, more than the 9 that were allowed."
    await resume(place, job, operator)
    job = await place.run_import()(job.id)
    assert (job.state, job.tally) == (ImportState.COMPLETED_WITH_ERRORS, Tally(created=46, failed=24))
    assert job.options.max_errors == 9


async def test_only_rows_that_failed_are_tried_again(place: Place, operator: User) -> None:
    rows = [titled(f"T {number}") | {"author": "cleo" if number % 10 == 3 else "ann"} for number in range(40)]
    parent = await place.imported(lines(*rows))
    assert parent.tally == Tally(created=36, failed=4)
    before = await place.posts()

    again = await retried(place, parent, operator)
    assert (again.state, again.tally) == (ImportState.COMPLETED_WITH_ERRORS, Tally(failed=4))
    assert await place.errors(again.id) == await place.errors(parent.id)
    assert await place.posts() == before

    await place.add_user("cleo")
    third = await retried(place, again, operator)
    assert (third.state, third.tally, third.bytes_done) == (ImportState.SUCCEEDED, Tally(created=4), third.bytes_total)
    assert [post.author for post in await place.posts()].count("cleo") == 4
    # The first one's rows that failed are all here by now.
    assert (await retried(place, parent, operator)).tally == Tally(skipped=4)


async def test_a_retry_may_make_the_authors_that_were_lacking(place: Place, operator: User) -> None:
    parent = await place.imported(lines(titled("T"), titled("T") | {"author": "cleo"}, titled("T")))
    assert (await retried(place, parent, operator, create_authors=True)).tally == Tally(created=1, authors_created=1)


async def test_a_retry_may_update_what_the_parent_refused(place: Place, operator: User) -> None:
    rows = [titled("Here", slug="here"), titled("Other")]
    await place.imported(lines(rows[0]))
    parent = await place.imported(lines(*[row | {"content": "New"} for row in rows]), on_conflict=OnConflict.FAIL)
    assert parent.tally == Tally(created=1, failed=1)
    assert (await retried(place, parent, operator, on_conflict=OnConflict.UPDATE)).tally == Tally(updated=1)


async def test_a_dry_run_is_tried_again_in_earnest(place: Place, operator: User) -> None:
    parent = await place.imported(lines(titled("T"), titled("T") | {"author": "cleo"}), dry_run=True)
    before = await place.users()
    assert (await retried(place, parent, operator, create_authors=True)).tally == Tally(created=1, authors_created=1)
    assert (await place.posts(), await place.users()) == ([], before)
    job = await retried(place, parent, operator, create_authors=True, dry_run=False)
    assert job.tally == Tally(created=1, authors_created=1)
    assert [post.author for post in await place.posts()] == ["cleo"]


async def test_a_retry_is_seen_to_move_between_its_rows_and_ends_after_the_last(
    place: Place, operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[Parsed] = [PostRow(f"T {number}", "nobody" if number in (0, 60, 61) else "ann") for number in range(100)]
    parent = await place.upload(b"x" * 100)
    await replace(place.run_import(), formats=Given(rows))(parent.id)

    monkeypatch.setattr("application.importing.rows._PASSED_MAX", 20)
    read: list[int] = []
    told: list[ImportJob] = []
    retry = RetryImport(place.begin, place.blobs, MemoryQueue(), place.clock, place.ids)
    child = await retry(parent.id, RetryOptions(), actor=operator.actor)
    done = await replace(place.run_import(), formats=Given(rows, read.append))(child.id, told.append)
    assert done.tally == Tally(failed=3)
    assert [each.tally.failed for each in told] == [1, 1, 3]
    assert [each.checkpoint.offset for each in told] == [21, 41, 62]
    assert max(read) <= 63


@pytest.mark.parametrize("number", range(1, 6))
async def test_a_retry_that_dies_is_gone_on_with(place: Place, operator: User, number: int) -> None:
    rows = [titled(f"T {number}") | {"author": "cleo" if number % 2 else "ann"} for number in range(50)]
    parent = await place.imported(lines(*rows))
    await place.add_user("cleo")
    retry = RetryImport(place.begin, place.blobs, MemoryQueue(), place.clock, place.ids)
    child = await retry(parent.id, RetryOptions(), actor=operator.actor)
    with pytest.raises(Crash):
        await place.run_import(begin=Disturbed(place.begin).after("commit", raising(Crash()), number=number))(child.id)
    place.clock.advance(LEASE)
    if not (await place.job(child.id)).is_finished:
        await place.run_import()(child.id)
    assert (await place.job(child.id)).tally == Tally(created=25)
    assert len(await place.posts()) == 50


async def test_damage_is_reported_again_by_a_retry_and_nothing_else_is(place: Place, operator: User) -> None:
    rows = [titled(f"T {number}", content="x" * 300) for number in range(40)]
    packed = gzip.compress(lines(*rows), mtime=0, compresslevel=0)
    parent = await place.imported(packed[: len(packed) // 2])
    assert (parent.state, parent.tally.failed) == (ImportState.COMPLETED_WITH_ERRORS, 1)
    before = await place.posts()
    again = await retried(place, parent, operator)
    assert again.tally == Tally(failed=1)
    assert await place.errors(again.id) == await place.errors(parent.id)
    assert await place.posts() == before


@pytest.mark.parametrize("size", range(1, 10))
async def test_damage_is_reported_once_whoever_dies_after_it(place: Place, size: int) -> None:
    rows = [titled(f"T {number}") for number in range(size)]
    packed = gzip.compress(lines(*rows), mtime=0)
    job = await place.upload(packed[:-6])
    with pytest.raises(Crash):
        await place.run_import(begin=Disturbed(place.begin).before("lock", raising(Crash())))(job.id)
    place.clock.advance(LEASE)
    done = await place.run_import()(job.id)
    errors = await place.errors(job.id)
    assert done.tally == Tally(created=size, failed=1)
    assert len(errors) == 1


async def test_a_csv_with_rows_of_several_lines_is_tried_again_by_place(place: Place, operator: User) -> None:
    rows = [f'"T {number}","{"cleo" if number % 4 == 1 else "ann"}","a\nb\nc"\n' for number in range(20)]
    parent = await place.imported(("title,author,content\n" + "".join(rows)).encode(), form=ImportFormat.CSV)
    assert parent.tally == Tally(created=15, failed=5)
    await place.add_user("cleo")
    assert (await retried(place, parent, operator)).tally == Tally(created=5)


async def test_a_retry_fails_where_it_is_not_known_any_more_which_rows_failed(place: Place, operator: User) -> None:
    parent = await place.imported(lines(titled("A", author="cleo")))
    retry = RetryImport(place.begin, place.blobs, MemoryQueue(), place.clock, place.ids)
    child = await retry(parent.id, RetryOptions(), actor=operator.actor)
    await cancel(place, child, operator)
    async with place.begin() as work:
        assert await work.imports.delete_errors(finished_before=place.clock.at + LEASE, limit=10) == 1
        await work.commit()
    await resume(place, child, operator)
    ended = await place.run_import()(child.id)
    assert (ended.state, ended.tally, ended.error) == (
        ImportState.FAILED,
        Tally(),
        "Which rows failed was kept no longer: import the file again.",
    )
