"""Receiving files, queueing jobs, waking the worker, and telling how it goes."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from application.imports import DiscardUpload, NewImport
from application.outbox import START_IMPORT, RelayOutbox
from application.ports.services import Blob
from application.ports.work import Message
from domain.actors import Actor, Role
from domain.errors import ImportNotFound, NotAllowed, StorageFull, TooLarge, Unavailable
from domain.imports import ImportFormat, ImportJob, ImportKind, ImportState, RowError
from tests.application.house import MAX_UPLOAD_BYTES, UPLOAD_KEPT, House
from tests.builders import a_job, an_actor

AUTHOR = an_actor()
BLOB = Blob("imports/1", 1_000, "0" * 64)
LEASE = timedelta(seconds=10)


@pytest.fixture
async def operator(house: House) -> Actor:
    return (await house.a_member("op", role=Role.OPERATOR)).actor


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def a_request(*, detached: bool = True) -> NewImport:
    return NewImport(BLOB, ImportKind.POSTS, ImportFormat.CSV, "archive.csv", detached)


async def claimed(house: House, job: ImportJob) -> ImportJob:
    async with house.store.begin() as work:
        running = (await work.imports.lock(job.id)).claimed(at=house.clock.now(), lease=LEASE)
        await work.imports.save_claim(running)
        await work.commit()
    return running


async def test_an_upload_is_stored_with_its_size_and_hash(house: House, operator: Actor) -> None:
    blob = await house.receive_upload(chunks(b"one,", b"", b"two"), actor=operator)
    assert (blob.size, blob.sha256) == (7, hashlib.sha256(b"one,two").hexdigest())
    with house.blobs.open(blob.key) as file:
        assert file.read() == b"one,two"


async def test_an_upload_of_exactly_the_limit_is_received_and_one_byte_more_leaves_nothing(
    house: House, operator: Actor
) -> None:
    assert (await house.receive_upload(chunks(b"x" * MAX_UPLOAD_BYTES), actor=operator)).size == MAX_UPLOAD_BYTES
    with pytest.raises(TooLarge) as refused:
        await house.receive_upload(chunks(b"x" * MAX_UPLOAD_BYTES, b"x"), actor=operator)
    assert refused.value.limit_bytes == MAX_UPLOAD_BYTES
    assert len(house.blobs.files) == 1


async def test_where_there_is_no_space_nothing_is_left(house: House, operator: Actor) -> None:
    house.blobs.space_bytes = 5
    with pytest.raises(StorageFull):
        await house.receive_upload(chunks(b"123", b"456"), actor=operator)
    assert house.blobs.files == {}


async def test_an_upload_that_no_job_came_of_is_discarded(house: House, operator: Actor) -> None:
    blob = await house.receive_upload(chunks(b"x"), actor=operator)
    await DiscardUpload(house.blobs)(blob)
    assert house.blobs.files == {}


async def test_a_started_import_is_queued_and_the_worker_woken(house: House, operator: Actor) -> None:
    job = await house.start_import(a_request(), actor=operator)

    assert job == await house.show_import(job.id, actor=operator)
    assert (job.state, job.kind, job.format, job.file_name) == (
        ImportState.QUEUED,
        ImportKind.POSTS,
        ImportFormat.CSV,
        "archive.csv",
    )
    assert (job.blob_key, job.bytes_total, job.file_hash) == (BLOB.key, BLOB.size, BLOB.sha256)
    assert (job.created_by, job.created_at) == (operator.id, house.clock.now())
    assert house.queue.wakes == [(START_IMPORT, str(job.id))]


async def test_a_wake_up_that_failed_is_repeated_by_the_relay(house: House, operator: Actor) -> None:
    house.queue.is_reachable = False
    job = await house.start_import(a_request(), actor=operator)
    assert house.queue.wakes == []

    async def deliver(message: Message) -> None:
        await house.queue.wake(message.topic, str(message.body["import_id"]))

    relay = RelayOutbox(house.store.begin, house.clock, {START_IMPORT: deliver})
    assert isinstance((await relay())[1][0], Unavailable)
    house.queue.is_reachable = True
    house.clock.advance(relay.retry_after)
    assert (await relay())[0] == 1
    assert house.queue.wakes == [(START_IMPORT, str(job.id))]


async def test_an_import_that_its_caller_runs_wakes_nobody(house: House, operator: Actor) -> None:
    await house.start_import(a_request(detached=False), actor=operator)
    assert house.queue.wakes == []
    assert house.store.tables.outbox.rows == {}


async def test_jobs_are_dispatched_until_somebody_has_them(house: House, operator: Actor) -> None:
    running, waiting, finished = [await house.start_import(a_request(detached=False), actor=operator) for _ in range(3)]
    await claimed(house, running)
    done = (await claimed(house, finished)).finished(at=house.clock.now())
    async with house.store.begin() as work:
        await work.imports.save(done)
        await work.commit()

    assert await house.dispatch_imports() == 1
    assert await house.dispatch_imports() == 1
    assert house.queue.wakes == [(START_IMPORT, str(waiting.id))] * 2

    house.queue.wakes.clear()
    house.clock.advance(LEASE)
    assert await house.dispatch_imports() == 2
    assert house.queue.wakes == [(START_IMPORT, str(job.id)) for job in (running, waiting)]


async def test_imports_are_listed_newest_first(house: House, operator: Actor) -> None:
    jobs = [await house.start_import(a_request(), actor=operator) for _ in range(5)]
    newest = await house.list_imports(limit=2, before=None, actor=operator)
    older = await house.list_imports(limit=10, before=newest[-1].id, actor=operator)
    assert newest + older == jobs[::-1]


async def test_rows_that_failed_are_listed_by_number(house: House, operator: Actor) -> None:
    job = await house.start_import(a_request(), actor=operator)
    errors = [RowError(line, "title", "too_short", "It must not be empty.", {"title": ""}) for line in (2, 5, 9)]
    async with house.store.begin() as work:
        await work.imports.add_errors(job.id, errors)
        await work.commit()

    assert await house.list_import_errors(job.id, after=0, limit=2, actor=operator) == [(1, errors[0]), (2, errors[1])]
    assert await house.list_import_errors(job.id, after=2, limit=2, actor=operator) == [(3, errors[2])]


async def test_imports_are_for_operators(house: House) -> None:
    job = a_job()
    attempts = [
        house.receive_upload(chunks(b"x"), actor=AUTHOR),
        house.start_import(a_request(), actor=AUTHOR),
        house.show_import(job.id, actor=AUTHOR),
        house.list_imports(limit=1, before=None, actor=AUTHOR),
        house.list_import_errors(job.id, after=0, limit=1, actor=AUTHOR),
    ]
    for attempt in attempts:
        with pytest.raises(NotAllowed):
            await attempt
    assert (house.blobs.files, house.store.tables.imports.rows) == ({}, {})


async def test_an_unknown_import_is_not_found(house: House, operator: Actor) -> None:
    with pytest.raises(ImportNotFound):
        await house.show_import(a_job().id, actor=operator)
    with pytest.raises(ImportNotFound):
        await house.list_import_errors(a_job().id, after=0, limit=1, actor=operator)


async def test_an_import_outlives_whoever_started_it(house: House, operator: Actor) -> None:
    job = await house.start_import(a_request(), actor=operator)
    await house.delete_user(operator.id, actor=operator)
    assert await house.show_import(job.id, actor=an_actor(Role.ADMIN)) == replace(job, created_by=None)


async def test_files_are_swept_when_no_job_needs_them(house: House, operator: Actor) -> None:
    day = timedelta(days=1)
    blobs = [await house.receive_upload(chunks(b"x"), actor=operator) for _ in range(6)]
    _orphan, *named = [blob.key for blob in blobs]
    jobs = [await house.start_import(replace(a_request(), blob=blob), actor=operator) for blob in blobs[1:]]
    early, late, running, *_ = jobs

    async def finish(job: ImportJob) -> None:
        done = (await claimed(house, job)).finished(at=house.clock.now())
        async with house.store.begin() as work:
            await work.imports.save(done)
            await work.commit()

    await finish(early)
    await claimed(house, running)
    house.clock.advance(day)
    assert await house.sweep_uploads() == 0
    await finish(late)
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
