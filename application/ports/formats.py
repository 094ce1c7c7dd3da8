"""Reading import files: bytes to rows of the right types, one record at a time.

Rows and records are made by the million, and are not frozen: that would cost more time than reading them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO, Protocol

from domain.errors import InvalidValue
from domain.import_options import ImportFormat, ImportKind
from domain.imports import Checkpoint, RowError
from domain.posts import ContentFormat, PostStatus, PostType


class TooCompressed(InvalidValue):
    """A file grows beyond its limit as it is decompressed; as other limits, this one may be raised."""

    def __init__(self, *, max_ratio: int) -> None:
        super().__init__(
            "file",
            f"It grows to more than {max_ratio} times its size as it is decompressed, which is the limit.",
            code="too_compressed",
        )


@dataclass(slots=True)
class AuthorRow:
    """What an archive says of an author, for `create_authors`."""

    username: str
    email: str | None = None
    display_name: str = ""


@dataclass(slots=True)
class PostRow:
    """None stands for what the file does not say; an update leaves that as it is.

    `author` is a username or an email address, or any other name that an archive has for them; in CSV, tags are joined
    by `|`. A new post without a status is published where it has a `published_at`, else a draft.
    """

    title: str
    author: str | None = None
    slug: str | None = None
    content: str | None = None
    content_format: ContentFormat | None = None
    excerpt: str | None = None
    tags: tuple[str, ...] | None = None
    type: PostType | None = None
    status: PostStatus | None = None
    published_at: datetime | None = None
    views: int | None = None
    source: str | None = None
    external_id: str | None = None
    details: AuthorRow | None = None
    """Of its author; never a column."""


@dataclass(slots=True)
class UserRow:
    """`password_hash` is one of argon2 or bcrypt, in its usual form."""

    username: str
    email: str
    display_name: str | None = None
    bio: str | None = None
    website: str | None = None
    role: str | None = None
    password: str | None = field(default=None, repr=False)
    password_hash: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class RowProblem:
    """Why a record is no row: it fails alone."""

    field: str | None
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class RowSkip:
    """A record that is read and counted, and by rule not imported: `reason` names the rule (a `comment`)."""

    reason: str


@dataclass(slots=True)
class Record:
    """One record of a file, which begins in `line` (from 1) of the decompressed text.

    `place` names it within its file, and rises: its line where each record begins a line of its own, else its number,
    from 1. The record after it is at (`end`, `end_line`), a checkpoint's `offset` and `line`.

    `parsed` is the row, or why it is none. `raw` is the record as it came: what a row error shows. A span of damage is
    one record, whose problem says where reading went on.
    """

    line: int
    place: int
    end: int
    end_line: int
    parsed: PostRow | UserRow | RowProblem | RowSkip
    raw: Mapping[str, object] | bytes


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """`max_row_bytes` of one record, and of one field. `max_text_bytes` of a file once it is decompressed, and
    `max_ratio` of that to the file itself (beyond the first MiB of text)."""

    max_row_bytes: int
    max_text_bytes: int = 2**40
    max_ratio: int = 1_000


@dataclass(frozen=True, slots=True)
class FileShape:
    """What a reader must know of a file. `columns` says which field a name of the file stands for."""

    kind: ImportKind
    limits: ReadLimits
    columns: Mapping[str, str] = field(default_factory=dict)


class Reading(Protocol):
    """The records of a file from a checkpoint on. Blocking, in bounded memory.

    A record that cannot be read is a RowProblem, and reading goes on after it. Iterating raises InvalidValue when the
    file as a whole is not of this format (a CSV without the columns it needs), and TooLarge past the limits of `shape`.
    """

    def __iter__(self) -> Iterator[Record]: ...

    @property
    def bytes_read(self) -> int:
        """How much of the stored file the records so far took; it never falls."""
        ...


class Reader(Protocol):
    """Of one format."""

    def __call__(self, file: BinaryIO, shape: FileShape, *, start: Checkpoint) -> Reading:
        """`file` is seekable; gzip and zstd are looked through. `start` is a checkpoint of the same file and format."""
        ...


class ErrorWriter(Protocol):
    """Rows that failed, as a file with `line field code message row` that can be mended and imported."""

    @property
    def head(self) -> bytes:
        """What the file begins with."""
        ...

    def __call__(self, errors: Sequence[RowError]) -> bytes: ...


class Formats(Protocol):
    def recognise(self, file: BinaryIO, *, file_name: str | None, limits: ReadLimits) -> ImportFormat:
        """By the beginning of the file, compressed or not, and by its name only where that leaves it open. Blocking.

        Raises InvalidValue for what is no format that is known or cannot be decompressed, TooLarge for what is seen to
        grow past the limits.
        """
        ...

    def reader(self, name: ImportFormat) -> Reader: ...

    def error_writer(self, name: ImportFormat) -> ErrorWriter:
        """Of CSV or NDJSON. Its files are recognised as that, and read as the rows that they hold."""
        ...
