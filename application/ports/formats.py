"""Reading import files: bytes to rows of the right types, one record at a time.

Rows and records are made by the million, and are not frozen: that would cost more time than reading them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO, Protocol

from domain.imports import Checkpoint, ImportFormat, ImportKind
from domain.posts import ContentFormat, PostStatus, PostType


@dataclass(slots=True)
class PostRow:
    """`author` is a username or an email address; in CSV, tags are joined by `|`.

    Without a status it is published where it has a `published_at`, else a draft.
    """

    title: str
    author: str
    slug: str | None = None
    content: str = ""
    content_format: ContentFormat = ContentFormat.MARKDOWN
    excerpt: str | None = None
    tags: tuple[str, ...] = ()
    type: PostType = PostType.POST
    status: PostStatus | None = None
    published_at: datetime | None = None
    views: int = 0
    source: str | None = None
    external_id: str | None = None


@dataclass(slots=True)
class UserRow:
    username: str
    email: str
    display_name: str = ""
    bio: str = ""
    website: str | None = None
    role: str = "author"
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class RowProblem:
    field: str | None
    code: str
    message: str


@dataclass(slots=True)
class Record:
    """One record of a file, from `line` (of the text, from 1) to `next`, where the following one begins.

    `parsed` is the row, or why it is none. `raw` is the record as it came: what a row error shows.
    """

    line: int
    next: Checkpoint
    parsed: PostRow | UserRow | RowProblem
    raw: Mapping[str, object] | bytes


class Reader(Protocol):
    def __call__(self, file: BinaryIO, kind: ImportKind, *, start: Checkpoint, max_row_bytes: int) -> Iterator[Record]:
        """Blocking, in bounded memory. A record that cannot be read is a RowProblem, and reading goes on after it.

        Raises InvalidValue when the file as a whole is not of this format (a CSV without the columns it needs).
        """
        ...


class Readers(Protocol):
    def of(self, name: ImportFormat) -> Reader: ...
