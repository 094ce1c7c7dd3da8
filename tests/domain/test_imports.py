"""Import jobs: states, claims under a lease, tallies, progress, options of a retry."""

from dataclasses import astuple, replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import WrongState
from domain.import_options import ImportFormat, ImportOptions
from domain.imports import Checkpoint, ImportJob, ImportState, Tally
from tests.builders import NOON, SECOND, a_job

LEASE = timedelta(seconds=10)
CHUNK_ROWS = 2_000
COUNTS = st.integers(0, 10**6)
REASONS = st.dictionaries(st.sampled_from(["exists", "comment", "attachment"]), st.integers(1, 99))
TALLIES = st.builds(Tally, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, REASONS)


def claimed(job: ImportJob) -> ImportJob:
    return job.claimed(at=NOON, lease=LEASE, chunk_rows=CHUNK_ROWS)


def a_running_job() -> ImportJob:
    return claimed(a_job())


def advanced(job: ImportJob, rows: Tally, checkpoint: Checkpoint | None = None) -> ImportJob:
    return job.advanced(rows, checkpoint or Checkpoint(1, 2, 1), at=NOON)


SUCCEEDED = a_running_job().finished(at=NOON)
WITH_ERRORS = advanced(a_running_job(), Tally(failed=1)).finished(at=NOON)
FAILED = a_running_job().failed("The file is gone.", at=NOON)
CANCELLED = a_job().cancelled(at=NOON)
FINISHED = pytest.mark.parametrize(
    "finished", [SUCCEEDED, WITH_ERRORS, FAILED, CANCELLED], ids=lambda job: job.state.value
)


def test_a_new_job_begins_with_the_first_byte_of_the_first_line() -> None:
    job = a_job()
    assert (job.state, job.checkpoint, job.tally, job.fence) == (ImportState.QUEUED, Checkpoint(0, 1, 0), Tally(), 0)


def test_a_claim_raises_the_fence_and_takes_a_lease() -> None:
    job = a_running_job()
    assert (job.state, job.fence, job.lease_until, job.started_at) == (ImportState.RUNNING, 1, NOON + LEASE, NOON)


def test_a_lease_keeps_others_out_until_it_has_run_out() -> None:
    job = a_running_job()
    with pytest.raises(WrongState):
        job.claimed(at=NOON + LEASE - SECOND, lease=LEASE, chunk_rows=CHUNK_ROWS)

    again = job.claimed(at=NOON + LEASE, lease=LEASE, chunk_rows=CHUNK_ROWS)
    assert (again.fence, again.started_at) == (2, NOON)


def test_a_job_given_back_can_be_claimed_at_once_where_it_stopped() -> None:
    job = advanced(a_running_job(), Tally(created=3), Checkpoint(300, 4, 300)).released(at=NOON)
    assert (job.state, job.lease_until) == (ImportState.QUEUED, None)

    again = claimed(job)
    assert (again.fence, again.tally, again.checkpoint) == (2, Tally(created=3), Checkpoint(300, 4, 300))


@FINISHED
def test_a_finished_job_is_never_claimed_again(finished: ImportJob) -> None:
    assert finished.is_finished
    assert (finished.lease_until, finished.finished_at) == (None, NOON)
    assert not finished.claimable(at=NOON + timedelta(days=1))
    with pytest.raises(WrongState):
        finished.claimed(at=NOON + timedelta(days=1), lease=LEASE, chunk_rows=CHUNK_ROWS)


def test_rows_that_failed_show_in_the_state() -> None:
    assert SUCCEEDED.state is ImportState.SUCCEEDED
    assert WITH_ERRORS.state is ImportState.COMPLETED_WITH_ERRORS


def test_a_job_that_failed_says_why_and_keeps_its_count() -> None:
    job = advanced(a_running_job(), Tally(created=2), Checkpoint(200, 3, 200)).failed("The file is gone.", at=NOON)
    assert (job.state, job.error, job.tally.created, job.bytes_done) == (
        ImportState.FAILED,
        "The file is gone.",
        2,
        200,
    )


def test_a_job_that_waits_is_cancelled_at_once_and_one_that_runs_by_its_worker() -> None:
    for waiting in (a_job(), replace(a_job(), state=ImportState.UPLOADED)):
        job = waiting.cancelled(at=NOON)
        assert (job.state, job.finished_at) == (ImportState.CANCELLED, NOON)
        assert job.cancelled(at=NOON + SECOND) is job

    asked = a_running_job().cancelled(at=NOON)
    assert (asked.state, asked.lease_until, asked.finished_at) == (ImportState.CANCELLING, NOON + LEASE, None)
    assert asked.cancelled(at=NOON) is asked
    assert asked.released(at=NOON).state is asked.stopped(at=NOON).state is ImportState.CANCELLED


def test_a_cancel_that_its_worker_did_not_live_to_see_is_not_forgotten_by_the_next() -> None:
    asked = a_running_job().cancelled(at=NOON)
    again = asked.claimed(at=NOON + LEASE, lease=LEASE, chunk_rows=CHUNK_ROWS)
    assert (again.state, again.fence) == (ImportState.CANCELLING, 2)


@pytest.mark.parametrize("finished", [SUCCEEDED, WITH_ERRORS, FAILED], ids=lambda job: job.state.value)
def test_what_has_finished_is_not_cancelled(finished: ImportJob) -> None:
    with pytest.raises(WrongState):
        finished.cancelled(at=NOON)


@pytest.mark.parametrize("stopped", [FAILED, CANCELLED, replace(a_job(), state=ImportState.UPLOADED)])
def test_what_was_stopped_or_never_started_is_resumed_where_it_stands(stopped: ImportJob) -> None:
    stopped = replace(stopped, checkpoint=Checkpoint(10, 2, 10), tally=Tally(created=1))
    job = stopped.resumed()
    assert (job.state, job.error, job.finished_at) == (ImportState.QUEUED, None, None)
    assert (job.checkpoint, job.tally) == (stopped.checkpoint, stopped.tally)
    assert job.resumed() is job


@pytest.mark.parametrize("going", [a_running_job(), a_running_job().cancelled(at=NOON), SUCCEEDED, WITH_ERRORS])
def test_what_runs_or_is_done_is_not_resumed(going: ImportJob) -> None:
    with pytest.raises(WrongState):
        going.resumed()


def test_rows_are_tried_again_once_a_job_with_failed_rows_has_finished() -> None:
    assert WITH_ERRORS.require_retriable() is WITH_ERRORS
    failed = advanced(a_running_job(), Tally(failed=1)).failed("Too many.", at=NOON)
    assert failed.require_retriable() is failed
    for job in (a_job(), advanced(a_running_job(), Tally(failed=1)), SUCCEEDED, FAILED, CANCELLED):
        with pytest.raises(WrongState):
            job.require_retriable()


def test_more_errors_than_allowed_are_too_many() -> None:
    def with_max(errors: int | None) -> ImportJob:
        job = replace(a_job(), options=ImportOptions(a_job().kind, max_errors=errors))
        return advanced(claimed(job), Tally(failed=2))

    assert [with_max(errors).has_too_many_errors for errors in (None, 0, 1, 2)] == [False, True, True, False]


def test_a_resumed_job_may_have_as_many_errors_again() -> None:
    job = replace(a_job(), options=ImportOptions(a_job().kind, max_errors=2))
    for resumptions in range(3):
        job = advanced(claimed(job), Tally(failed=2))
        assert not job.has_too_many_errors
        job = advanced(job, Tally(failed=1))
        assert job.has_too_many_errors
        job = job.failed("Too many.", at=NOON).resumed()
        assert (job.has_too_many_errors, job.tally.failed) == (False, 3 * (resumptions + 1))
    assert job.options.max_errors == 2
    assert job.resumed() is job


def test_a_refused_job_is_one_that_failed_and_says_that_its_file_is_to_be_mended() -> None:
    refused = a_running_job().refused("There is no column 'x'.", at=NOON)
    assert (refused.state, refused.is_refused, refused.finished_at) == (ImportState.FAILED, True, NOON)
    assert refused.error == "There is no column 'x'. Mend the file or its options, and import it again."
    assert [job.is_refused for job in (FAILED, CANCELLED, SUCCEEDED, refused.resumed())] == [False] * 4


def test_bytes_done_follow_the_file_and_are_all_of_it_only_at_the_end() -> None:
    job = a_running_job()
    assert job.bytes_done == 0
    assert advanced(job, Tally(), Checkpoint(4_000, 5, 400)).bytes_done == 400
    for read in (job.bytes_total, job.bytes_total + 1):
        assert advanced(job, Tally(), Checkpoint(1, 5, read)).bytes_done == job.bytes_total - 1
    assert advanced(job, Tally(), Checkpoint(999, 5, 9)).finished(at=NOON).bytes_done == job.bytes_total
    assert claimed(a_job(bytes_total=0)).bytes_done == 0


def test_bytes_done_never_fall() -> None:
    job = advanced(a_running_job(), Tally(), Checkpoint(100, 2, 100))
    assert advanced(job, Tally(), Checkpoint(150, 3, 0)).checkpoint == Checkpoint(150, 3, 100)


def test_rate_and_time_left_are_those_of_the_time_that_workers_were_at_it() -> None:
    job = a_running_job()
    assert (job.busy_s, job.rows_per_s, job.seconds_left) == (0.0, None, None)
    job = job.advanced(Tally(created=50), Checkpoint(100, 51, 100), at=NOON + 5 * SECOND)
    assert (job.busy_s, job.rows_per_s, job.seconds_left) == (5.0, 10.0, 45.0)

    an_hour_later = NOON + timedelta(hours=1)
    job = job.released(at=NOON + 6 * SECOND).claimed(at=an_hour_later, lease=LEASE, chunk_rows=CHUNK_ROWS)
    job = job.advanced(Tally(created=50), Checkpoint(200, 101, 250), at=an_hour_later + 5 * SECOND)
    assert (job.busy_s, job.rows_per_s, job.seconds_left) == (10.0, 10.0, 30.0)
    assert job.finished(at=NOON).seconds_left == job.failed("No.", at=NOON).seconds_left == 0.0


def test_a_clock_that_is_set_back_takes_no_time_away() -> None:
    job = a_running_job().advanced(Tally(created=1), Checkpoint(1, 2, 1), at=NOON - SECOND)
    assert job.busy_s == 0.0


@given(TALLIES, TALLIES)
def test_tallies_add_up_outcome_by_outcome(one: Tally, other: Tally) -> None:
    both = one + other
    assert astuple(both)[:6] == tuple(a + b for a, b in zip(astuple(one)[:6], astuple(other)[:6], strict=True))
    assert both.rows_read == one.rows_read + other.rows_read == sum(astuple(both)[:5])
    assert sum(both.reasons.values()) == sum(one.reasons.values()) + sum(other.reasons.values())
    assert all(both.reasons[each] == one.reasons.get(each, 0) + other.reasons.get(each, 0) for each in both.reasons)
    assert one + Tally() == one


@given(st.lists(TALLIES))
def test_a_job_counts_all_its_chunks(chunks: list[Tally]) -> None:
    job = a_running_job()
    for line, chunk in enumerate(chunks, 1):
        job = advanced(job, chunk, Checkpoint(line * 10, line + 1, line * 10))
    assert job.tally.rows_read == sum(chunk.rows_read for chunk in chunks)
    end = len(chunks)
    assert job.checkpoint == (Checkpoint(end * 10, end + 1, end * 10) if chunks else Checkpoint())


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("archive.csv", ImportFormat.CSV),
        ("archive.TSV", ImportFormat.CSV),
        ("archive.csv.gz", ImportFormat.CSV),
        ("archive.ndjson", ImportFormat.NDJSON),
        ("archive.ndjson.zst", ImportFormat.NDJSON),
        ("archive.2024.JSONL", ImportFormat.NDJSON),
        ("archive.json", ImportFormat.JSON),
        ("archive.xml", None),
        ("archive.gz", None),
        ("csv", None),
        (".csv", None),
        ("", None),
        (None, None),
    ],
)
def test_a_file_is_named_after_its_format(name: str | None, told: ImportFormat | None) -> None:
    assert ImportFormat.of_file_name(name) is told
