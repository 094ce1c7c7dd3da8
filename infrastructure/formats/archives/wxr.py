"""WordPress's export, WXR 1.0 to 1.2 in both spellings of its namespaces: authors, posts and pages; all else is skipped
by name."""

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import BinaryIO
from urllib.parse import unquote

from application.ports.formats import AuthorRow, FileShape, PostRow, Record, RowProblem, RowSkip, UserRow
from domain.errors import InvalidValue
from domain.import_options import ImportKind
from domain.imports import Checkpoint
from domain.posts import ContentFormat, PostStatus, PostType
from infrastructure.formats.archives.autop import paragraphs
from infrastructure.formats.archives.plain import plain_text
from infrastructure.formats.archives.records import (
    UNTITLED,
    ArchiveReading,
    Slugs,
    guarded,
    in_utc,
    one_line,
    record,
    shown,
)
from infrastructure.formats.archives.xml import Damage, Element, Wanted, read_elements
from infrastructure.formats.unpacking import Unpacked

_NAMESPACE = re.compile(
    r"https?://(?:(?:www\.)?wordpress\.org/export/[0-9.]+/(?P<excerpt>excerpt/)?"
    r"|purl\.org/(?:rss/1\.0/modules/(?P<content>content)|(?P<dc>dc)/elements/1\.1)/) (?P<name>.*)",
    re.DOTALL,
)

_TYPES = {"post": PostType.POST, "page": PostType.PAGE, "": PostType.POST}
_TAGS_OF = frozenset({"", "category", "post_tag", "tag"})
_DATED = frozenset({"publish", "private", "future"})
# Thrown away, or never begun: an import brings neither back.
_GONE = frozenset({"trash", "auto-draft"})
_REASON = re.compile(r"[a-z0-9_-]{1,40}")
_REASONS_MAX = 30
_MARKS = re.compile(r"<!--(?:more(?:(?!-->).){0,200}|nextpage|noteaser)-->")


def _name(full: str) -> str:
    """`wp:post_id` of whichever spelling of its namespace."""
    if " " not in full:
        return full
    if not (found := _NAMESPACE.fullmatch(full)):
        return full
    prefix = next((prefix for prefix in ("excerpt", "content", "dc") if found[prefix]), "wp")
    return f"{prefix}:{found['name']}"


_WANTED = Wanted(
    ("rss", "channel"),
    "WordPress export",
    counted="wp:comment",
    dropped=frozenset({"wp:postmeta", "wp:termmeta"}),
    name=_name,
)


def read_wxr(file: BinaryIO, shape: FileShape, *, start: Checkpoint) -> ArchiveReading:
    """A `Reader`. Of posts, each item is a record, and after it each of its comments; of users, each author is."""
    source = Unpacked(file, shape.limits)
    limit = shape.limits.max_row_bytes
    elements = read_elements(source, _WANTED, limit=limit)
    records = _users(elements, limit) if shape.kind is ImportKind.USERS else _Posts(limit).records(elements)
    return ArchiveReading(source, records, start)


def _users(elements: Iterator[Element | Damage], limit: int) -> Iterator[Record]:
    for element in elements:
        if isinstance(element, Damage):
            yield record(element.line, element.end_line, element.problem)
        elif element.name == "wp:author":
            yield guarded(element.line, element.end_line, _user, element, limit)


def _user(element: Element, limit: int) -> Record:
    details = _author(element)
    row = UserRow(details.username, details.email or "", details.display_name or None)
    missing = None if row.email else RowProblem("email", "missing", "It is required.")
    return record(element.line, element.end_line, element.problem(limit) or missing or row, shown(row))


class _Posts:
    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._authors: dict[str, AuthorRow] = {}
        self._source: str | None = None
        self._link = ""
        self._slugs = Slugs()
        self._reasons: set[str] = set()

    def records(self, elements: Iterator[Element | Damage]) -> Iterator[Record]:
        for element in elements:
            if isinstance(element, Damage):
                yield record(element.line, element.end_line, element.problem)
                continue
            match element.name:
                case "item":
                    yield from self._item(element)
                case "wp:author":
                    details = _author(element)
                    self._authors[details.username] = details
                case "link":
                    self._link = self._link or element.text.strip().rstrip("/")
                case "wp:base_blog_url":
                    self._source = element.text.strip().rstrip("/")

    def _item(self, item: Element) -> Iterator[Record]:
        comments = item.counted or ()
        end_line = comments[0] if comments else item.end_line
        yield guarded(item.line, end_line, self._post, item, end_line)
        for number, line in enumerate(comments, 1):
            end_line = comments[number] if number < len(comments) else item.end_line
            yield record(line, end_line, RowSkip("comment"))

    def _post(self, item: Element, end_line: int) -> Record:
        fields = {child.name: child.text for child in reversed(item.children) if child.name != "category"}

        def said(name: str) -> str:
            return fields.get(name, "").strip()

        kind, status = said("wp:post_type"), said("wp:status")
        if kind not in _TYPES and not item.too_long:
            return record(item.line, end_line, RowSkip(self._reason(kind)))
        if status in _GONE:
            return record(item.line, end_line, RowSkip(status))
        author = one_line(fields.get("dc:creator", "")) or None
        published = status in ("publish", "") and not said("wp:post_password")
        site = self._source or self._link
        external_id = said("wp:post_id") or said("guid")
        problem, excerpt = item.problem(self._limit), ""
        try:
            excerpt = plain_text(said("excerpt:encoded"))
        except InvalidValue as error:
            problem = problem or RowProblem("excerpt", error.code, error.message)
        row = PostRow(
            title=one_line(fields.get("title", "")) or UNTITLED,
            author=author,
            content=_content(fields.get("content:encoded", "")),
            content_format=ContentFormat.HTML,
            excerpt=excerpt or None,
            tags=tuple(dict.fromkeys(_tags(item))),
            type=_TYPES.get(kind),
            status=PostStatus.PUBLISHED if published else PostStatus.DRAFT,
            source=f"wordpress:{site}" if site else None,
            external_id=external_id or None,
            details=self._authors.get(author) if author else None,
        )
        if problem is None:
            row.slug = self._slugs.sound(unquote(said("wp:post_name")))
            try:
                row.published_at = _date(said, is_dated=published or status in _DATED)
            except InvalidValue as error:
                problem = RowProblem(error.field, error.code, error.message)
        if problem is not None:
            return record(item.line, end_line, problem, shown(row) | {"published_at": said("wp:post_date")})
        return record(item.line, end_line, row)

    def _reason(self, kind: str) -> str:
        """The type's own name; `custom_type` once there are too many to tell apart."""
        if kind in self._reasons:
            return kind
        if len(self._reasons) >= _REASONS_MAX or not _REASON.fullmatch(kind):
            return "custom_type"
        self._reasons.add(kind)
        return kind


def _author(element: Element) -> AuthorRow:
    return AuthorRow(
        one_line(element.child("wp:author_login")),
        element.child("wp:author_email").strip() or None,
        one_line(element.child("wp:author_display_name")),
    )


def _tags(item: Element) -> Iterator[str]:
    for child in item.children:
        is_tag = child.name == "category" and child.attributes.get("domain", "") in _TAGS_OF
        if is_tag and (tag := one_line(child.text)):
            yield tag


def _date(said: Callable[[str], str], *, is_dated: bool) -> datetime | None:
    """A draft that was never published has none. Without any in GMT, the blog's own clock is taken for UTC: no export
    tells its zone. Raises InvalidValue."""
    given = [(said("wp:post_date_gmt"), _sql_date)]
    if is_dated:
        given += [(said("pubDate"), _mail_date), (said("wp:post_date"), _sql_date)]
    given = [(text, parse) for text, parse in given if text and not text.startswith("0000") and "-0001" not in text]
    for text, parse in given:
        if (at := parse(text)) is not None:
            return at
    if given:
        raise InvalidValue("published_at", f"None of its dates can be read: {given[-1][0][:100]!r}.", code="bad_date")
    return None


def _sql_date(text: str) -> datetime | None:
    try:
        return in_utc(datetime.fromisoformat(text))
    except ValueError:
        return None


def _mail_date(text: str) -> datetime | None:
    try:
        return in_utc(parsedate_to_datetime(text))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _content(html: str) -> str:
    return paragraphs(_MARKS.sub("", html))
