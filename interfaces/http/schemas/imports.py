"""Imports as they are asked for and as they are shown."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import AfterValidator, Field

from application.imports import RetryOptions
from application.ports.formats import PostRow, UserRow
from domain.errors import InvalidValue
from domain.import_options import ARCHIVES, ImportFormat, ImportKind, ImportOptions, OnConflict, Publish
from domain.imports import ImportJob, ImportState, RowError
from domain.text import checked_line
from domain.users import EMAIL_MAX
from interfaces.http.schemas.fields import Model, rule, text
from interfaces.http.schemas.lists import listing

COLUMN_MAX = 500
COLUMNS_MAX = 64
REPEATABLE_OPTIONS = frozenset({"map"})
_FIELDS: Mapping[ImportKind, frozenset[str]] = {
    ImportKind.POSTS: frozenset(field.name for field in fields(PostRow)) - {"details"},
    ImportKind.USERS: frozenset(field.name for field in fields(UserRow)),
}


def _renaming(value: str) -> str:
    """Without blanks around the names. Raises InvalidValue."""
    old, _, new = (part.strip() for part in checked_line(value, "map", longest=COLUMN_MAX).rpartition("="))
    if not old:
        raise InvalidValue(
            "map", "It must be a name of the file, =, and the field it stands for, or nothing.", code="malformed"
        )
    return f"{old}={new}"


Renaming = Annotated[str, AfterValidator(_renaming), Field(json_schema_extra={"pattern": "^.+=[a-z_]*$"})]
DefaultAuthor = Annotated[str, *rule(text("default_author", EMAIL_MAX, 1), minLength=1, maxLength=EMAIL_MAX)]


class UploadOptions(Model):
    """What is said of a file, in the query, in the form, or some in each: the query counts where both say something."""

    kind: ImportKind | None = Field(
        default=None, description="What the rows are. Needed, unless `format` names an archive: those hold posts"
    )
    format: ImportFormat | None = Field(default=None, description="Told by the content where absent")
    filename: str | None = Field(default=None, max_length=1_000, description="Of a raw body")
    on_conflict: OnConflict = Field(
        default=OnConflict.SKIP, description="What becomes of a row that is here from before the job"
    )
    dry_run: bool = Field(default=False, description="Go the same way and tell the same, and change nothing")
    create_authors: bool = Field(default=False, description="Of posts whose author is unknown")
    default_author: DefaultAuthor | None = Field(
        default=None,
        description="Username, email address or id of who writes posts that name nobody, or nobody known",
    )
    max_errors: int | None = Field(default=None, ge=0, lt=2**31, description="More failed rows than these fail the job")
    publish: Publish = Field(
        default=Publish.KEEP, description="Posts as the file says, all as drafts, or all published"
    )
    map: tuple[Renaming, ...] = Field(
        default=(),
        max_length=COLUMNS_MAX,
        description="`old=new`: the field that a name of the file stands for, nothing to leave it out; once for each",
    )
    start: bool = Field(default=True, description="`false` leaves the job `uploaded`, until it is resumed")

    def over(self, others: "UploadOptions") -> "UploadOptions":
        """Both, and these where both say something."""
        said = others.model_dump(exclude_unset=True) | self.model_dump(exclude_unset=True)
        return UploadOptions.model_construct(_fields_set=set(said), **said)

    def for_import(self) -> ImportOptions:
        """Raises InvalidValue."""
        kind = self.kind or (ImportKind.POSTS if self.format in ARCHIVES else None)
        if kind is None:
            raise InvalidValue("kind", "Say kind=users or kind=posts, in the query or in the form.", code="required")
        return ImportOptions(
            kind=kind,
            on_conflict=self.on_conflict,
            dry_run=self.dry_run,
            create_authors=self.create_authors,
            max_errors=self.max_errors,
            publish=self.publish,
            columns=_columns(self.map, kind),
        )


def _columns(renamings: tuple[str, ...], kind: ImportKind) -> dict[str, str]:
    """Raises InvalidValue."""
    columns: dict[str, str] = {}
    for old, _, new in (renaming.rpartition("=") for renaming in renamings):
        if new and new not in _FIELDS[kind]:
            known = ", ".join(sorted(_FIELDS[kind]))
            raise InvalidValue("map", f"There is no field {new!r}. Those of {kind} are: {known}.", code="unknown_field")
        if old in columns:
            raise InvalidValue("map", f"It says twice what {old!r} stands for.", code="repeated")
        columns[old] = new
    return columns


class RetryBody(Model):
    """What is done otherwise than by the import before; what is absent or null is done as it did."""

    on_conflict: OnConflict | None = None
    dry_run: bool | None = None
    create_authors: bool | None = None
    default_author: DefaultAuthor | None = None
    publish: Publish | None = None

    def options(self) -> RetryOptions:
        return RetryOptions(**self.model_dump())


@dataclass(frozen=True, slots=True)
class ImportOptionsShown:
    """`default_author` is the id of a user; `map` says which field a name of the file stands for, if any."""

    on_conflict: OnConflict
    dry_run: bool
    create_authors: bool
    default_author: UUID | None
    max_errors: int | None
    publish: Publish
    map: Mapping[str, str]

    @classmethod
    def of(cls, options: ImportOptions) -> Self:
        return cls(
            on_conflict=options.on_conflict,
            dry_run=options.dry_run,
            create_authors=options.create_authors,
            default_author=options.default_author,
            max_errors=options.max_errors,
            publish=options.publish,
            map=dict(options.columns),
        )


@dataclass(frozen=True, slots=True)
class ImportShown:
    """`rows_read` is the sum of created, updated, unchanged, skipped and failed; `skipped_because` counts the skipped
    by reason. `bytes_done` never falls, and is `bytes_total` only after the last commit. `rows_per_s` and
    `seconds_left` are null while nothing can be said yet.

    `error` tells why all of it failed. `parent_id` is the import whose failed rows this one tries again. `revision`
    rises with every change.
    """

    id: UUID
    kind: ImportKind
    format: ImportFormat
    state: ImportState
    options: ImportOptionsShown
    file_name: str | None
    bytes_total: int
    bytes_done: int
    rows_read: int
    rows_per_s: float | None
    seconds_left: float | None
    created: int
    updated: int
    unchanged: int
    skipped: int
    skipped_because: Mapping[str, int]
    failed: int
    authors_created: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error: str | None
    parent_id: UUID | None
    revision: int

    @classmethod
    def of(cls, job: ImportJob) -> Self:
        tally = job.tally
        return cls(
            id=job.id,
            kind=job.kind,
            format=job.format,
            state=job.state,
            options=ImportOptionsShown.of(job.options),
            file_name=job.file_name,
            bytes_total=job.bytes_total,
            bytes_done=job.bytes_done,
            rows_read=tally.rows_read,
            rows_per_s=_rounded(job.rows_per_s),
            seconds_left=_rounded(job.seconds_left),
            created=tally.created,
            updated=tally.updated,
            unchanged=tally.unchanged,
            skipped=tally.skipped,
            skipped_because=dict(sorted(tally.reasons.items())),
            failed=tally.failed,
            authors_created=tally.authors_created,
            created_at=job.created_at,
            started_at=job.started_at,
            finished_at=job.finished_at,
            error=job.error,
            parent_id=job.parent_id,
            revision=job.revision,
        )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


@dataclass(frozen=True, slots=True)
class RowErrorShown:
    """`line` is where the row begins in the file, from 1; `place` names it within the file: its line where each row
    begins one, else its number. `row` is the row as it came, secrets masked."""

    line: int
    place: int
    field: str | None
    code: str
    message: str
    row: Mapping[str, object] | str | None

    @classmethod
    def of(cls, error: RowError) -> Self:
        return cls(error.line, error.place, error.field, error.code, error.message, error.row)


ImportList = listing("ImportList", ImportShown)
RowErrorList = listing("RowErrorList", RowErrorShown)
