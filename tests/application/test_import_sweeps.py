"""What is deleted of imports, and when."""

from dataclasses import replace
from datetime import timedelta

import pytest

from application.imports import RetryOptions
from domain.actors import Actor
from domain.errors import BlobNotFound
from domain.imports import ImportJob, RowError
from tests.application.house import UPLOAD_KEPT, House
from tests.application.uploads import a_request, chunks, claimed, finished

ERROR = RowError(2, "title", "too_short", "It must not be empty.", {"title": ""}, 2)
SECOND = timedelta(seconds=1)
MARKS = [bytes([number]) for number in range(5)]


async def test_files_are_swept_when_no_job_needs_them(house: House, operator: Actor) -> None:
    day = timedelta(days=1)
    blobs = [await house.receive_upload(chunks(b"x"), actor=operator) for _ in range(6)]
    _orphan, *named = [blob.key for blob in blobs]
    jobs = [(await house.start_import(a_request(blob=blob), actor=operator)).job for blob in blobs[1:]]
    early, late, running, *_ = jobs

    await finished(house, early)
    await claimed(house, running)
    house.clock.advance(day)
    assert await house.sweep_uploads() == 0
    await finished(house, late)
    house.clock.advance(timedelta(seconds=1))
    young = await house.receive_upload(chunks(b"x"), actor=operator)
    assert await house.sweep_uploads() == 1
    assert set(house.blobs.files) == {*named, young.key}

    house.clock.advance(UPLOAD_KEPT - day)
    assert await house.sweep_uploads() == 2
    assert set(house.blobs.files) == set(named) - {early.blob_key}
    house.clock.advance(day)
    assert await house.sweep_uploads() == 1
    assert set(house.blobs.files) == set(named) - {early.blob_key, late.blob_key}
    assert (await house.show_import(early.id, actor=operator)).is_finished


async def test_rows_that_failed_are_kept_as_long_as_the_file(house: House, operator: Actor) -> None:
    async def a_finished_job() -> ImportJob:
        blob = await house.receive_upload(chunks(b"x"), actor=operator)
        job = (await house.start_import(a_request(blob=blob), actor=operator)).job
        return await finished(house, job, *[ERROR] * 5)

    async def left(job: ImportJob) -> tuple[bool, int]:
        errors = await house.list_import_errors(job.id, after=0, limit=10, actor=operator)
        return job.blob_key in house.blobs.files, len(errors)

    old = await a_finished_job()
    house.clock.advance(3 * SECOND)
    young = await a_finished_job()
    house.clock.advance(UPLOAD_KEPT - 4 * SECOND)
    await house.sweep_uploads()
    assert await left(old) == await left(young) == (True, 5)
    house.clock.advance(2 * SECOND)
    await house.sweep_uploads()
    assert (await left(old), await left(young)) == ((False, 0), (True, 5))
    assert (await house.show_import(old.id, actor=operator)).tally.failed == 5


async def test_marks_go_at_once_where_a_job_succeeded_and_with_the_file_where_not(
    house: House, operator: Actor
) -> None:
    async def a_marked_job() -> ImportJob:
        job = (await house.start_import(a_request(), actor=operator)).job
        async with house.store.begin() as work:
            await work.imports.add_marks(job.id, MARKS)
            await work.commit()
        return job

    async def left(job: ImportJob) -> int:
        async with house.store.begin() as work:
            return len(await work.imports.marks_among(job.id, MARKS))

    sweep = replace(house.sweep_uploads, marks_batch=2)
    done, cancelled, running = [await a_marked_job() for _ in range(3)]
    await finished(house, done)
    await house.cancel_import(cancelled.id, actor=operator)
    await claimed(house, running)
    assert [await left(job) for job in (done, cancelled, running)] == [5, 5, 5]
    await sweep()
    assert [await left(job) for job in (done, cancelled, running)] == [0, 5, 5]
    house.clock.advance(UPLOAD_KEPT)
    await sweep()
    assert await left(cancelled) == 5
    house.clock.advance(SECOND)
    await sweep()
    assert [await left(job) for job in (cancelled, running)] == [0, 5]


async def test_a_file_is_kept_for_the_job_that_tries_its_rows_again(house: House, operator: Actor) -> None:
    blob = await house.receive_upload(chunks(b"x"), actor=operator)
    parent = await finished(house, (await house.start_import(a_request(blob=blob), actor=operator)).job, ERROR)
    house.clock.advance(timedelta(days=1))
    child = await house.retry_import(parent.id, RetryOptions(), actor=operator)
    house.clock.advance(UPLOAD_KEPT)
    await house.sweep_uploads()
    assert set(house.blobs.files) == {blob.key}
    assert await house.list_import_errors(parent.id, after=0, limit=10, actor=operator)

    await finished(house, child)
    await house.sweep_uploads()
    assert set(house.blobs.files) == {blob.key}
    # Which rows failed is known no longer, though the file is there.
    with pytest.raises(BlobNotFound):
        await house.retry_import(parent.id, RetryOptions(), actor=operator)
    house.clock.advance(UPLOAD_KEPT + SECOND)
    await house.sweep_uploads()
    assert house.blobs.files == {}
