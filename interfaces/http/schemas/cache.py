"""The cache, what it is warmed with, and what it is to forget."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, model_validator

from application.cache_control import Forgettable
from domain.errors import InvalidValue
from domain.ids import UserId
from domain.posts import SLUG_MAX, SLUG_PATTERN, post_ref
from domain.warmings import Ending, Warming, WarmingReason, WarmingReport, WarmingState
from interfaces.http.schemas.fields import Model, rule
from interfaces.http.schemas.lists import listing

NAMED_MAX = 100


def _post_ref(text: str) -> str:
    """Raises InvalidValue."""
    post_ref(text)
    return text


# UUIDs are of that pattern too.
PostRef = Annotated[str, *rule(_post_ref, pattern=SLUG_PATTERN, maxLength=SLUG_MAX)]


class ForgetBody(Model):
    """`all`, or some posts and users. An empty body, or none, is all; an empty list is a mistake."""

    all: bool | None = Field(default=None, description="Every page")
    posts: tuple[PostRef, ...] = Field(
        default=(),
        max_length=NAMED_MAX,
        description="Ids or slugs: every page that shows them; all pages where one is gone",
    )
    users: tuple[UUID, ...] = Field(
        default=(),
        max_length=NAMED_MAX,
        description="Ids: every page that shows them; all pages where one has posts or is gone",
    )

    @model_validator(mode="after")
    def _all_or_some(self) -> Self:
        for name in ("posts", "users"):
            if name in self.model_fields_set and not getattr(self, name):
                raise InvalidValue(name, "Name one at least, or leave it out.", code="too_short")
        some = bool(self.posts or self.users)
        if self.all is not None and self.all == some:
            raise InvalidValue("all", "Say true, or name posts or users instead.", code="conflict")
        return self

    def named(self) -> Forgettable:
        return Forgettable(tuple(map(post_ref, self.posts)), tuple(map(UserId, self.users)))


@dataclass(frozen=True, slots=True)
class ForgottenShown:
    """`tags` name what was forgotten: `all`, `post:<id>`, `user:<id>`, `posts` (the lists of posts), …"""

    tags: list[str]


@dataclass(frozen=True, slots=True)
class CacheShown:
    """Figures by name, which may change from one version to the next: `shared` of the cache that all processes share,
    `connected` 0 while it is away; `process` of the process that answers."""

    shared: Mapping[str, int | float | str]
    process: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class WarmingReportShown:
    """Of `asked` pages, `loaded` were not there and `gone` are no more. `ended` is `done`, or why it ended before:
    `budget` (it has had its pages or its time), `busy` (the database was), `away` (the shared cache or the database
    was), `cancelled` (its worker was stopped)."""

    asked: int
    loaded: int
    already_there: int
    gone: int
    took_s: float
    ended: Ending

    @classmethod
    def of(cls, report: WarmingReport) -> Self:
        return cls(report.asked, report.loaded, report.already_there, report.gone, report.took_s, report.ended)


@dataclass(frozen=True, slots=True)
class WarmingShown:
    """It is over when `finished_at` is not null; then `report` tells what it did, unless a defect ended it."""

    id: UUID
    reason: WarmingReason
    state: WarmingState
    requested_at: datetime
    finished_at: datetime | None
    report: WarmingReportShown | None

    @classmethod
    def of(cls, warming: Warming) -> Self:
        report = None if warming.report is None else WarmingReportShown.of(warming.report)
        return cls(warming.id, warming.reason, warming.state, warming.requested_at, warming.finished_at, report)


WarmingList = listing("WarmingList", WarmingShown)
