"""Rows of an import on their way from the file to the database, in chunks."""

import logging
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import blake2b
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID, SafeUUID

from application.importing.row_errors import row_error
from application.ports.formats import Reading, ReadLimits, Record, RowProblem, RowSkip
from application.ports.work import UnitOfWork
from domain.errors import InvalidValue
from domain.ids import ImportId
from domain.import_options import ImportKind
from domain.imports import Checkpoint, ImportJob, RowError, Tally

log = logging.getLogger(__name__)

_LOW_32 = 2**32 - 1
# So many rows that are not wanted end a chunk too, so that its job is seen to move, and can be stopped.
_PASSED_MAX = 50_000


@dataclass(frozen=True, slots=True)
class ImportLimits:
    """A chunk, which is written in one transaction, ends at whichever of the first three it reaches first.

    `share` is how much of the time an import may be at it, 1 for all of it: the rest of it others have the machine.
    """

    chunk_rows: int
    chunk_bytes: int
    reading: ReadLimits
    lease: timedelta
    share: float = 1.0
    chunk_passwords: int = 64
    """Hashing one takes tens of milliseconds: more of them would leave a chunk without progress for minutes."""


class Draft(Protocol):
    """A row that keeps every rule which can be judged without the database."""

    @property
    def record(self) -> Record: ...

    @property
    def size(self) -> int:
        """Of its texts, in characters or so."""
        ...

    @property
    def has_password(self) -> bool: ...


SomeDraft = TypeVar("SomeDraft", bound=Draft)
Sight = TypeVar("Sight")
SomePlan = TypeVar("SomePlan", bound="Plan")


@dataclass(slots=True)
class Met:
    """What a job has made, or would have in a dry run, or has met: another row of it that names that is a duplicate.

    `keys` are pairs of source and external id, `logins` usernames and email addresses in lower case, `ids` those of
    posts or users that were here before.
    """

    keys: set[tuple[str, str]] = field(default_factory=set)
    slugs: set[str] = field(default_factory=set)
    logins: set[str] = field(default_factory=set)
    ids: set[UUID] = field(default_factory=set)

    def add(self, other: "Met") -> None:
        self.keys |= other.keys
        self.slugs |= other.slugs
        self.logins |= other.logins
        self.ids |= other.ids

    def with_all_of(self, other: "Met") -> "Met":
        """One of them itself, where the other is empty."""
        if not (other.keys or other.slugs or other.logins or other.ids):
            return self
        return Met(self.keys | other.keys, self.slugs | other.slugs, self.logins | other.logins, self.ids | other.ids)

    def marks(self) -> set[bytes]:
        """What they are remembered by, with the job."""
        return {
            *(_mark("key", *key) for key in self.keys),
            *(_mark("slug", slug) for slug in self.slugs),
            *(_mark("login", login) for login in self.logins),
            *(_mark("id", each.hex) for each in self.ids),
        }

    async def remembered(self, job_id: ImportId, work: UnitOfWork) -> "Met":
        """Those of them that the job remembers."""
        marks = self.marks()
        if not marks:
            return Met()
        known = await work.imports.marks_among(job_id, marks)
        return Met(
            {key for key in self.keys if _mark("key", *key) in known},
            {slug for slug in self.slugs if _mark("slug", slug) in known},
            {login for login in self.logins if _mark("login", login) in known},
            {each for each in self.ids if _mark("id", each.hex) in known},
        )


def _mark(*parts: str) -> bytes:
    return blake2b("\0".join(parts).encode(errors="surrogatepass"), digest_size=16).digest()


@dataclass(slots=True)
class Outcome:
    """Of drafts that were written. `made` was not there when others looked before; `met` was, and others shall not meet
    it again."""

    tally: Tally = field(default_factory=Tally)
    errors: Sequence[RowError] = ()
    made: Met = field(default_factory=Met)
    met: Met = field(default_factory=Met)
    touched: set[str] = field(default_factory=set)
    """The tags of what is to be forgotten of it."""


class Plan(Protocol):
    """What becomes of drafts, judged by what was stored when somebody looked."""

    @property
    def makes(self) -> Met | None:
        """What the job will have made and met by it; None where only writing it tells."""
        ...


class RowsOfKind(Protocol[SomeDraft, Sight, SomePlan]):
    """What an import does with the rows of its kind: its steps, from a record on."""

    @property
    def kind(self) -> ImportKind: ...

    def draft(self, record: Record) -> SomeDraft:
        """Called in a thread. Raises InvalidValue."""
        ...

    def names(self, drafts: Sequence[SomeDraft]) -> Any:
        """Called in a thread: what `look` looks up."""
        ...

    async def look(self, drafts: Sequence[SomeDraft], names: Any, work: UnitOfWork) -> Sight:
        """What is stored that the drafts meet with."""
        ...

    async def prepare(self, drafts: Sequence[SomeDraft], sight: Sight) -> None:
        """What is slow, whatever the row says, and needs no transaction. Raises Busy."""
        ...

    def plan(self, drafts: Sequence[SomeDraft], sight: Sight, since: Met) -> SomePlan:
        """Called in a thread. `since` is what this job has made by the time of the writing, and not by that of the
        look. Raises Conflict where it was too much for the look to hold."""
        ...

    async def write(self, plan: SomePlan, work: UnitOfWork) -> Outcome:
        """Set-wise, without a commit. Raises Conflict, UserNotFound where the look was too old: nothing of the
        transaction may be committed then."""
        ...


@dataclass(frozen=True, slots=True)
class Chunk(Generic[SomeDraft]):
    """Rows to be written in one transaction, up to `next`. `errors` are of those that are no drafts, and `skips` the
    places and reasons of those that are not imported by rule."""

    drafts: Sequence[SomeDraft]
    errors: Sequence[RowError]
    skips: Sequence[tuple[int, str]]
    next: Checkpoint

    def halves(self) -> tuple["Chunk[SomeDraft]", "Chunk[SomeDraft]"]:
        """Of two drafts or more."""
        middle = len(self.drafts) // 2
        last = self.drafts[middle - 1].record
        # How much of the file the first half took is not known: nothing that was not done is said to be.
        end = Checkpoint(last.end, last.end_line)
        return (
            Chunk(
                self.drafts[:middle],
                [error for error in self.errors if error.place <= last.place],
                [skip for skip in self.skips if skip[0] <= last.place],
                end,
            ),
            Chunk(
                self.drafts[middle:],
                [error for error in self.errors if error.place > last.place],
                [skip for skip in self.skips if skip[0] > last.place],
                self.next,
            ),
        )

    def failed(self, problem: RowProblem, kind: ImportKind) -> "Chunk[SomeDraft]":
        """With errors in the place of its drafts."""
        errors = [row_error(draft.record, problem, kind) for draft in self.drafts]
        return Chunk((), [*self.errors, *errors], self.skips, self.next)

    def tally(self, outcome: Outcome) -> Tally:
        """Of all of its rows."""
        reasons: dict[str, int] = {}
        for _, reason in self.skips:
            reasons[reason] = reasons.get(reason, 0) + 1
        failed = len(self.errors) + len(outcome.errors)
        return outcome.tally + Tally(skipped=len(self.skips), failed=failed, reasons=reasons)


class Places:
    """Of rows, rising, in eight bytes each: there may be millions."""

    def __init__(self) -> None:
        self._places = array("Q")

    @property
    def last(self) -> int:
        """0 where there are none."""
        return self._places[-1] if self._places else 0

    def add(self, places: Sequence[int]) -> None:
        """Those after the last one."""
        self._places.extend(places)

    def __contains__(self, place: int) -> bool:
        at = bisect_left(self._places, place)
        return at < len(self._places) and self._places[at] == place


@dataclass(slots=True)
class Chunks(Generic[SomeDraft]):
    """The rest of a file in chunks of `rows_max`, and before each with rows the first record of it, which is not judged
    yet. Blocking.

    `only`: the places of the rows that are wanted, of others nothing is told. `quarantined`: the first row is passed
    over, for workers died on it.
    """

    reading: Reading
    rows: RowsOfKind[SomeDraft, Any, Any]
    limits: ImportLimits
    rows_max: int
    only: Places | None = None
    quarantined: bool = False

    def __iter__(self) -> Iterator[Record | Chunk[SomeDraft]]:
        limits, kind, rows_max, only, judged = self.limits, self.rows.kind, self.rows_max, self.only, self._judged
        drafts: list[SomeDraft] = []
        errors: list[RowError] = []
        skips: list[tuple[int, str]] = []
        passwords = count = size = passed = 0
        last = None
        last_wanted = only.last if only is not None else None
        for record in self.reading:
            if only is not None and record.place not in only:
                if last_wanted is not None and record.place > last_wanted:
                    break
                passed += 1
                if passed >= _PASSED_MAX:
                    yield Chunk(drafts, errors, skips, self._after(record))
                    drafts, errors, skips = [], [], []
                    passwords = count = size = passed = 0
                    last = None
                continue
            if not count:
                yield record
            last = record
            count += 1
            verdict = judged(record)
            if isinstance(verdict, RowProblem):
                errors.append(row_error(record, verdict, kind))
                size += len(str(errors[-1].row))
            elif isinstance(verdict, RowSkip):
                skips.append((record.place, verdict.reason))
            else:
                drafts.append(verdict)
                size += verdict.size
                passwords += verdict.has_password
            if count >= rows_max or size >= limits.chunk_bytes or passwords >= limits.chunk_passwords:
                yield Chunk(drafts, errors, skips, self._after(record))
                drafts, errors, skips = [], [], []
                passwords = count = size = passed = 0
                last = None
        if last is not None:
            yield Chunk(drafts, errors, skips, self._after(last))

    def _judged(self, record: Record) -> SomeDraft | RowProblem | RowSkip:
        if self.quarantined:
            self.quarantined = False
            return _QUARANTINED
        if isinstance(record.parsed, (RowProblem, RowSkip)):
            return record.parsed
        try:
            return self.rows.draft(record)
        except InvalidValue as error:
            return RowProblem(error.field, error.code, error.message)
        except Exception as error:
            log.exception("import_row_failed", extra={"line": record.line})
            return unexpected(error)

    def _after(self, record: Record) -> Checkpoint:
        return Checkpoint(record.end, record.end_line, self.reading.bytes_read)


_QUARANTINED = RowProblem(
    None, "quarantined", "Workers died three times while they had this row alone: it was passed over."
)


def unexpected(error: BaseException) -> RowProblem:
    """A mistake of ours that this row brings out; its words may be anything, and are not for clients."""
    return RowProblem(None, "unexpected", f"It cannot be imported ({type(error).__name__}); see the worker's log.")


# What UUID() does, without its checks: those take as long as reading a row.
_new, _set = UUID.__new__, object.__setattr__


class RowIds:
    """UUIDv7s (RFC 9562, with a counter) of a job's creation and a row's place: a row that is written again by another
    worker has the id that it had, and ids rise with places. Its last 13 digits are no other row's of the job."""

    def __init__(self, job: ImportJob) -> None:
        milliseconds = int(job.created_at.timestamp() * 1000)
        self._base = (milliseconds & (2**48 - 1)) << 80 | 7 << 76 | 2 << 62
        self._salt = job.id.int & _LOW_32

    def __call__(self, place: int) -> UUID:
        low = (place * 0x9E3779B1 + self._salt) & _LOW_32
        made = _new(UUID)
        high = place << 32 if place < 2**30 else (place >> 30 & 0xFFF) << 64 | (place & 0x3FFF_FFFF) << 32
        _set(made, "int", self._base | high | low)
        _set(made, "is_safe", SafeUUID.unknown)
        return made


EXISTS = "exists"
"""Why a row is skipped that is here from before the job."""
