"""What the readers of archives share: records in order, rows as an errors file shows them, slugs that are sound."""

import logging
import re
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import PurePath
from typing import ParamSpec, Protocol

from application.importing.rows import unexpected
from application.ports.formats import PostRow, Record, RowProblem, RowSkip, UserRow
from domain.errors import InvalidValue
from domain.imports import Checkpoint
from domain.posts import Slug
from infrastructure.slugs import slug_words

log = logging.getLogger(__name__)
Given = ParamSpec("Given")

UNTITLED = "Untitled"
"""The title of a post that has none: a post must have one."""

# Control characters, line and paragraph separators, which no title or name may hold.
_BREAKS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


class Source(Protocol):
    """A stored file as decompressed bytes. Where it is cut off or damaged it ends, and `damage` says why."""

    @property
    def bytes_read(self) -> int: ...

    @property
    def damage(self) -> RowProblem | None: ...

    def read(self, size: int, /) -> bytes: ...

    def readline(self, size: int, /) -> bytes: ...


class ArchiveReading:
    """A `Reading` whose checkpoints count records: the archive is parsed from its beginning, and those before `start`
    are passed over."""

    def __init__(self, source: Source, records: Iterable[Record], start: Checkpoint) -> None:
        self._source = source
        self._records = records
        self._start = start
        self._bytes_read = start.bytes_read

    @property
    def bytes_read(self) -> int:
        return self._bytes_read

    def __iter__(self) -> Iterator[Record]:
        passed = self._start.offset
        for number, record in enumerate(self._records, 1):
            if number > passed:
                record.place = record.end = number
                self._bytes_read = max(self._bytes_read, self._source.bytes_read)
                yield record


def record(
    line: int,
    end_line: int,
    parsed: PostRow | UserRow | RowProblem | RowSkip,
    raw: Mapping[str, object] | None = None,
) -> Record:
    """Its place is for `ArchiveReading` to tell. `raw` None: the row's own fields."""
    if raw is None:
        raw = shown(parsed) if isinstance(parsed, PostRow | UserRow) else {}
    return Record(line, 0, 0, end_line, parsed, raw)


def guarded(
    line: int, end_line: int, make: Callable[Given, Record], *args: Given.args, **named: Given.kwargs
) -> Record:
    """What `make` makes of one record; where it fails by a mistake of ours, that record's problem. The log has nothing
    of what the record holds, as the words of an exception may."""
    try:
        return make(*args, **named)
    except Exception as error:
        at = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{PurePath(at.filename).name}:{at.lineno}"
        told = {"line": line, "error": type(error).__name__, "at": where}
        log.error("import_record_failed", extra=told)  # noqa: TRY400 - a trace has the exception's words
        return record(line, end_line, unexpected(error))


_SHOWN: Mapping[type, tuple[str, ...]] = {
    each: tuple(field.name for field in fields(each) if field.repr and field.name != "details")
    for each in (PostRow, UserRow)
}


def shown(row: PostRow | UserRow) -> dict[str, object]:
    """What the row says, by the names that CSV and NDJSON have for it, so that it can be mended and imported as
    those; without secrets."""
    values = {}
    for name in _SHOWN[type(row)]:
        value = getattr(row, name)
        if value is not None:
            values[name] = list(value) if isinstance(value, tuple) else value
    if isinstance(at := values.get("published_at"), datetime):
        values["published_at"] = at.isoformat()
    return values


def in_utc(at: datetime) -> datetime:
    """Where it has no zone of its own."""
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at


def one_line(text: str) -> str:
    """Trimmed, with a space where it breaks the line."""
    return text.strip() if text.isprintable() else _BREAKS.sub(" ", text).strip()


class Slugs:
    """Slugs as an archive has them, made sound: one that cannot be, and one that an earlier row of the archive has,
    is None, and will be made from the title.

    Of each it keeps a digest of 8 bytes, the same in every process, so that an import that is resumed judges alike: 64
    to 90 MB for a million slugs, however long they are. Among a million, two are taken for one once in 37 million
    archives.
    """

    def __init__(self) -> None:
        self._given: set[int] = set()

    def sound(self, slug: str) -> str | None:
        try:
            value = Slug(slug_words(slug)).value
        except InvalidValue:
            return None
        digest = int.from_bytes(blake2b(value.encode(), digest_size=8).digest())
        if digest in self._given:
            return None
        self._given.add(digest)
        return value
