"""Ghost's JSON export, all versions: `{"db": [{"meta", "data"}]}`, `{"meta", "data"}` or `{"data"}`.

It is read twice: users, tags and who has which first, since they come after the posts that need them. So damage
anywhere refuses the file: posts would else lose their authors and tags without a word.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import BinaryIO

from application.ports.formats import AuthorRow, FileShape, PostRow, Record, RowProblem, UserRow
from domain.errors import InvalidValue
from domain.import_options import ImportKind
from domain.imports import Checkpoint
from domain.posts import ContentFormat, PostStatus, PostType
from infrastructure.formats.archives.ghost_tables import Row, TableRow, table_rows
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

_HERE = "__GHOST_URL__"
_BCRYPT = ("$2a$", "$2b$", "$2y$")


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
    for row in table_rows(Unpacked(file, shape.limits), {"users", "tags", "posts_tags", "posts_authors"}, longest):
        joined.add(row.table, row.values)
    file.seek(0)
    slugs = Slugs()
    for row in table_rows(source, {"posts"}, longest):
        yield guarded(row.line, row.end_line, _post, row, joined, slugs)


def _users(source: Source, longest: int) -> Iterator[Record]:
    for row in table_rows(source, {"users"}, longest):
        yield guarded(row.line, row.end_line, _user, row)


def _user(row: TableRow) -> Record:
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


def _post(row: TableRow, joined: _Joined, slugs: Slugs) -> Record:
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
