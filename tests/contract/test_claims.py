"""A claim goes past whoever still holds the job, and past nobody whose lease lasts."""

import pytest

from domain.errors import BylineError
from domain.imports import Checkpoint, ImportJob, Tally
from tests.builders import NOON, SECOND, a_job
from tests.contract.adapters import Adapters
from tests.contract.jobs import CHUNK_ROWS, EXPIRED, LEASE, claim


@pytest.fixture
async def job(adapters: Adapters) -> ImportJob:
    job = a_job()
    async with adapters.begin() as work:
        await work.imports.add(job)
        await work.commit()
    return job


async def test_a_claim_goes_past_a_worker_that_has_written_its_checkpoint(adapters: Adapters, job: ImportJob) -> None:
    claimed = await claim(adapters, job.id)
    async with adapters.begin() as frozen:
        await frozen.imports.hold(claimed)
        await frozen.imports.save(claimed.advanced(Tally(created=1), Checkpoint(10, 2), at=NOON + SECOND))
        async with adapters.begin() as work:
            found = await work.imports.lock_to_claim(job.id, at=EXPIRED)
            await work.imports.save_claim(found.claimed(at=EXPIRED, lease=LEASE, chunk_rows=CHUNK_ROWS))
            await work.commit()
        with pytest.raises(BylineError):
            await frozen.commit()
    async with adapters.begin() as work:
        found = await work.imports.get(job.id)
    assert (found.fence, found.tally) == (2, Tally())


async def test_whose_lease_lasts_is_left_alone(adapters: Adapters, job: ImportJob) -> None:
    claimed = await claim(adapters, job.id)
    async with adapters.begin() as chunk:
        await chunk.imports.hold(claimed)
        async with adapters.begin() as work:
            found = await work.imports.lock_to_claim(job.id, at=EXPIRED - SECOND)
            assert not found.claimable(at=EXPIRED - SECOND)
        await chunk.imports.save(claimed.advanced(Tally(created=1), Checkpoint(10, 2), at=NOON + SECOND))
        await chunk.commit()
    async with adapters.begin() as work:
        assert (await work.imports.get(job.id)).tally == Tally(created=1)
