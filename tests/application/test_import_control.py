"""Cancelling, resuming, trying again, watching: what operators do with a job that was started."""

import asyncio
from dataclasses import replace

import pytest

from application.imports import NewImport, RetryOptions
from application.outbox import START_IMPORT
from domain.actors import Actor
from domain.errors import BlobNotFound, IdempotencyKeyReused, InvalidValue, WrongState
from domain.import_options import ImportFormat, ImportOptions, OnConflict, Publish
from domain.imports import Caution, Checkpoint, ImportJob, ImportState, RowError
from tests.application.house import House
from tests.application.uploads import BLOB, a_request, chunks, claimed, finished, saved

ERROR = RowError(2, "title", "too_short", "It must not be empty.", {"title": "", "author": "op"}, 2)


async def started(house: House, operator: Actor, request: NewImport | None = None) -> ImportJob:
    return (await house.start_import(request or a_request(detached=False), actor=operator)).job


async def an_uploaded(house: House, operator: Actor, *errors: RowError) -> ImportJob:
    """One that has finished, with its file."""
    blob = await house.receive_upload(chunks(b"title,author\nT,op\n"), actor=operator)
    return await finished(house, await started(house, operator, a_request(detached=False, blob=blob)), *errors)


async def test_a_job_that_waits_is_cancelled_at_once_and_one_that_runs_by_its_worker(
    house: House, operator: Actor
) -> None:
    waiting, running = await started(house, operator), await started(house, operator)
    held = await claimed(house, running)

    cancelled = await house.cancel_import(waiting.id, actor=operator)
    assert cancelled.state is ImportState.CANCELLED
    assert cancelled == await house.show_import(waiting.id, actor=operator)
    assert (await house.cancel_import(running.id, actor=operator)).state is ImportState.CANCELLING
    assert (await house.cancel_import(running.id, actor=operator)).state is ImportState.CANCELLING

    await saved(house, held, lambda job: job.stopped(at=house.clock.now()))
    assert (await house.show_import(running.id, actor=operator)).state is ImportState.CANCELLED


async def test_what_has_finished_is_neither_cancelled_nor_resumed(house: House, operator: Actor) -> None:
    job = await finished(house, await started(house, operator))
    for attempt in (house.cancel_import, house.resume_import):
        with pytest.raises(WrongState):
            await attempt(job.id, actor=operator)


async def test_a_cancelled_job_is_resumed_and_the_worker_woken(house: House, operator: Actor) -> None:
    job = await started(house, operator)
    await house.cancel_import(job.id, actor=operator)
    resumed = await house.resume_import(job.id, actor=operator)
    assert (resumed.state, resumed.finished_at) == (ImportState.QUEUED, None)
    assert house.queue.wakes == [(START_IMPORT, str(job.id))]


async def test_a_failed_job_is_resumed_without_its_error_and_caution(house: House, operator: Actor) -> None:
    held = await claimed(house, await started(house, operator))
    await saved(house, held, lambda job: job.failed("The file is gone.", at=house.clock.now()))
    async with house.store.begin() as work:
        job = await work.imports.lock(held.id)
        await work.imports.change(replace(job, caution=Caution(1, 1, 8)))
        await work.commit()
    resumed = await house.resume_import(held.id, actor=operator)
    assert (resumed.state, resumed.error, resumed.caution) == (ImportState.QUEUED, None, Caution())


async def test_failed_rows_are_tried_again_by_a_new_job_that_names_its_parent(house: House, operator: Actor) -> None:
    parent = await an_uploaded(house, operator, ERROR)
    child = await house.retry_import(parent.id, RetryOptions(), actor=operator)
    assert child == await house.show_import(child.id, actor=operator)
    assert (child.state, child.parent_id, child.options) == (ImportState.QUEUED, parent.id, parent.options)
    assert (child.blob_key, child.file_hash, child.format) == (parent.blob_key, parent.file_hash, parent.format)
    assert (child.checkpoint, child.tally.rows_read) == (Checkpoint(), 0)
    assert house.queue.wakes == [(START_IMPORT, str(child.id))]


async def test_a_retry_may_go_about_it_otherwise(house: House, operator: Actor) -> None:
    parent = await an_uploaded(house, operator, ERROR)
    request = RetryOptions(
        on_conflict=OnConflict.UPDATE, dry_run=True, create_authors=True, default_author="OP", publish=Publish.ALL
    )
    child = await house.retry_import(parent.id, request, actor=operator)
    assert child.options == ImportOptions(
        parent.kind, OnConflict.UPDATE, True, True, operator.id, publish=Publish.ALL, columns=parent.options.columns
    )
    again = await house.retry_import(parent.id, RetryOptions(dry_run=False), actor=operator)
    assert again.options == parent.options


async def test_what_cannot_be_tried_again(house: House, operator: Actor) -> None:
    clean, gone = await an_uploaded(house, operator), await an_uploaded(house, operator, ERROR)
    running = await started(house, operator)
    await house.blobs.delete(gone.blob_key)
    for job, refusal in ((clean, WrongState), (running, WrongState), (gone, BlobNotFound)):
        with pytest.raises(refusal):
            await house.retry_import(job.id, RetryOptions(), actor=operator)
    parent = await an_uploaded(house, operator, ERROR)
    with pytest.raises(InvalidValue):
        await house.retry_import(parent.id, RetryOptions(default_author="nobody"), actor=operator)
    assert len(house.store.tables.imports.rows) == 4


async def test_a_job_is_watched_through_each_change_to_its_end(house: House, operator: Actor) -> None:
    job = await started(house, operator)
    watching = house.watch_import(job.id, actor=operator)
    assert (await anext(watching)).state is ImportState.QUEUED

    coming = asyncio.create_task(anext(watching))
    await asyncio.sleep(0)
    held = await claimed(house, job)
    seen = await coming
    assert (seen.state, seen.revision) == (ImportState.RUNNING, 2)

    await saved(house, held, lambda job: job.finished(at=house.clock.now()))
    rest = [each async for each in watching]
    assert [(each.state, each.revision) for each in rest] == [(ImportState.SUCCEEDED, 3)]


async def test_who_has_seen_a_revision_is_told_only_of_later_ones(house: House, operator: Actor) -> None:
    job = await finished(house, await started(house, operator))
    stored = await house.show_import(job.id, actor=operator)

    async def told(after: int) -> list[int]:
        return [each.revision async for each in house.watch_import(job.id, after=after, actor=operator)]

    assert await told(stored.revision - 1) == [stored.revision]
    assert await told(stored.revision) == await told(stored.revision + 5) == []


async def test_a_request_that_is_repeated_under_its_key_gets_the_job_it_made(house: House, operator: Actor) -> None:
    blobs = [await house.receive_upload(chunks(b"title,author\nT,op\n"), actor=operator) for _ in range(2)]
    first, again = [await house.start_import(a_request(blob=blob, key="k"), actor=operator) for blob in blobs]
    assert (first.is_replay, again.is_replay) == (False, True)
    assert first.job == again.job
    assert set(house.blobs.files) == {first.job.blob_key}
    assert house.queue.wakes == [(START_IMPORT, str(first.job.id))]


async def test_a_key_is_not_used_for_anything_else(house: House, operator: Actor) -> None:
    request = a_request(key="k")
    await house.start_import(request, actor=operator)
    others = [
        replace(request, blob=replace(BLOB, sha256="1" * 64)),
        replace(request, options=replace(request.options, dry_run=True)),
        replace(request, default_author="op"),
        replace(request, format=ImportFormat.NDJSON),
    ]
    for other in others:
        with pytest.raises(IdempotencyKeyReused):
            await house.start_import(other, actor=operator)
    assert len(house.store.tables.imports.rows) == 1


async def test_two_people_may_choose_the_same_key(house: House, operator: Actor) -> None:
    other = (await house.a_member("other", role=operator.role)).actor
    jobs = [await house.start_import(a_request(key="k"), actor=actor) for actor in (operator, other)]
    assert [each.is_replay for each in jobs] == [False, False]
    assert jobs[0].job.id != jobs[1].job.id


async def test_failed_rows_are_exported_in_pieces(house: House, operator: Actor) -> None:
    parent = await an_uploaded(house, operator, *[replace(ERROR, line=line, place=line) for line in range(2, 7)])
    pieces = [
        piece async for piece in house.export_import_errors(parent.id, ImportFormat.NDJSON, actor=operator) if piece
    ]
    assert [piece.count(b"\n") for piece in pieces] == [2, 2, 1]
    pieces = [piece async for piece in house.export_import_errors(parent.id, ImportFormat.CSV, actor=operator)]
    assert pieces[0].startswith(b"line,field,code,message,row")
    assert b"".join(pieces).count(b"\n") == 6
