"""Warmings of the cache: asked for, done by a worker, and reported."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Self

from domain.ids import WarmingId


class WarmingReason(StrEnum):
    START = "start"
    IMPORT = "import"
    SCHEDULE = "schedule"
    REQUEST = "request"


class WarmingState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Ending(StrEnum):
    """Why a warming ended. `away`: the shared cache was, or the database."""

    DONE = "done"
    BUDGET = "budget"
    BUSY = "busy"
    AWAY = "away"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class WarmingReport:
    """Of `asked` pages some were `loaded` and some `already_there`; `gone` are those that were read once and are no
    more. A page that the warming ended over is none of these."""

    asked: int
    loaded: int
    already_there: int
    gone: int
    took_s: float
    ended: Ending


@dataclass(frozen=True, slots=True)
class Warming:
    """Whoever claims it has until `claimed_until`; then it may be claimed again. `report` is None where a defect ended
    it."""

    id: WarmingId
    reason: WarmingReason
    requested_at: datetime
    state: WarmingState = WarmingState.QUEUED
    claimed_until: datetime | None = None
    finished_at: datetime | None = None
    report: WarmingReport | None = None

    @property
    def is_finished(self) -> bool:
        return self.finished_at is not None

    def runs(self, *, at: datetime) -> bool:
        """Whether a claim of it stands."""
        is_running = self.state is WarmingState.RUNNING
        return is_running and self.claimed_until is not None and self.claimed_until > at

    def claimable(self, *, at: datetime) -> bool:
        return not self.is_finished and not self.runs(at=at)

    def claimed(self, *, until: datetime) -> Self:
        return replace(self, state=WarmingState.RUNNING, claimed_until=until)

    def finished(self, report: WarmingReport | None, *, at: datetime) -> Self:
        """Failed where it ended before its work and its budget did."""
        has_succeeded = report is not None and report.ended in (Ending.DONE, Ending.BUDGET)
        state = WarmingState.DONE if has_succeeded else WarmingState.FAILED
        return replace(self, state=state, finished_at=at, report=report)
