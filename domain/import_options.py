"""What an import is asked to do: with what kind of file, and with which rows of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePath
from typing import Self

from domain.ids import UserId


class ImportKind(StrEnum):
    USERS = "users"
    POSTS = "posts"


class ImportFormat(StrEnum):
    CSV = "csv"
    NDJSON = "ndjson"
    JSON = "json"
    WXR = "wxr"
    GHOST = "ghost"
    STACKEXCHANGE = "stackexchange"

    @classmethod
    def of_file_name(cls, name: str | None) -> Self | None:
        """What the extension says, if it is one of .csv, .tsv, .ndjson, .jsonl and .json, in any case, also before .gz
        or .zst. Others, .xml among them, are told by their content alone."""
        path = PurePath((name or "").lower())
        extension = PurePath(path.stem).suffix if path.suffix in _COMPRESSED else path.suffix
        return cls(_FORMATS[extension]) if extension in _FORMATS else None


ARCHIVES = frozenset({ImportFormat.WXR, ImportFormat.GHOST, ImportFormat.STACKEXCHANGE})
"""They hold posts, so that nobody need say it."""

EACH_A_LINE = frozenset({ImportFormat.CSV, ImportFormat.NDJSON})
"""Each of their records begins a line."""

_FORMATS = {".csv": "csv", ".tsv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson", ".json": "json"}
_COMPRESSED = frozenset({".gz", ".zst", ".zstd"})


class OnConflict(StrEnum):
    """What becomes of a row that is here from before the job."""

    SKIP = "skip"
    UPDATE = "update"
    FAIL = "fail"


class Publish(StrEnum):
    """Which posts are published: those that the file says, none, or all."""

    KEEP = "keep"
    DRAFT = "draft"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """`columns` says which field a name of the file stands for. `default_author` writes the posts that name nobody, and
    those whose author is unknown unless `create_authors`. More than `max_errors` failed rows fail the job; each time
    that it is resumed, it may have as many again.

    A `dry_run` goes the same way and tells the same, and changes nothing.
    """

    kind: ImportKind
    on_conflict: OnConflict = OnConflict.SKIP
    dry_run: bool = False
    create_authors: bool = False
    default_author: UserId | None = None
    max_errors: int | None = None
    publish: Publish = Publish.KEEP
    columns: Mapping[str, str] = field(default_factory=dict)
