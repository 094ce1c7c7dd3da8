"""Rows of an import on their way from the file to the database, and what becomes of those that fail."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Generic, Protocol, TypeVar

from application.ports.formats import Record, RowProblem
from application.ports.work import UnitOfWork
from domain.errors import InvalidValue
from domain.imports import Checkpoint, ImportKind, RowError, Tally

_SECRET = re.compile(r"pass|secret|token", re.IGNORECASE)
_MASK = "***"
_NAME_MAX = 100


@dataclass(frozen=True, slots=True)
class ImportLimits:
    """A chunk, which is written in one transaction, ends at whichever of the first three it reaches first."""

    chunk_rows: int
    chunk_bytes: int
    max_row_bytes: int
    lease: timedelta
    chunk_passwords: int = 64
    """Hashing one takes tens of milliseconds: more of them would leave a chunk without progress for minutes."""


class Draft(Protocol):
    """A row that keeps every rule which can be judged without the database."""

    @property
    def record(self) -> Record: ...

    @property
    def has_password(self) -> bool: ...


SomeDraft = TypeVar("SomeDraft", bound=Draft)


@dataclass(slots=True)
class Outcome:
    """Of drafts that were written: the rest of them failed."""

    created: int = 0
    skipped: int = 0
    errors: list[RowError] = field(default_factory=list)


class RowsOfKind(Protocol[SomeDraft]):
    """What an import does with the rows of its kind."""

    @property
    def kind(self) -> ImportKind: ...

    def draft(self, record: Record) -> SomeDraft:
        """Called in a thread. Raises InvalidValue."""
        ...

    async def prepare(self, drafts: Sequence[SomeDraft]) -> None:
        """What is slow and needs no transaction. It may be called again for the same drafts."""
        ...

    async def write(self, drafts: Sequence[SomeDraft], work: UnitOfWork) -> Outcome:
        """Set-wise, without a commit."""
        ...


@dataclass(frozen=True, slots=True)
class Chunk(Generic[SomeDraft]):
    """Rows to be written in one transaction, up to `next`. `errors` are of those among them that are no drafts."""

    drafts: Sequence[SomeDraft]
    errors: Sequence[RowError]
    next: Checkpoint

    def halves(self) -> tuple["Chunk[SomeDraft]", "Chunk[SomeDraft]"]:
        """Of two drafts or more."""
        middle = len(self.drafts) // 2
        end = self.drafts[middle - 1].record.next
        return (
            Chunk(self.drafts[:middle], [error for error in self.errors if error.line < end.line], end),
            Chunk(self.drafts[middle:], [error for error in self.errors if error.line >= end.line], self.next),
        )

    def failed(self, errors: Iterable[RowError]) -> "Chunk[SomeDraft]":
        """With `errors` in the place of its drafts."""
        return Chunk((), [*self.errors, *errors], self.next)

    def tally(self, outcome: Outcome) -> Tally:
        return Tally(created=outcome.created, skipped=outcome.skipped, failed=len(self.errors) + len(outcome.errors))


def chunks(
    records: Iterable[Record], rows: RowsOfKind[SomeDraft], limits: ImportLimits, *, start: Checkpoint
) -> Iterator[Chunk[SomeDraft]]:
    """Blocking. `start` is where the first record begins."""
    drafts: list[SomeDraft] = []
    errors: list[RowError] = []
    passwords = 0
    end = start
    for record in records:
        if isinstance(record.parsed, RowProblem):
            errors.append(row_error(record, record.parsed, rows.kind))
        else:
            try:
                draft = rows.draft(record)
            except InvalidValue as error:
                errors.append(row_error(record, RowProblem(error.field, error.code, error.message), rows.kind))
            else:
                drafts.append(draft)
                passwords += draft.has_password
        end = record.next
        if (
            len(drafts) + len(errors) >= limits.chunk_rows
            or end.offset - start.offset >= limits.chunk_bytes
            or passwords >= limits.chunk_passwords
        ):
            yield Chunk(drafts, errors, end)
            drafts, errors, passwords, start = [], [], 0, end
    if drafts or errors:
        yield Chunk(drafts, errors, end)


def row_error(record: Record, problem: RowProblem, kind: ImportKind) -> RowError:
    """Texts that came with the file are cut and cleaned where they may be anything."""
    name = problem.field
    if name is not None and (len(name) > _NAME_MAX or not name.isprintable()):
        name = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name[:_NAME_MAX])
    return RowError(record.line, name, problem.code, problem.message, _shown(record.raw, kind))


def _shown(raw: Mapping[str, object] | bytes, kind: ImportKind) -> Mapping[str, object] | str | None:
    """The row as it came, secrets masked; None where it cannot be taken apart and may hold one anywhere."""
    row = raw if isinstance(raw, Mapping) else _json_object(raw)
    if row is not None:
        return {name: _MASK if value and _SECRET.search(name) else value for name, value in row.items()}
    if kind is ImportKind.USERS or not isinstance(raw, bytes):
        return None
    return raw.decode(errors="backslashreplace")


def _json_object(raw: bytes) -> Mapping[str, object] | None:
    try:
        parsed = json.loads(raw, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def _refuse(constant: str) -> None:
    """NaN and the infinities are Python's, and no JSON."""
    raise ValueError(constant)
