"""Imports as they are asked for and as they are shown."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import Field

from domain.imports import ImportFormat, ImportJob, ImportKind, ImportState
from interfaces.http.schemas.fields import Model
from interfaces.http.schemas.lists import listing


class ImportOptions(Model):
    """As far as they are known: the rest of them may follow the file."""

    kind: ImportKind | None = Field(default=None, description="What the rows are; needed, here or in the form")
    format: ImportFormat | None = Field(
        default=None, description="Read off the file's name (.csv, .ndjson, .jsonl) where absent"
    )
    filename: str | None = Field(default=None, max_length=1_000, description="Of a raw body, for its format")

    def merged(self, other: "ImportOptions") -> "ImportOptions":
        return ImportOptions(
            kind=self.kind or other.kind, format=self.format or other.format, filename=self.filename or other.filename
        )


@dataclass(frozen=True, slots=True)
class ImportShown:
    """`rows_read` is the sum of created, updated, unchanged, skipped and failed. `error` tells why all of it failed."""

    id: UUID
    kind: ImportKind
    format: ImportFormat
    state: ImportState
    file_name: str | None
    bytes_total: int
    bytes_done: int
    rows_read: int
    created: int
    updated: int
    unchanged: int
    skipped: int
    failed: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error: str | None

    @classmethod
    def of(cls, job: ImportJob) -> Self:
        return cls(
            id=job.id,
            kind=job.kind,
            format=job.format,
            state=job.state,
            file_name=job.file_name,
            bytes_total=job.bytes_total,
            bytes_done=job.bytes_done,
            rows_read=job.tally.rows_read,
            created=job.tally.created,
            updated=job.tally.updated,
            unchanged=job.tally.unchanged,
            skipped=job.tally.skipped,
            failed=job.tally.failed,
            created_at=job.created_at,
            started_at=job.started_at,
            finished_at=job.finished_at,
            error=job.error,
        )


@dataclass(frozen=True, slots=True)
class RowErrorShown:
    """`line` is where the row begins in the file, from 1; `row` is the row as it came, secrets masked."""

    line: int
    field: str | None
    code: str
    message: str
    row: Mapping[str, object] | str | None


ImportList = listing("ImportList", ImportShown)
RowErrorList = listing("RowErrorList", RowErrorShown)
