"""Jobs that others than their worker change, and those that a client names twice."""

import asyncio
from dataclasses import replace

import pytest

from domain.errors import Busy, ImportNotFound, LeaseLost
from domain.ids import ImportId
from domain.imports import CLAIMED, Caution, Checkpoint, ImportJob, ImportState, Tally
from tests.builders import NOON, SECOND, a_job, a_user
from tests.contract.adapters import Adapters
from tests.contract.jobs import CHUNK_ROWS, EXPIRED, LEASE, claim, claimable, save


async def cancel(adapters: Adapters, import_id: ImportId) -> ImportJob:
    async with adapters.begin() as work:
        changed = await work.imports.change((await work.imports.lock(import_id)).cancelled(at=NOON + SECOND))
        await work.commit()
    return changed


async def test_a_job_that_nobody_has_is_cancelled_and_resumed(adapters: Adapters, job: ImportJob) -> None:
    cancelled = await cancel(adapters, job.id)
    assert cancelled == replace(job, state=ImportState.CANCELLED, finished_at=NOON + SECOND, revision=2)
    assert await adapters.job(job.id) == cancelled
    assert await claimable(adapters) == []
    async with adapters.begin() as work:
        resumed = await work.imports.change((await work.imports.lock(job.id)).resumed())
        await work.commit()
    assert resumed == replace(job, revision=3)
    assert await adapters.job(job.id) == resumed
    assert await claimable(adapters) == [job.id]


async def test_a_change_touches_nothing_that_its_worker_writes(adapters: Adapters, job: ImportJob) -> None:
    claimed = await claim(adapters, job.id)
    await save(adapters, claimed.advanced(Tally(created=1), Checkpoint(10, 2, 10), at=NOON + SECOND))
    before = await adapters.job(job.id)
    other = replace(
        before,
        state=ImportState.FAILED,
        error="No.",
        finished_at=NOON + SECOND,
        lease_until=None,
        caution=Caution(1, 2, 3, True, 4),
        forgiven=2**40,
    )
    async with adapters.begin() as work:
        await work.imports.lock(job.id)
        await work.imports.change(replace(other, tally=Tally(), checkpoint=Checkpoint(), busy_s=9.0, fence=9))
        await work.commit()
    assert await adapters.job(job.id) == replace(other, revision=before.revision + 1)


async def test_what_a_resumed_job_is_forgiven_outlives_its_worker(adapters: Adapters) -> None:
    job = replace(a_job(), state=ImportState.FAILED, tally=Tally(failed=3))
    await adapters.keep(job)
    async with adapters.begin() as work:
        await work.imports.change((await work.imports.lock(job.id)).resumed())
        await work.commit()
    claimed = await claim(adapters, job.id)
    await save(adapters, claimed.advanced(Tally(failed=1), Checkpoint(10, 2, 10), at=NOON + SECOND))
    await save(adapters, (await adapters.job(job.id)).released(at=NOON + SECOND))
    stored = await adapters.job(job.id)
    assert (stored.state, stored.tally, stored.forgiven) == (ImportState.QUEUED, Tally(failed=4), 3)


async def test_a_job_that_is_not_there_is_not_changed(adapters: Adapters) -> None:
    async with adapters.begin() as work:
        with pytest.raises(ImportNotFound):
            await work.imports.change(a_job())


async def test_a_cancel_while_a_chunk_is_written_survives_its_progress(adapters: Adapters, job: ImportJob) -> None:
    claimed = await claim(adapters, job.id)
    advanced = claimed.advanced(Tally(created=1), Checkpoint(10, 2), at=NOON + SECOND)
    async with adapters.begin() as chunk:
        await chunk.imports.hold(claimed)
        assert (await cancel(adapters, job.id)).state is ImportState.CANCELLING
        await chunk.imports.save(advanced)
        await chunk.commit()
    assert await adapters.job(job.id) == replace(advanced, state=ImportState.CANCELLING, revision=4)

    async with adapters.begin() as work:
        held = await work.imports.hold(claimed)
        assert held == await work.imports.get(job.id)
        await work.imports.renew(claimed, until=EXPIRED)
        await work.imports.save(held.stopped(at=NOON + SECOND))
        await work.commit()
    stopped = await adapters.job(job.id)
    assert (stopped.state, stopped.finished_at, stopped.lease_until) == (ImportState.CANCELLED, NOON + SECOND, None)
    assert stopped.revision == 5
    async with adapters.begin() as work:
        with pytest.raises(LeaseLost):
            await work.imports.hold(claimed)


async def test_a_cancel_waits_for_a_progress_that_is_about_to_be_committed(adapters: Adapters, job: ImportJob) -> None:
    claimed = await claim(adapters, job.id)
    async with adapters.begin() as chunk:
        await chunk.imports.hold(claimed)
        await chunk.imports.save(claimed.advanced(Tally(created=1), Checkpoint(10, 2), at=NOON + SECOND))
        cancelling = asyncio.create_task(cancel(adapters, job.id))
        for _ in range(5):
            await chunk.imports.get(job.id)
        assert not cancelling.done()
        await chunk.commit()
    cancelled = await cancelling
    assert (cancelled.state, cancelled.tally, cancelled.revision) == (ImportState.CANCELLING, Tally(created=1), 4)
    assert await adapters.job(job.id) == cancelled


async def test_who_holds_a_job_and_locks_it_is_the_only_one_to_say_how_it_ends(
    adapters: Adapters, job: ImportJob
) -> None:
    claimed = await claim(adapters, job.id)
    async with adapters.begin() as work:
        await work.imports.hold(claimed)
        locked = await work.imports.lock(job.id)
        cancelling = asyncio.create_task(cancel(adapters, job.id))
        for _ in range(5):
            await work.imports.get(job.id)
        assert not cancelling.done()
        await work.imports.save(locked.released(at=NOON))
        await work.commit()
    assert (await cancelling).state is ImportState.CANCELLED


async def test_a_cancelling_job_is_claimable_once_its_lease_has_run_out(adapters: Adapters, job: ImportJob) -> None:
    await claim(adapters, job.id)
    await cancel(adapters, job.id)
    assert await claimable(adapters, at=EXPIRED - SECOND) == []
    assert await claimable(adapters, at=EXPIRED) == [job.id]
    again = await claim(adapters, job.id, at=EXPIRED)
    assert (again.state, again.fence, again.caution.chunk_rows) == (ImportState.CANCELLING, 2, CHUNK_ROWS // 2)
    assert await adapters.job(job.id) == again


@pytest.mark.parametrize("state", [state for state in ImportState if state not in CLAIMED])
async def test_nobody_holds_a_job_that_nobody_has_claimed(adapters: Adapters, state: ImportState) -> None:
    job = replace(a_job(), state=state, lease_until=NOON + LEASE)
    await adapters.keep(job)
    for statement in ("hold", "save"):
        async with adapters.begin() as work:
            with pytest.raises(LeaseLost):
                await getattr(work.imports, statement)(job)


async def test_a_job_is_found_by_the_key_of_who_made_it(adapters: Adapters) -> None:
    ann, bob = a_user(), a_user()
    job = replace(a_job(created_by=ann.id), idempotency_key="key")
    await adapters.keep(
        ann,
        bob,
        job,
        replace(a_job(created_by=bob.id), idempotency_key="key"),
        replace(a_job(created_by=ann.id), idempotency_key="other"),
        a_job(created_by=ann.id),
        a_job(created_by=ann.id),
    )
    async with adapters.begin() as work:
        assert await work.imports.find_by_key(ann.id, "key") == job
        assert await work.imports.find_by_key(ann.id, "KEY") is None
        assert await work.imports.find_by_key(a_user().id, "key") is None


async def test_of_many_who_send_one_key_at_once_one_makes_the_job(adapters: Adapters) -> None:
    ann = a_user()
    await adapters.keep(ann)

    async def start() -> ImportId:
        async with adapters.begin() as work:
            await work.imports.lock_key(ann.id, "key")
            made = await work.imports.find_by_key(ann.id, "key")
            if made is not None:
                return made.id
            job = replace(a_job(created_by=ann.id), idempotency_key="key")
            await work.imports.add(job)
            await work.commit()
            return job.id

    assert len(set(await asyncio.gather(*(start() for _ in range(6))))) == 1


async def test_other_keys_are_not_waited_for(adapters: Adapters) -> None:
    ann, bob = a_user(), a_user()
    async with adapters.begin() as work:
        await work.imports.lock_key(ann.id, "key")
        async with adapters.begin() as beside:
            await beside.imports.lock_key(ann.id, "other")
            await beside.imports.lock_key(bob.id, "key")


async def test_a_key_makes_one_job_also_for_who_forgot_to_lock_it(adapters: Adapters) -> None:
    ann = a_user()
    await adapters.keep(ann, replace(a_job(created_by=ann.id), idempotency_key="key"))
    with pytest.raises(Busy):
        await adapters.keep(replace(a_job(created_by=ann.id), idempotency_key="key"))
