"""Import jobs: their states, the count of their rows, and the fence that keeps a worker thought dead from writing."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

from domain.errors import WrongState
from domain.ids import ImportId, UserId
from domain.import_options import ImportFormat, ImportKind, ImportOptions


class ImportState(StrEnum):
    UPLOADED = "uploaded"
    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    COMPLETED_WITH_ERRORS = "completed_with_errors"
    FAILED = "failed"
    CANCELLED = "cancelled"


FINISHED = frozenset(
    {ImportState.SUCCEEDED, ImportState.COMPLETED_WITH_ERRORS, ImportState.FAILED, ImportState.CANCELLED}
)
RESUMABLE = frozenset({ImportState.UPLOADED, ImportState.CANCELLED, ImportState.FAILED})
CLAIMED = frozenset({ImportState.RUNNING, ImportState.CANCELLING})
"""Somebody has it, under a lease."""

ALONE_MAX = 3
"""So many workers may die in the attempt at a row that is alone in its chunk; then it is quarantined."""
DEATHS_MAX = 100
"""Of workers, one after the other, in one place: where not even passing the row over helps, or it cannot be read, the
job fails. So many, as kills from outside shall not fail it."""

MEND_FIRST = "Mend the file or its options, and import it again."
"""What the error of a job ends with that would fail the same way however often it is resumed. Jobs that are stored are
known by it: it does not change."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of the rows read. The five outcomes add up to `rows_read`.

    `reasons` says why rows were skipped, and how many for each reason; they add up to `skipped`.
    """

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    skipped: int = 0
    failed: int = 0
    authors_created: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict, compare=False)

    @property
    def rows_read(self) -> int:
        return self.created + self.updated + self.unchanged + self.skipped + self.failed

    def __add__(self, other: "Tally") -> "Tally":
        reasons = {
            reason: self.reasons.get(reason, 0) + other.reasons.get(reason, 0)
            for reason in {**self.reasons, **other.reasons}
        }
        return Tally(
            self.created + other.created,
            self.updated + other.updated,
            self.unchanged + other.unchanged,
            self.skipped + other.skipped,
            self.failed + other.failed,
            self.authors_created + other.authors_created,
            reasons,
        )


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where reading goes on, as the format's reader understands `offset`: in lines of text the first byte not yet
    imported, of the text as UTF-8 and decompressed; elsewhere the number of records before.

    `line` is where that is, from 1; `bytes_read` is how much of the stored file that took.
    """

    offset: int = 0
    line: int = 1
    bytes_read: int = 0


@dataclass(frozen=True, slots=True)
class RowError:
    """A row that failed alone. `line` is where it begins, from 1; `row` is the row as it came, secrets masked.

    `place` names it within its file: its line where each record begins a line, else its number, from 1.
    """

    line: int
    field: str | None
    code: str
    message: str
    row: Mapping[str, object] | str | None
    place: int = 0


@dataclass(frozen=True, slots=True)
class Caution:
    """How carefully the rows after the checkpoint are taken, after a worker died on them.

    At most `chunk_rows` (0: as many as usual) at a time, for the next `rows` rows.

    From then on it is marked, with `begun`, for as long as somebody is at these rows themselves, judging or writing
    them. Only who dies then may have died of a row: such a death halves the chunk, and where it was one row, `deaths`
    counts it. Whoever dies otherwise, while starting, or reading up to there, or looking up what the row meets with,
    changes nothing of that: `early_deaths` counts them, up to the next commit or death that counts, so that a place
    that kills its reader does not do so for ever. At the usual size nothing is marked, and any death halves.
    """

    chunk_rows: int = 0
    rows: int = 0
    deaths: int = 0
    has_begun: bool = False
    early_deaths: int = 0

    def begun(self) -> Self:
        return replace(self, has_begun=True)

    def paused(self) -> Self:
        """By a worker that lives: it did not die of what it had begun."""
        return replace(self, has_begun=False)

    def after_death(self, chunk_rows: int) -> Self:
        """Half of the chunk that somebody may have died on, `chunk_rows` at most."""
        if self.chunk_rows and not self.has_begun:
            return replace(self, early_deaths=self.early_deaths + 1)
        size = self.chunk_rows or chunk_rows
        deaths = self.deaths + 1 if size == 1 and self.has_begun else 0
        return type(self)(max(1, size // 2), size, deaths)

    def after(self, rows: int) -> Self:
        """Once `rows` more are written."""
        left = self.rows - rows
        return type(self)(self.chunk_rows, left, 0 if rows else self.deaths) if left > 0 else type(self)()

    @property
    def is_quarantine(self) -> bool:
        """The next row is passed over."""
        return self.deaths >= ALONE_MAX

    @property
    def is_hopeless(self) -> bool:
        return max(self.deaths, self.early_deaths) >= DEATHS_MAX


@dataclass(frozen=True, slots=True)
class ImportJob:
    """`fence` rises with every claim; a transaction of an older fence must commit nothing. `revision` rises with every
    change, whoever makes it.

    `file_hash` is the SHA-256 of the file in hex. `bytes_done` never falls; it is `bytes_total` after the last commit,
    and not before.
    `busy_s` is how long workers have been at it up to the last commit, at `progressed_at`.
    `forgiven` failed rows are from before it was resumed, and count no more against `max_errors`.
    `parent_id` is the job whose failed rows this one tries again.
    """

    id: ImportId
    options: ImportOptions
    format: ImportFormat
    blob_key: str
    file_name: str | None
    file_hash: str
    bytes_total: int
    created_by: UserId | None
    created_at: datetime
    state: ImportState = ImportState.QUEUED
    tally: Tally = Tally()
    checkpoint: Checkpoint = Checkpoint()
    started_at: datetime | None = None
    finished_at: datetime | None = None
    error: str | None = None
    fence: int = 0
    lease_until: datetime | None = None
    caution: Caution = Caution()
    busy_s: float = 0.0
    progressed_at: datetime | None = None
    forgiven: int = 0
    revision: int = 1
    parent_id: ImportId | None = None
    idempotency_key: str | None = None

    @property
    def kind(self) -> ImportKind:
        return self.options.kind

    @property
    def is_finished(self) -> bool:
        return self.state in FINISHED

    @property
    def bytes_done(self) -> int:
        return self.bytes_total if self.succeeded else max(min(self.checkpoint.bytes_read, self.bytes_total - 1), 0)

    @property
    def rows_per_s(self) -> float | None:
        """Over all the time that workers were at it. None before the first commit."""
        return self.tally.rows_read / self.busy_s if self.busy_s > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """At the rate of bytes so far; None where that is not known yet, 0 where it is finished."""
        if self.is_finished:
            return 0.0
        if self.bytes_done == 0 or self.busy_s <= 0:
            return None
        return (self.bytes_total - self.bytes_done) * self.busy_s / self.bytes_done

    @property
    def succeeded(self) -> bool:
        return self.state in (ImportState.SUCCEEDED, ImportState.COMPLETED_WITH_ERRORS)

    @property
    def is_refused(self) -> bool:
        """Failed for its file or its options: to resume it is of no use."""
        return self.state is ImportState.FAILED and (self.error or "").endswith(MEND_FIRST)

    @property
    def has_too_many_errors(self) -> bool:
        return self.options.max_errors is not None and self.tally.failed - self.forgiven > self.options.max_errors

    def claimable(self, *, at: datetime) -> bool:
        """Queued, or somebody's whose lease has run out."""
        expired = self.lease_until is None or self.lease_until <= at
        return self.state is ImportState.QUEUED or (self.state in CLAIMED and expired)

    def claimed(self, *, at: datetime, lease: timedelta, chunk_rows: int) -> Self:
        """Running (or still cancelling), under the next fence. Where somebody had it and came to nothing, the chunk
        they may have died on is halved, as `Caution` says; `chunk_rows` is the usual size. Raises WrongState, unless it
        is claimable."""
        if not self.claimable(at=at):
            raise WrongState(f"The import is {self.state}, and cannot be claimed.")
        is_reclaim = self.state in CLAIMED
        return replace(
            self,
            state=self.state if is_reclaim else ImportState.RUNNING,
            started_at=self.started_at or at,
            progressed_at=at,
            fence=self.fence + 1,
            lease_until=at + lease,
            caution=self.caution.after_death(chunk_rows) if is_reclaim else self.caution,
        )

    def begun(self) -> Self:
        """Somebody is about to judge or to write the rows after the checkpoint."""
        return replace(self, caution=self.caution.begun())

    def paused(self) -> Self:
        """Done with that for now."""
        return replace(self, caution=self.caution.paused())

    def advanced(self, rows: Tally, checkpoint: Checkpoint, *, at: datetime) -> Self:
        busy = (at - self.progressed_at).total_seconds() if self.progressed_at else 0.0
        return replace(
            self,
            tally=self.tally + rows,
            checkpoint=replace(checkpoint, bytes_read=max(checkpoint.bytes_read, self.checkpoint.bytes_read)),
            caution=self.caution.after(rows.rows_read),
            busy_s=self.busy_s + max(busy, 0.0),
            progressed_at=at,
        )

    def released(self, *, at: datetime) -> Self:
        """Given back by its worker, for anybody to go on with from the checkpoint; cancelled where that was asked."""
        if self.state is ImportState.CANCELLING:
            return self.stopped(at=at)
        return replace(self, state=ImportState.QUEUED, lease_until=None, caution=self.caution.paused())

    def finished(self, *, at: datetime) -> Self:
        state = ImportState.COMPLETED_WITH_ERRORS if self.tally.failed else ImportState.SUCCEEDED
        return replace(self, state=state, finished_at=at, lease_until=None)

    def failed(self, reason: str, *, at: datetime) -> Self:
        """The job as a whole cannot go on; what was committed stays, and is counted."""
        return replace(self, state=ImportState.FAILED, error=reason, finished_at=at, lease_until=None)

    def refused(self, reason: str, *, at: datetime) -> Self:
        """Failed for its file or its options."""
        return self.failed(f"{reason} {MEND_FIRST}", at=at)

    def cancelled(self, *, at: datetime) -> Self:
        """At once where nobody has it, else as soon as its worker is done with its chunk; itself where that was asked
        before. What was committed stays. Raises WrongState where it has finished."""
        if self.state in (ImportState.CANCELLED, ImportState.CANCELLING):
            return self
        if self.is_finished:
            raise WrongState(f"The import is {self.state}: there is nothing left to cancel.")
        if self.state is ImportState.RUNNING:
            return replace(self, state=ImportState.CANCELLING)
        return self.stopped(at=at)

    def stopped(self, *, at: datetime) -> Self:
        """By its worker, which was asked to cancel."""
        return replace(self, state=ImportState.CANCELLED, finished_at=at, lease_until=None)

    def resumed(self) -> Self:
        """Queued, to go on from its checkpoint, where it was only uploaded, was cancelled or failed; itself where it is
        queued. As many more rows may fail as `max_errors` says. Raises WrongState."""
        if self.state is ImportState.QUEUED:
            return self
        if self.state not in RESUMABLE:
            raise WrongState(f"The import is {self.state}: only one that was cancelled or has failed goes on.")
        return replace(
            self,
            state=ImportState.QUEUED,
            error=None,
            finished_at=None,
            caution=Caution(),
            forgiven=self.tally.failed,
        )

    def require_retriable(self) -> Self:
        """Itself, where it has finished with failed rows. Raises WrongState."""
        if not self.is_finished:
            raise WrongState(f"The import is {self.state}: rows can be tried again once it has finished.")
        if not self.tally.failed:
            raise WrongState("No row of the import failed: there is nothing to try again.")
        return self
