"""However claims, chunks, ends and lapses of leases follow each other: one worker at most can write, and the count of
rows is that of the chunks that were committed."""

from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from domain.errors import WrongState
from domain.imports import Checkpoint, ImportJob, ImportState, Tally
from tests.builders import NOON, a_job

LEASE = timedelta(seconds=10)


class Claims(RuleBasedStateMachine):
    """Workers with their copies of a job, and the job as it is stored behind the fence."""

    claims = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.stored = a_job()
        self.now = NOON
        self.committed = Tally()
        self.fences = 0

    @rule(target=claims)
    def claim(self) -> int | None:
        """The fence of the claim, None where there is none."""
        try:
            claimed = self.stored.claimed(at=self.now, lease=LEASE)
        except WrongState:
            assert self.stored.is_finished or (self.stored.lease_until or NOON) > self.now
            return None
        assert claimed.fence > self.fences
        self.fences = claimed.fence
        self.stored = claimed
        return claimed.fence

    def holds(self, fence: int | None) -> bool:
        return self.stored.state is ImportState.RUNNING and self.stored.fence == fence

    @rule(fence=claims, rows=st.integers(1, 9), failed=st.booleans())
    def commit_a_chunk(self, fence: int | None, rows: int, failed: bool) -> None:
        if self.holds(fence):
            chunk = Tally(created=rows, failed=int(failed))
            self.committed += chunk
            start = self.stored.checkpoint
            self.stored = self.stored.advanced(chunk, Checkpoint(start.offset + rows, start.line + rows))

    @rule(fence=consumes(claims), end=st.sampled_from(["finished", "failed", "released"]))
    def end(self, fence: int | None, end: str) -> None:
        if self.holds(fence):
            before = self.stored
            self.stored = {
                "finished": lambda: before.finished(at=self.now),
                "failed": lambda: before.failed("The file is gone.", at=self.now),
                "released": before.released,
            }[end]()

    @rule(seconds=st.integers(1, 15))
    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @invariant()
    def the_job_is_sound(self) -> None:
        job: ImportJob = self.stored
        assert job.tally == self.committed
        assert (job.lease_until is not None) == (job.state is ImportState.RUNNING)
        assert (job.finished_at is not None) == job.is_finished
        assert job.claimable(at=self.now) == (
            not job.is_finished and (job.lease_until is None or job.lease_until <= self.now)
        )
        assert job.bytes_done <= job.bytes_total


TestClaims = Claims.TestCase
TestClaims.settings = settings(stateful_step_count=30)
