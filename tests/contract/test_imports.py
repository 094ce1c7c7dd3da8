"""Import jobs: claimed by one worker at a time, and written by nobody who was thought dead."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from application.ports.imports import ImportQuery
from domain.errors import ImportNotFound, LeaseLost, Unavailable, UserNotFound, WrongState
from domain.import_options import ImportFormat, ImportKind, ImportOptions, OnConflict, Publish
from domain.imports import Caution, Checkpoint, ImportJob, ImportState, Tally
from tests.builders import NOON, SECOND, a_job, a_user
from tests.contract.adapters import Adapters
from tests.contract.jobs import CHUNK_ROWS, EXPIRED, LEASE, claim, claimable, save
from tests.contract.texts import NASTY, NASTY_LINES


async def test_a_job_is_kept_whole(adapters: Adapters) -> None:
    user, parent = a_user(), a_job()
    job = ImportJob(
        id=a_job().id,
        options=ImportOptions(
            ImportKind.USERS,
            on_conflict=OnConflict.UPDATE,
            dry_run=True,
            create_authors=True,
            default_author=user.id,
            max_errors=0,
            publish=Publish.ALL,
            columns={NASTY: "title", "text": "content"},
        ),
        format=ImportFormat.CSV,
        blob_key="imports/1",
        file_name=NASTY_LINES,
        file_hash="f" * 64,
        bytes_total=2**40,
        created_by=user.id,
        created_at=NOON,
        state=ImportState.FAILED,
        tally=Tally(1, 2, 3, 4, 2**40, 5, {"comment": 3, NASTY: 1}),
        checkpoint=Checkpoint(2**39, 2**33, 2**38),
        started_at=NOON + SECOND,
        finished_at=NOON + 2 * SECOND,
        error=NASTY_LINES,
        fence=7,
        lease_until=NOON + LEASE,
        caution=Caution(7, 8, 9, True, 10),
        busy_s=0.1,
        progressed_at=NOON + 3 * SECOND,
        forgiven=2**39,
        revision=10,
        parent_id=parent.id,
        idempotency_key=NASTY,
    )
    await adapters.keep(user, parent, job)
    stored = await adapters.job(job.id)
    assert stored == job
    assert stored.tally.reasons == job.tally.reasons
    assert await adapters.job(parent.id) == parent


async def test_an_unknown_job_is_not_found(adapters: Adapters) -> None:
    nothing = a_job()
    async with adapters.begin() as work:
        with pytest.raises(ImportNotFound):
            await work.imports.get(nothing.id)
        with pytest.raises(ImportNotFound):
            await work.imports.lock(nothing.id)
        assert await work.imports.errors(nothing.id, after=0, limit=1) == []
        with pytest.raises(LeaseLost):
            await work.imports.hold(nothing)


async def test_a_job_is_of_somebody_who_exists(adapters: Adapters) -> None:
    with pytest.raises(UserNotFound):
        await adapters.keep(a_job(created_by=a_user().id))


async def test_a_job_tries_the_rows_of_one_that_exists_again(adapters: Adapters) -> None:
    with pytest.raises(ImportNotFound):
        await adapters.keep(replace(a_job(), parent_id=a_job().id))


async def test_jobs_are_listed_newest_first(adapters: Adapters) -> None:
    jobs = [a_job() for _ in range(5)]
    await adapters.keep(*jobs[::-1])
    async with adapters.begin() as work:
        newest = await work.imports.newest(ImportQuery(2))
        older = await work.imports.newest(ImportQuery(10, before=newest[-1].id))
        assert newest + older == jobs[::-1]
        assert await work.imports.newest(ImportQuery(10, before=jobs[0].id)) == []


async def test_jobs_are_listed_by_state_kind_and_parent(adapters: Adapters) -> None:
    parent, users, failed = a_job(), a_job(kind=ImportKind.USERS), replace(a_job(), state=ImportState.FAILED)
    child = replace(a_job(kind=ImportKind.USERS), parent_id=parent.id, state=ImportState.FAILED)
    await adapters.keep(parent, users, failed, child)
    async with adapters.begin() as work:
        for query, jobs in (
            (ImportQuery(10, state=ImportState.FAILED), [child, failed]),
            (ImportQuery(10, kind=ImportKind.USERS), [child, users]),
            (ImportQuery(10, parent_id=parent.id), [child]),
            (ImportQuery(10, parent_id=users.id), []),
            (ImportQuery(10, before=child.id, state=ImportState.FAILED), [failed]),
            (ImportQuery(10, state=ImportState.FAILED, kind=ImportKind.POSTS), [failed]),
            (ImportQuery(1, kind=ImportKind.POSTS), [failed]),
        ):
            assert await work.imports.newest(query) == jobs


async def test_queued_jobs_and_those_of_expired_leases_are_claimable_oldest_first(adapters: Adapters) -> None:
    jobs = [a_job() for _ in range(5)]
    queued, running, failed, done, released = jobs
    await adapters.keep(*jobs[::-1])
    for job in (running, failed, done, released):
        await claim(adapters, job.id)
    await save(adapters, (await adapters.job(failed.id)).failed("No.", at=NOON))
    await save(adapters, (await adapters.job(done.id)).finished(at=NOON))
    await save(adapters, (await adapters.job(released.id)).released(at=NOON))

    assert await claimable(adapters) == [queued.id, released.id]
    assert await claimable(adapters, at=EXPIRED - SECOND) == [queued.id, released.id]
    assert await claimable(adapters, at=EXPIRED) == [queued.id, running.id, released.id]
    assert await claimable(adapters, limit=2, at=EXPIRED) == [queued.id, running.id]


async def test_a_claim_is_kept(adapters: Adapters, job: ImportJob) -> None:
    claimed = await claim(adapters, job.id)
    assert await adapters.job(job.id) == claimed
    assert (claimed.fence, claimed.lease_until, claimed.started_at) == (1, EXPIRED, NOON)
    again = await claim(adapters, job.id, at=EXPIRED)
    assert await adapters.job(job.id) == again
    assert (again.fence, again.started_at, again.progressed_at, again.revision) == (2, NOON, EXPIRED, 3)
    assert again.caution == Caution(CHUNK_ROWS // 2, CHUNK_ROWS, 0)


async def test_of_many_who_claim_at_once_one_has_the_job(adapters: Adapters, job: ImportJob) -> None:
    outcomes = await asyncio.gather(*(claim(adapters, job.id) for _ in range(6)), return_exceptions=True)
    assert sum(isinstance(outcome, ImportJob) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, WrongState) for outcome in outcomes) == 5
    assert (await adapters.job(job.id)).fence == 1


async def test_progress_is_kept_and_the_lease_left_alone(adapters: Adapters, job: ImportJob) -> None:
    claimed = await claim(adapters, job.id)
    async with adapters.begin() as work:
        await work.imports.renew(claimed, until=EXPIRED + LEASE)
        await work.commit()
    advanced = claimed.advanced(Tally(1, 2, 3, 4, 5, 6, {"page": 4}), Checkpoint(500, 16, 400), at=NOON + SECOND)
    await save(adapters, replace(advanced, caution=Caution(1, 2, 3, True, 100)))
    stored = await adapters.job(job.id)
    assert stored == replace(advanced, lease_until=EXPIRED + LEASE, caution=Caution(1, 2, 3, True, 100), revision=3)
    assert (stored.tally.reasons, stored.busy_s, stored.progressed_at) == ({"page": 4}, 1.0, NOON + SECOND)


@pytest.mark.parametrize(
    "end",
    [
        lambda job: job.advanced(Tally(created=1), Checkpoint(10, 2), at=NOON).finished(at=NOON + SECOND),
        lambda job: job.failed(NASTY_LINES, at=NOON + SECOND),
        lambda job: job.released(at=NOON + SECOND),
        lambda job: job.stopped(at=NOON + SECOND),
    ],
    ids=["finished", "failed", "released", "stopped"],
)
async def test_a_worker_that_ends_a_job_gives_up_its_lease(
    adapters: Adapters, job: ImportJob, end: Callable[[ImportJob], ImportJob]
) -> None:
    claimed = await claim(adapters, job.id)
    ended = end(claimed)
    await save(adapters, ended)
    assert await adapters.job(job.id) == replace(ended, revision=3)
    for lost in (claimed, ended):
        async with adapters.begin() as work:
            with pytest.raises(LeaseLost):
                await work.imports.hold(lost)
            with pytest.raises(LeaseLost):
                await work.imports.renew(lost, until=EXPIRED + LEASE)


async def test_a_worker_that_was_thought_dead_writes_nothing(adapters: Adapters, job: ImportJob) -> None:
    dead = await claim(adapters, job.id)
    living = await claim(adapters, job.id, at=EXPIRED)
    async with adapters.begin() as work:
        with pytest.raises(LeaseLost):
            await work.imports.hold(dead)
        with pytest.raises(LeaseLost):
            await work.imports.renew(dead, until=EXPIRED + 2 * LEASE)
        with pytest.raises(LeaseLost):
            await work.imports.save(dead.finished(at=EXPIRED))
    await save(adapters, living.advanced(Tally(created=1), Checkpoint(10, 2), at=NOON))
    assert (await adapters.job(job.id)).tally == Tally(created=1)


async def test_a_mark_is_kept_at_once_and_changes_nothing_else(adapters: Adapters, job: ImportJob) -> None:
    claimed = await claim(adapters, job.id)
    advanced = claimed.advanced(Tally(created=1), Checkpoint(10, 2), at=NOON)
    await save(adapters, advanced)
    begun = replace(claimed, caution=Caution(1, 1, 2, early_deaths=5)).begun()
    await mark(adapters, begun)
    assert await adapters.job(job.id) == replace(advanced, caution=Caution(1, 1, 2, True, 5), revision=4)
    await mark(adapters, begun.paused())
    assert await adapters.job(job.id) == replace(advanced, caution=Caution(1, 1, 2, False, 5), revision=5)
    await mark(adapters, begun)
    again = await claim(adapters, job.id, at=EXPIRED)
    assert again.caution == Caution(1, 1, 3)
    assert await adapters.job(job.id) == again


async def mark(adapters: Adapters, job: ImportJob) -> None:
    async with adapters.begin() as work:
        await work.imports.hold(job)
        await work.imports.save_caution(job)
        await work.commit()


async def test_who_was_thought_dead_marks_nothing(adapters: Adapters, job: ImportJob) -> None:
    dead = await claim(adapters, job.id)
    living = await claim(adapters, job.id, at=EXPIRED)
    async with adapters.begin() as work:
        with pytest.raises(LeaseLost):
            await work.imports.save_caution(dead.begun())
        await work.commit()
    assert await adapters.job(job.id) == living
    await save(adapters, living.finished(at=EXPIRED))
    async with adapters.begin() as work:
        with pytest.raises(LeaseLost):
            await work.imports.save_caution(living.begun())


async def test_a_lease_is_renewed_beside_a_transaction_of_the_job(adapters: Adapters, job: ImportJob) -> None:
    claimed = await claim(adapters, job.id)
    async with adapters.begin() as chunk:
        await chunk.imports.hold(claimed)
        async with adapters.begin() as beside:
            await beside.imports.renew(claimed, until=EXPIRED + LEASE)
            await beside.commit()
        await chunk.imports.save(claimed.advanced(Tally(created=1), Checkpoint(10, 2), at=NOON))
        await chunk.commit()
    stored = await adapters.job(job.id)
    assert (stored.lease_until, stored.tally.created) == (EXPIRED + LEASE, 1)


@pytest.mark.parametrize("saves_first", [True, False])
async def test_a_claim_ends_the_transactions_of_the_worker_before(
    adapters: Adapters, job: ImportJob, saves_first: bool
) -> None:
    """Also of one that is frozen, and would hold its locks for as long as it likes."""
    dead = await claim(adapters, job.id)
    user = a_user()
    is_holding, goes_on = asyncio.Event(), asyncio.Event()

    async def freeze() -> None:
        async with adapters.begin() as work:
            await work.imports.hold(dead)
            await work.users.add(user)
            is_holding.set()
            await goes_on.wait()
            if saves_first:
                await work.imports.save(dead.advanced(Tally(created=1), Checkpoint(10, 2), at=NOON))
            await work.commit()

    frozen = asyncio.create_task(freeze())
    await is_holding.wait()
    living = await claim(adapters, job.id, at=EXPIRED)
    await adapters.keep(user)
    goes_on.set()
    with pytest.raises(Unavailable):
        await frozen
    assert await adapters.job(job.id) == living


async def test_files_are_needed_until_their_jobs_are_long_finished(adapters: Adapters) -> None:
    jobs = [replace(a_job(), blob_key=f"imports/{number}") for number in range(6)]
    queued, running, early, late, again, _unasked = jobs
    await adapters.keep(*jobs, replace(a_job(), blob_key=again.blob_key))
    for job, at in ((early, NOON), (late, NOON + SECOND), (again, NOON)):
        await save(adapters, (await claim(adapters, job.id)).failed("No.", at=at))
    await claim(adapters, running.id)

    keys = ["imports/none", *(job.blob_key for job in jobs[:5])]
    async with adapters.begin() as work:
        needed = await work.imports.blobs_needed(keys, finished_after=NOON)
        assert await work.imports.blobs_needed([], finished_after=NOON) == set()
    assert needed == {job.blob_key for job in (queued, running, late, again)}
