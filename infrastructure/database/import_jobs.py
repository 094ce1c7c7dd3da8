"""Import jobs as rows of their table."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from domain.ids import ImportId, UserId
from domain.import_options import ImportFormat, ImportKind, ImportOptions, OnConflict, Publish
from domain.imports import Caution, Checkpoint, ImportJob, ImportState, Tally


def origin_of(job: ImportJob) -> dict[str, object]:
    """What is said of a job when it is made, and never changes."""
    return {
        "id": job.id,
        "kind": job.kind.value,
        "options": _written(job.options),
        "format": job.format.value,
        "blob_key": job.blob_key,
        "file_name": None if job.file_name is None else storable(job.file_name),
        "file_hash": job.file_hash,
        "bytes_total": job.bytes_total,
        "created_by": job.created_by,
        "created_at": job.created_at,
        "parent_id": job.parent_id,
        "idempotency_key": None if job.idempotency_key is None else storable(job.idempotency_key),
    }


def state_of(job: ImportJob) -> dict[str, object]:
    """What others than its worker change too."""
    return {
        "state": job.state.value,
        "error": None if job.error is None else storable(job.error),
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "lease_until": job.lease_until,
        "forgiven": job.forgiven,
        **caution_of(job),
        "progressed_at": job.progressed_at,
    }


def progress_of(job: ImportJob) -> dict[str, object]:
    """What its worker changes with every chunk."""
    tally = job.tally
    return {
        "created": tally.created,
        "updated": tally.updated,
        "unchanged": tally.unchanged,
        "skipped": tally.skipped,
        "failed": tally.failed,
        "authors_created": tally.authors_created,
        "reasons": dict(tally.reasons),
        "next_offset": job.checkpoint.offset,
        "next_line": job.checkpoint.line,
        "bytes_read": job.checkpoint.bytes_read,
        **caution_of(job),
        "busy_s": job.busy_s,
        "progressed_at": job.progressed_at,
    }


def caution_of(job: ImportJob) -> dict[str, object]:
    caution = job.caution
    return {
        "caution_chunk_rows": caution.chunk_rows,
        "caution_rows": caution.rows,
        "caution_deaths": caution.deaths,
        "caution_began": caution.has_begun,
        "caution_early_deaths": caution.early_deaths,
    }


def job_of(row: Row[Any]) -> ImportJob:
    return ImportJob(
        id=ImportId(row.id),
        options=_options(ImportKind(row.kind), row.options),
        format=ImportFormat(row.format),
        blob_key=row.blob_key,
        file_name=row.file_name,
        file_hash=row.file_hash,
        bytes_total=row.bytes_total,
        created_by=None if row.created_by is None else UserId(row.created_by),
        created_at=row.created_at,
        state=ImportState(row.state),
        tally=Tally(row.created, row.updated, row.unchanged, row.skipped, row.failed, row.authors_created, row.reasons),
        checkpoint=Checkpoint(row.next_offset, row.next_line, row.bytes_read),
        started_at=row.started_at,
        finished_at=row.finished_at,
        error=row.error,
        fence=row.fence,
        lease_until=row.lease_until,
        caution=Caution(
            row.caution_chunk_rows,
            row.caution_rows,
            row.caution_deaths,
            row.caution_began,
            row.caution_early_deaths,
        ),
        busy_s=row.busy_s,
        progressed_at=row.progressed_at,
        forgiven=row.forgiven,
        revision=row.revision,
        parent_id=None if row.parent_id is None else ImportId(row.parent_id),
        idempotency_key=row.idempotency_key,
    )


def storable(words: str) -> str:
    """NUL and lone surrogates written as escapes: PostgreSQL's text can hold neither."""
    return words.encode(errors="backslashreplace").decode().replace("\x00", "\\x00")


def _written(options: ImportOptions) -> dict[str, object]:
    """As JSON. The kind has a column of its own, by which jobs are listed."""
    return {
        "on_conflict": options.on_conflict.value,
        "dry_run": options.dry_run,
        "create_authors": options.create_authors,
        "default_author": None if options.default_author is None else str(options.default_author),
        "max_errors": options.max_errors,
        "publish": options.publish.value,
        "columns": {storable(name): storable(field) for name, field in options.columns.items()},
    }


def _options(kind: ImportKind, written: Mapping[str, Any]) -> ImportOptions:
    author = written["default_author"]
    return ImportOptions(
        kind,
        OnConflict(written["on_conflict"]),
        written["dry_run"],
        written["create_authors"],
        None if author is None else UserId(UUID(author)),
        written["max_errors"],
        Publish(written["publish"]),
        written["columns"],
    )
