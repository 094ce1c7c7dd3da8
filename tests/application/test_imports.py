"""Receiving files, queueing jobs, waking the worker, and telling how it goes."""

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from application.imports import RetryOptions
from application.outbox import START_IMPORT, RelayOutbox
from application.ports.imports import ImportQuery
from application.ports.work import Message
from application.uploads import DiscardUpload
from domain.actors import Actor, Role
from domain.errors import ImportNotFound, InvalidValue, NotAllowed, StorageFull, TooLarge, Unavailable
from domain.ids import ImportId
from domain.import_options import ImportFormat, ImportKind
from domain.imports import ImportState, RowError
from tests.application.house import MAX_UPLOAD_BYTES, House
from tests.application.uploads import BLOB, LEASE, a_request, chunks, claimed
from tests.builders import a_job, an_actor

AUTHOR = an_actor()


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
    started = await house.start_import(a_request(), actor=operator)
    job = started.job

    assert not started.is_replay
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


async def test_an_import_that_is_not_to_start_waits_to_be_resumed(house: House, operator: Actor) -> None:
    job = (await house.start_import(replace(a_request(), started=False), actor=operator)).job
    assert job.state is ImportState.UPLOADED
    assert await house.dispatch_imports() == 0
    assert house.queue.wakes == []

    assert (await house.resume_import(job.id, actor=operator)).state is ImportState.QUEUED
    assert house.queue.wakes == [(START_IMPORT, str(job.id))]


async def test_the_format_is_told_by_the_content(house: House, operator: Actor) -> None:
    blob = await house.receive_upload(chunks(b'{"title": "T", "author": "op"}\n'), actor=operator)
    job = (await house.start_import(replace(a_request(), blob=blob, format=None), actor=operator)).job
    assert job.format is ImportFormat.NDJSON


async def test_a_file_of_no_format_makes_no_job(house: House, operator: Actor) -> None:
    blob = await house.receive_upload(chunks(b"\x89PNG\r\n\x1a\n\x00\x00"), actor=operator)
    with pytest.raises(InvalidValue):
        await house.start_import(replace(a_request(), blob=blob, format=None, file_name=None), actor=operator)
    assert house.store.tables.imports.rows == {}


@pytest.mark.parametrize("named", ["Op", "op@example.com", "id"])
async def test_a_default_author_is_named_by_any_login_or_the_id(house: House, operator: Actor, named: str) -> None:
    request = replace(a_request(), default_author=str(operator.id) if named == "id" else named)
    assert (await house.start_import(request, actor=operator)).job.options.default_author == operator.id


@pytest.mark.parametrize("named", ["nobody", str(a_job().id), ""])
async def test_a_default_author_whom_nobody_is_makes_no_job(house: House, operator: Actor, named: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        await house.start_import(replace(a_request(), default_author=named), actor=operator)
    assert (refused.value.field, refused.value.code) == ("default_author", "unknown_author")
    assert house.store.tables.imports.rows == {}


async def test_a_wake_up_that_failed_is_repeated_by_the_relay(house: House, operator: Actor) -> None:
    house.queue.is_reachable = False
    job = (await house.start_import(a_request(), actor=operator)).job
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
    running, waiting, finished = [
        (await house.start_import(a_request(detached=False), actor=operator)).job for _ in range(3)
    ]
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
    jobs = [(await house.start_import(a_request(), actor=operator)).job for _ in range(5)]
    newest = await house.list_imports(ImportQuery(2), actor=operator)
    older = await house.list_imports(ImportQuery(10, before=newest[-1].id), actor=operator)
    assert newest + older == jobs[::-1]


async def test_imports_are_listed_by_state_and_kind(house: House, operator: Actor) -> None:
    posts = (await house.start_import(a_request(), actor=operator)).job
    users = (await house.start_import(a_request(kind=ImportKind.USERS), actor=operator)).job
    await claimed(house, posts)

    async def found(**asked: Any) -> list[ImportId]:
        return [job.id for job in await house.list_imports(ImportQuery(10, **asked), actor=operator)]

    assert await found(state=ImportState.RUNNING) == await found(kind=ImportKind.POSTS) == [posts.id]
    assert await found(state=ImportState.QUEUED, kind=ImportKind.USERS) == [users.id]
    assert await found(state=ImportState.FAILED) == []


async def test_rows_that_failed_are_listed_by_number(house: House, operator: Actor) -> None:
    job = (await house.start_import(a_request(), actor=operator)).job
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
        house.list_imports(ImportQuery(1), actor=AUTHOR),
        house.list_import_errors(job.id, after=0, limit=1, actor=AUTHOR),
        house.cancel_import(job.id, actor=AUTHOR),
        house.resume_import(job.id, actor=AUTHOR),
        house.retry_import(job.id, RetryOptions(), actor=AUTHOR),
        anext(house.watch_import(job.id, actor=AUTHOR)),
        anext(house.export_import_errors(job.id, ImportFormat.CSV, actor=AUTHOR)),
    ]
    for attempt in attempts:
        with pytest.raises(NotAllowed):
            await attempt
    assert (house.blobs.files, house.store.tables.imports.rows) == ({}, {})


async def test_an_unknown_import_is_not_found(house: House, operator: Actor) -> None:
    unknown = a_job().id
    attempts = [
        house.show_import(unknown, actor=operator),
        house.list_import_errors(unknown, after=0, limit=1, actor=operator),
        house.cancel_import(unknown, actor=operator),
        house.resume_import(unknown, actor=operator),
        house.retry_import(unknown, RetryOptions(), actor=operator),
        anext(house.watch_import(unknown, actor=operator)),
        anext(house.export_import_errors(unknown, ImportFormat.CSV, actor=operator)),
    ]
    for attempt in attempts:
        with pytest.raises(ImportNotFound):
            await attempt


async def test_an_import_outlives_whoever_started_it(house: House, operator: Actor) -> None:
    job = (await house.start_import(a_request(), actor=operator)).job
    await house.delete_user(operator.id, actor=operator)
    assert await house.show_import(job.id, actor=an_actor(Role.ADMIN)) == replace(job, created_by=None)
