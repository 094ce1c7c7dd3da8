"""However claims, chunks, ends, cancels, resumptions and lapses of leases follow each other: one worker at most can
write, and the count of rows is that of the chunks that were committed."""

from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from domain.errors import WrongState
from domain.imports import ALONE_MAX, CLAIMED, Checkpoint, ImportJob, ImportState, Tally
from tests.builders import NOON, a_job

LEASE = timedelta(seconds=10)
CHUNK_ROWS = 16


class Claims(RuleBasedStateMachine):
    """Workers with their copies of a job, and the job as it is stored behind the fence."""

    claims = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.stored = a_job()
        self.now = NOON
        self.committed = Tally()
        self.fences = 0
        self.done = 0
        self.was_cancelled = False

    @rule(target=claims)
    def claim(self) -> int | None:
        """The fence of the claim, None where there is none."""
        before = self.stored
        try:
            claimed = before.claimed(at=self.now, lease=LEASE, chunk_rows=CHUNK_ROWS)
        except WrongState:
            assert before.is_finished or (before.lease_until or NOON) > self.now
            return None
        assert claimed.fence > self.fences
        assert (claimed.caution == before.caution) == (before.state is ImportState.QUEUED)
        self.fences = claimed.fence
        self.stored = claimed
        return claimed.fence

    def holds(self, fence: int | None) -> bool:
        return self.stored.state in CLAIMED and self.stored.fence == fence

    @rule(fence=claims, rows=st.integers(1, 9), failed=st.booleans())
    def commit_a_chunk(self, fence: int | None, rows: int, failed: bool) -> None:
        if self.holds(fence):
            chunk = Tally(created=rows, failed=int(failed))
            self.committed += chunk
            start = self.stored.checkpoint
            self.stored = self.stored.advanced(
                chunk, Checkpoint(start.offset + rows, start.line + rows, start.bytes_read + rows - 2), at=self.now
            )

    @rule(fence=consumes(claims), end=st.sampled_from(["finished", "failed", "released", "stopped"]))
    def end(self, fence: int | None, end: str) -> None:
        if self.holds(fence):
            before = self.stored
            self.stored = {
                "finished": lambda: before.finished(at=self.now),
                "failed": lambda: before.failed("The file is gone.", at=self.now),
                "released": lambda: before.released(at=self.now),
                "stopped": lambda: before.stopped(at=self.now),
            }[end]()

    @rule()
    def cancel(self) -> None:
        before = self.stored
        try:
            self.stored = before.cancelled(at=self.now)
        except WrongState:
            assert before.is_finished
            return
        assert self.stored.state in (ImportState.CANCELLED, ImportState.CANCELLING)
        self.was_cancelled = True

    @rule()
    def resume(self) -> None:
        before = self.stored
        try:
            self.stored = before.resumed()
        except WrongState:
            assert before.state in CLAIMED or before.succeeded
            return
        assert (self.stored.checkpoint, self.stored.tally) == (before.checkpoint, before.tally)
        self.was_cancelled = False

    @rule(seconds=st.integers(1, 15))
    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @invariant()
    def the_job_is_sound(self) -> None:
        job: ImportJob = self.stored
        assert job.tally == self.committed
        assert (job.lease_until is not None) == (job.state in CLAIMED)
        assert (job.finished_at is not None) == job.is_finished
        assert job.claimable(at=self.now) == (
            not job.is_finished and (job.lease_until is None or job.lease_until <= self.now)
        )
        assert self.done <= job.bytes_done <= job.bytes_total
        assert (job.bytes_done == job.bytes_total) == job.succeeded
        self.done = job.bytes_done

    @invariant()
    def nothing_but_an_end_undoes_a_cancel(self) -> None:
        if self.was_cancelled:
            assert self.stored.is_finished or self.stored.state is ImportState.CANCELLING

    @invariant()
    def only_a_row_that_was_alone_is_passed_over(self) -> None:
        caution = self.stored.caution
        assert 0 <= caution.chunk_rows < CHUNK_ROWS
        assert (caution.chunk_rows > 0) == (caution.rows > 0)
        if caution.is_quarantine:
            assert (caution.chunk_rows, caution.rows) == (1, 1)
            assert caution.deaths >= ALONE_MAX


TestClaims = Claims.TestCase
TestClaims.settings = settings(stateful_step_count=30)
