"""Import jobs: states, claims under a lease, tallies."""

from dataclasses import astuple
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import WrongState
from domain.imports import ATTEMPTS_MAX, Checkpoint, ImportFormat, ImportJob, ImportState, Tally
from tests.builders import NOON, SECOND, a_job

LEASE = timedelta(seconds=10)
COUNTS = st.integers(0, 10**6)
TALLIES = st.builds(Tally, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)


def a_running_job() -> ImportJob:
    return a_job().claimed(at=NOON, lease=LEASE)


def test_a_new_job_begins_with_the_first_byte_of_the_first_line() -> None:
    job = a_job()
    assert (job.state, job.checkpoint, job.tally, job.fence) == (ImportState.QUEUED, Checkpoint(0, 1), Tally(), 0)


def test_a_claim_raises_the_fence_and_takes_a_lease() -> None:
    job = a_running_job()
    assert (job.state, job.fence, job.lease_until, job.started_at) == (ImportState.RUNNING, 1, NOON + LEASE, NOON)


def test_a_lease_keeps_others_out_until_it_has_run_out() -> None:
    job = a_running_job()
    with pytest.raises(WrongState):
        job.claimed(at=NOON + LEASE - SECOND, lease=LEASE)

    again = job.claimed(at=NOON + LEASE, lease=LEASE)
    assert (again.fence, again.started_at) == (2, NOON)


def test_claims_that_come_to_nothing_are_counted_until_rows_come_in() -> None:
    job = a_job()
    for attempt in range(1, ATTEMPTS_MAX + 2):
        assert not job.is_stuck
        job = job.claimed(at=NOON + attempt * LEASE, lease=LEASE)
        assert job.attempts == attempt
    assert job.is_stuck
    assert job.released().attempts == job.excused().attempts == ATTEMPTS_MAX
    advanced = job.advanced(Tally(created=1), Checkpoint(10, 2))
    assert (advanced.attempts, advanced.is_stuck) == (0, False)
    assert advanced.released().attempts == 0


def test_a_job_given_back_can_be_claimed_at_once_where_it_stopped() -> None:
    job = a_running_job().advanced(Tally(created=3), Checkpoint(300, 4)).released()
    assert (job.state, job.lease_until) == (ImportState.QUEUED, None)

    again = job.claimed(at=NOON, lease=LEASE)
    assert (again.fence, again.tally, again.checkpoint) == (2, Tally(created=3), Checkpoint(300, 4))


@pytest.mark.parametrize(
    "finished",
    [
        a_running_job().finished(at=NOON),
        a_running_job().advanced(Tally(failed=1), Checkpoint()).finished(at=NOON),
        a_running_job().failed("The file is gone.", at=NOON),
    ],
    ids=lambda job: job.state.value,
)
def test_a_finished_job_is_never_claimed_again(finished: ImportJob) -> None:
    assert finished.is_finished
    assert (finished.lease_until, finished.finished_at) == (None, NOON)
    assert not finished.claimable(at=NOON + timedelta(days=1))
    with pytest.raises(WrongState):
        finished.claimed(at=NOON + timedelta(days=1), lease=LEASE)


def test_rows_that_failed_show_in_the_state() -> None:
    job = a_running_job()
    assert job.finished(at=NOON).state is ImportState.SUCCEEDED
    assert job.advanced(Tally(failed=1), Checkpoint()).finished(at=NOON).state is ImportState.COMPLETED_WITH_ERRORS


def test_a_job_that_failed_says_why_and_keeps_its_count() -> None:
    job = a_running_job().advanced(Tally(created=2), Checkpoint(200, 3)).failed("The file is gone.", at=NOON)
    assert (job.state, job.error, job.tally.created, job.bytes_done) == (
        ImportState.FAILED,
        "The file is gone.",
        2,
        200,
    )


def test_bytes_done_follow_the_checkpoint_up_to_the_end() -> None:
    job = a_running_job()
    assert job.bytes_done == 0
    assert job.advanced(Tally(), Checkpoint(400, 5)).bytes_done == 400
    assert job.advanced(Tally(), Checkpoint(job.bytes_total + 1, 5)).bytes_done == job.bytes_total
    assert job.advanced(Tally(), Checkpoint(999, 5)).finished(at=NOON).bytes_done == job.bytes_total


@given(TALLIES, TALLIES)
def test_tallies_add_up_outcome_by_outcome(one: Tally, other: Tally) -> None:
    both = one + other
    assert astuple(both) == tuple(a + b for a, b in zip(astuple(one), astuple(other), strict=True))
    assert both.rows_read == one.rows_read + other.rows_read == sum(astuple(both))
    assert one + Tally() == one


@given(st.lists(TALLIES))
def test_a_job_counts_all_its_chunks(chunks: list[Tally]) -> None:
    job = a_running_job()
    for line, chunk in enumerate(chunks, 1):
        job = job.advanced(chunk, Checkpoint(line * 10, line + 1))
    assert job.tally.rows_read == sum(chunk.rows_read for chunk in chunks)
    assert job.checkpoint == (Checkpoint(len(chunks) * 10, len(chunks) + 1) if chunks else Checkpoint())


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("archive.csv", ImportFormat.CSV),
        ("archive.ndjson", ImportFormat.NDJSON),
        ("archive.2024.JSONL", ImportFormat.NDJSON),
        ("archive.json", None),
        ("csv", None),
        (".csv", None),
        ("", None),
        (None, None),
    ],
)
def test_a_file_is_named_after_its_format(name: str | None, told: ImportFormat | None) -> None:
    assert ImportFormat.of_file_name(name) is told
