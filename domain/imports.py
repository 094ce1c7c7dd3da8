"""Import jobs: their states, the count of their rows, and the fence that keeps a worker thought dead from writing."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import PurePath
from typing import Self

from domain.errors import WrongState
from domain.ids import ImportId, UserId


class ImportKind(StrEnum):
    USERS = "users"
    POSTS = "posts"


class ImportFormat(StrEnum):
    CSV = "csv"
    NDJSON = "ndjson"

    @classmethod
    def of_file_name(cls, name: str | None) -> Self | None:
        """What the extension says, if it is one of .csv, .ndjson and .jsonl, in any case."""
        extension = PurePath(name or "").suffix.lower()
        return cls(_FORMATS[extension]) if extension in _FORMATS else None


_FORMATS = {".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson"}


class ImportState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    COMPLETED_WITH_ERRORS = "completed_with_errors"
    FAILED = "failed"


ATTEMPTS_MAX = 5

FINISHED = frozenset({ImportState.SUCCEEDED, ImportState.COMPLETED_WITH_ERRORS, ImportState.FAILED})


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of the rows read. The five outcomes add up to `rows_read`."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    skipped: int = 0
    failed: int = 0

    @property
    def rows_read(self) -> int:
        return self.created + self.updated + self.unchanged + self.skipped + self.failed

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.created + other.created,
            self.updated + other.updated,
            self.unchanged + other.unchanged,
            self.skipped + other.skipped,
            self.failed + other.failed,
        )


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where reading goes on: `offset` is the first byte not yet imported, `line` its line, from 1."""

    offset: int = 0
    line: int = 1


@dataclass(frozen=True, slots=True)
class RowError:
    """A row that failed alone. `line` is where it begins, from 1; `row` is the row as it came, secrets masked."""

    line: int
    field: str | None
    code: str
    message: str
    row: Mapping[str, object] | str | None


@dataclass(frozen=True, slots=True)
class ImportJob:
    """`fence` rises with every claim; a transaction of an older fence must commit nothing.

    `file_hash` is the SHA-256 of the file in hex. `bytes_done` never falls; it is `bytes_total` after the last commit.
    `attempts` counts the claims since the checkpoint last advanced, but for those that somebody gave up in good order.
    """

    id: ImportId
    kind: ImportKind
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
    attempts: int = 0

    @property
    def is_finished(self) -> bool:
        return self.state in FINISHED

    @property
    def bytes_done(self) -> int:
        return self.bytes_total if self.succeeded else min(self.checkpoint.offset, self.bytes_total)

    @property
    def succeeded(self) -> bool:
        return self.state in (ImportState.SUCCEEDED, ImportState.COMPLETED_WITH_ERRORS)

    @property
    def is_stuck(self) -> bool:
        """Whoever claimed it before, ATTEMPTS_MAX times, came to nothing and did not say why."""
        return self.attempts > ATTEMPTS_MAX

    def claimable(self, *, at: datetime) -> bool:
        """Queued, or running under a lease that has run out."""
        expired = self.lease_until is None or self.lease_until <= at
        return self.state is ImportState.QUEUED or (self.state is ImportState.RUNNING and expired)

    def claimed(self, *, at: datetime, lease: timedelta) -> Self:
        """Running, under the next fence. Raises WrongState, unless it is claimable."""
        if not self.claimable(at=at):
            raise WrongState(f"The import is {self.state}, and cannot be claimed.")
        return replace(
            self,
            state=ImportState.RUNNING,
            started_at=self.started_at or at,
            fence=self.fence + 1,
            lease_until=at + lease,
            attempts=self.attempts + 1,
        )

    def advanced(self, rows: Tally, checkpoint: Checkpoint) -> Self:
        return replace(self, tally=self.tally + rows, checkpoint=checkpoint, attempts=0)

    def released(self) -> Self:
        """Given back by its worker, for anybody to go on with from the checkpoint."""
        return replace(self.excused(), state=ImportState.QUEUED, lease_until=None)

    def excused(self) -> Self:
        """The claim does not count as an attempt: what ended it is no fault of the file's."""
        return replace(self, attempts=max(self.attempts - 1, 0))

    def finished(self, *, at: datetime) -> Self:
        state = ImportState.COMPLETED_WITH_ERRORS if self.tally.failed else ImportState.SUCCEEDED
        return replace(self, state=state, finished_at=at, lease_until=None)

    def failed(self, reason: str, *, at: datetime) -> Self:
        """The job as a whole cannot go on; what was committed stays, and is counted."""
        return replace(self, state=ImportState.FAILED, error=reason, finished_at=at, lease_until=None)
