"""Ghost's JSON export, all versions: `{"db": [{"meta", "data"}]}`, `{"meta", "data"}` or `{"data"}`.

It is read twice: users, tags and who has which first, since they come after the posts that need them. So damage
anywhere refuses the file: posts would else lose their authors and tags without a word.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import BinaryIO

import ijson  # type: ignore[import-untyped]
from ijson.common import JSONError, ObjectBuilder  # type: ignore[import-untyped]

from application.ports.formats import AuthorRow, FileShape, PostRow, Record, RowProblem, UserRow
from domain.errors import InvalidValue, TooLarge
from domain.imports import Checkpoint, ImportKind
from domain.posts import ContentFormat, PostStatus, PostType
from infrastructure.formats.archives.lexical import lexical_to_html
from infrastructure.formats.archives.mobiledoc import mobiledoc_to_html
from infrastructure.formats.archives.records import (
    UNTITLED,
    ArchiveReading,
    Slugs,
    Source,
    guarded,
    in_utc,
    one_line,
    record,
    shown,
)
from infrastructure.formats.rows import instant
from infrastructure.formats.unpacking import Unpacked

_PIECE = 64 * 1024
# A text that is longer than a row may be costs its row; past so many times as much memory is at stake.
_TEXT_MAX = 4
_DATA = ("db.item.data.", "data.")
# No row is so deep, or has so long a path.
_DEPTH_MAX = 100
_PATH_MAX = 40
_HERE = "__GHOST_URL__"
_BCRYPT = ("$2a$", "$2b$", "$2y$")

Row = Mapping[str, object]


def read_ghost(file: BinaryIO, shape: FileShape, *, start: Checkpoint) -> ArchiveReading:
    """A `Reader`. Iterating raises InvalidValue where the JSON is broken anywhere."""
    source = Unpacked(file, shape.limits)
    longest = shape.limits.max_row_bytes
    if shape.kind is ImportKind.USERS:
        return ArchiveReading(source, _users(source, longest), start)
    return ArchiveReading(source, _posts(file, source, shape), start)


@dataclass(slots=True)
class _Joined:
    """What posts need of the other tables, by id. `tags_of` and `authors_of` have each with its place in the order."""

    users: dict[str, AuthorRow] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    tags_of: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    authors_of: dict[str, tuple[int, str]] = field(default_factory=dict)

    def add(self, table: str, row: Row) -> None:
        match table:
            case "users":
                self.users[_text(row, "id")] = _author(row)
            case "tags":
                self.tags[_text(row, "id")] = one_line(_text(row, "name"))
            case "posts_tags":
                self.tags_of.setdefault(_text(row, "post_id"), []).append((_place(row), _text(row, "tag_id")))
            case "posts_authors":
                post_id, placed = _text(row, "post_id"), (_place(row), _text(row, "author_id"))
                self.authors_of[post_id] = min(self.authors_of.get(post_id, placed), placed)

    def author(self, post: Row) -> AuthorRow | None:
        """The first of several."""
        _, user_id = self.authors_of.get(_text(post, "id"), (0, ""))
        return self.users.get(user_id) or self.users.get(_text(post, "author_id"))

    def tags_named(self, post: Row) -> tuple[str, ...]:
        """Without internal ones, which begin with `#`: they steer a theme."""
        names = (self.tags.get(tag_id, "") for _, tag_id in sorted(self.tags_of.get(_text(post, "id"), ())))
        return tuple(name for name in dict.fromkeys(names) if name and not name.startswith("#"))


def _posts(file: BinaryIO, source: Source, shape: FileShape) -> Iterator[Record]:
    longest = shape.limits.max_row_bytes
    joined = _Joined()
    for row in _rows(Unpacked(file, shape.limits), {"users", "tags", "posts_tags", "posts_authors"}, longest):
        joined.add(row.table, row.values)
    file.seek(0)
    slugs = Slugs()
    for row in _rows(source, {"posts"}, longest):
        yield guarded(row.line, row.end_line, _post, row, joined, slugs)


def _users(source: Source, longest: int) -> Iterator[Record]:
    for row in _rows(source, {"users"}, longest):
        yield guarded(row.line, row.end_line, _user, row)


def _user(row: "_Row") -> Record:
    details = _author(row.values)
    password = _text(row.values, "password")
    user = UserRow(
        details.username,
        details.email or "",
        details.display_name or None,
        bio=_text(row.values, "bio") or None,
        website=_text(row.values, "website") or None,
        password_hash=password if password.startswith(_BCRYPT) else None,
    )
    missing = None if user.email else RowProblem("email", "missing", "It is required.")
    return record(row.line, row.end_line, row.problem or missing or user, shown(user))


def _post(row: "_Row", joined: _Joined, slugs: Slugs) -> Record:
    post = row.values
    author = joined.author(post)
    uuid = _text(post, "uuid") or _text(post, "id")
    is_page = _text(post, "type") == "page" or post.get("page") in (True, 1)
    is_public = _text(post, "status") == "published" and _text(post, "visibility") in ("", "public")
    problem, content = row.problem, ""
    try:
        content = _content(post)
    except InvalidValue as error:
        problem = RowProblem(error.field, error.code, error.message)
    made = PostRow(
        title=one_line(_text(post, "title")) or UNTITLED,
        author=author.username if author else None,
        content=content,
        content_format=ContentFormat.HTML,
        excerpt=_text(post, "custom_excerpt").strip() or None,
        tags=joined.tags_named(post),
        type=PostType.PAGE if is_page else PostType.POST,
        status=PostStatus.PUBLISHED if is_public else PostStatus.DRAFT,
        # Both kinds of id are random, and no other site's; those of old, which count from 1, belong to their file.
        source="ghost" if len(uuid) >= _RANDOM else None,
        external_id=uuid or None,
        details=author,
    )
    if problem is None:
        made.slug = slugs.sound(_text(post, "slug"))
        try:
            made.published_at = _instant(post.get("published_at"))
        except InvalidValue as error:
            problem = RowProblem(error.field, error.code, error.message)
    if problem is not None:
        raw = shown(made) | {"published_at": _text(post, "published_at")}
        return record(row.line, row.end_line, problem, raw)
    return record(row.line, row.end_line, made)


_RANDOM = 24
"""Digits of an ObjectID; a UUID has more."""


def _content(post: Row) -> str:
    """`html`, else `lexical` or `mobiledoc` reduced to it. Links to the site itself lose its address, which the export
    does not tell, and stay as paths. Raises InvalidValue."""
    html = _text(post, "html")
    if not html and (lexical := _text(post, "lexical")):
        html = lexical_to_html(lexical) or ""
    if not html and (mobiledoc := _text(post, "mobiledoc")):
        html = mobiledoc_to_html(mobiledoc) or ""
    return html.replace(_HERE, "")


def _author(user: Row) -> AuthorRow:
    return AuthorRow(
        one_line(_text(user, "slug") or _text(user, "name")),
        _text(user, "email").strip() or None,
        one_line(_text(user, "name")),
    )


def _instant(value: object) -> datetime | None:
    """Of ISO 8601, or in milliseconds, as the oldest exports have it. Raises InvalidValue."""
    if value is None or value == "":
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return datetime.fromtimestamp(value / 1000, UTC)
        except (ValueError, OverflowError, OSError):
            value = str(value)
    return in_utc(instant(value if isinstance(value, str) else "", "published_at"))


def _text(row: Row, name: str) -> str:
    """Of a text or a number; empty for all else."""
    value = row.get(name)
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def _place(row: Row) -> int:
    place = row.get("sort_order")
    return place if isinstance(place, int) else 0


@dataclass(frozen=True, slots=True)
class _Row:
    """Of a table. `values` is empty where it is a problem."""

    table: str
    line: int
    end_line: int
    values: Row
    problem: RowProblem | None = None


def _rows(source: Source, tables: set[str], longest: int) -> Iterator[_Row]:
    """Those of `tables`, in file order, at most `longest` bytes in memory. Raises InvalidValue, TooLarge."""
    events: Sequence[tuple[str, object]] = ijson.sendable_list()
    parser = ijson.basic_parse_coro(events, use_float=True)
    path = _Path()
    wanted = {f"{data}{table}.item": table for data in _DATA for table in tables}
    building = _Building(wanted, longest)
    line, waiting, has_data = 1, 0, False
    while piece := source.readline(_PIECE):
        try:
            parser.send(piece)
        except (JSONError, UnicodeDecodeError) as error:
            what = (str(error).splitlines() or ["not JSON"])[0][:200]
            raise InvalidValue("file", f"The JSON is broken in line {line}: {what}", code="bad_json") from None
        waiting = 0 if events else waiting + len(piece)
        if waiting > _TEXT_MAX * longest:
            raise TooLarge("A text in the file", limit_bytes=_TEXT_MAX * longest)
        for event, value in events:
            prefix = path.of(event, value)
            has_data = has_data or (event == "start_map" and prefix in ("data", "db.item.data"))
            if (row := building.take(prefix, event, value, line)) is not None:
                yield row
        del events[:]  # type: ignore[attr-defined]
        line += piece.endswith(b"\n")
    if source.damage is not None:
        raise InvalidValue("file", source.damage.message, code=source.damage.code)
    try:
        parser.close()
    except JSONError:
        message = f"The file breaks off in line {line}: a Ghost export is imported as a whole or not at all."
        raise InvalidValue("file", message, code="truncated") from None
    if not has_data:
        raise InvalidValue("file", "It is no Ghost export: it has no data.", code="wrong_format")


class _Path:
    """Where in the JSON each event is, as `ijson.parse` tells it (`data.posts.item`), but cut off past where rows are:
    whole, in JSON that is nested deep, it would take memory by the square of the depth."""

    def __init__(self) -> None:
        self._above: list[str] = []
        self._here = ""

    def of(self, event: str, value: object) -> str:
        """Raises InvalidValue."""
        match event:
            case "map_key":
                self._here = _below(self._above[-1], str(value))
                return self._above[-1]
            case "start_map" | "start_array":
                if len(self._above) == _DEPTH_MAX:
                    raise InvalidValue("file", f"Its JSON is nested deeper than {_DEPTH_MAX}.", code="too_deep")
                here = self._here
                self._above.append(here)
                if event == "start_array":
                    self._here = _below(here, "item")
                return here
            case "end_map" | "end_array":
                # What comes next is below the same array, and so has the same path, or else a key comes first.
                self._here = self._above.pop()
        return self._here


def _below(prefix: str, name: str) -> str:
    return f"{prefix}.{name}"[:_PATH_MAX] if prefix else name[:_PATH_MAX]


class _Building:
    """One row at a time, from the events of its JSON."""

    def __init__(self, wanted: Mapping[str, str], longest: int) -> None:
        self._wanted = wanted
        self._longest = longest
        self._builder: ObjectBuilder | None = None
        self._prefix = ""
        self._line = 1
        self._size = 0

    def take(self, prefix: str, event: str, value: object, line: int) -> _Row | None:
        """The row that ends with this event."""
        if self._builder is None:
            if event != "start_map" or prefix not in self._wanted:
                return None
            self._builder = ObjectBuilder()
            self._prefix, self._line = prefix, line
            self._size = 0
        self._size += len(value) + 10 if isinstance(value, str) else 10
        is_too_long = self._size > self._longest
        if not is_too_long:
            self._builder.event(event, value)
        if event != "end_map" or prefix != self._prefix:
            return None
        built, self._builder = self._builder, None
        table = self._wanted[prefix]
        if is_too_long:
            problem = RowProblem(None, "too_long", f"It is longer than {self._longest} bytes.")
            return _Row(table, self._line, line, {}, problem)
        return _Row(table, self._line, line, built.value)
