"""Posts: what they hold, how they are published, to whom they are shown, who may change them."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Self
from uuid import UUID

from domain.actors import Actor, sees_everything
from domain.errors import InvalidValue, NotAllowed, VersionMismatch
from domain.ids import PostId, UserId
from domain.text import checked, checked_line

TITLE_MAX = 300
SLUG_MAX = 120
CONTENT_MAX = 1_000_000
EXCERPT_MAX = 2_000
TAG_MAX = 60
TAGS_MAX = 100
VIEWS_MAX = 2**62
SOURCE_MAX = 200
EXTERNAL_ID_MAX = 400

EARLIEST = datetime(1000, 1, 1, tzinfo=UTC)
LATEST = datetime(9999, 1, 1, tzinfo=UTC)

SLUG_PATTERN = r"^[a-z0-9]+(?:-[a-z0-9]+)*$"
_SLUG = re.compile(SLUG_PATTERN)
_UUID = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}")
# One more than the last group of a UUID has, so that no slug becomes alike to one by its suffix.
_SUFFIX_DIGITS = 13


class PostStatus(StrEnum):
    DRAFT = "draft"
    PUBLISHED = "published"


class PostType(StrEnum):
    POST = "post"
    PAGE = "page"


class ContentFormat(StrEnum):
    MARKDOWN = "markdown"
    HTML = "html"


@dataclass(frozen=True, slots=True)
class Slug:
    """A post's name in URLs: lower-case ASCII words joined by `-`, 1 to 120 characters, never alike to a UUID.

    Raises InvalidValue.
    """

    value: str

    def __post_init__(self) -> None:
        if len(self.value) > SLUG_MAX or not _SLUG.fullmatch(self.value):
            raise InvalidValue(
                "slug", f"It must be lower-case letters and digits joined by '-', at most {SLUG_MAX}.", code="bad_slug"
            )
        if _UUID.fullmatch(self.value):
            raise InvalidValue("slug", "It must not look like a UUID, which would hide another post.", code="bad_slug")

    @classmethod
    def made_from(cls, words: str, post_id: PostId) -> Self:
        """As `slug_made_from`."""
        return cls(slug_made_from(words, post_id))

    def candidates(self, post_id: PostId) -> Iterator[Self]:
        """The slugs to try in order: itself, `-2` to `-9`, and one with a piece of the id, which nobody else has."""
        yield self
        for suffix in (*map(str, range(2, 10)), post_id.hex[-_SUFFIX_DIGITS:]):
            candidate = replace(self, value=f"{self.value[: SLUG_MAX - len(suffix) - 1].rstrip('-')}-{suffix}")
            if candidate != self:
                yield candidate

    def first_free(self, taken: set[str], post_id: PostId) -> Self:
        """The first candidate that is not in `taken`; the last one where all are."""
        chosen = self
        for chosen in self.candidates(post_id):
            if chosen.value not in taken:
                return chosen
        return chosen

    def __str__(self) -> str:
        return self.value


def post_ref(text: str) -> PostId | Slug:
    """How posts are asked for: an id where it looks like a UUID, else a slug. Raises InvalidValue."""
    if _UUID.fullmatch(text.lower()):
        return PostId(UUID(text))
    return Slug(text)


def slug_made_from(words: str, post_id: PostId) -> str:
    """A slug's value, of a title's ASCII words; where they make none or look like a UUID, `post-…` instead."""
    if len(words) > SLUG_MAX:
        words = words[:SLUG_MAX].strip("-")
    if not words:
        return f"post-{post_id.hex[-_SUFFIX_DIGITS:]}"
    return f"post-{words}"[:SLUG_MAX].strip("-") if _UUID.fullmatch(words) else words


def checked_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Trimmed, without empty and repeated ones, in the order given. Raises InvalidValue."""
    return _checked_tags(tuple(tags))


@lru_cache(maxsize=4096)
def _checked_tags(tags: tuple[str, ...]) -> tuple[str, ...]:
    # Remembered: the posts of an archive have the same few again and again.
    kept = tuple(dict.fromkeys(tag for tag in (checked_line(t, "tags", longest=TAG_MAX) for t in tags) if tag))
    if len(kept) > TAGS_MAX:
        raise InvalidValue("tags", f"There are {len(kept)} tags; at most {TAGS_MAX} are allowed.", code="too_many")
    return kept


def checked_title(title: str) -> str:
    """Trimmed. Raises InvalidValue."""
    return checked_line(title, "title", shortest=1, longest=TITLE_MAX)


def checked_content(content: str) -> str:
    """Raises InvalidValue."""
    return checked(content, "content", longest=CONTENT_MAX)


def checked_excerpt(excerpt: str) -> str:
    """Raises InvalidValue."""
    return checked(excerpt, "excerpt", longest=EXCERPT_MAX)


def checked_instant(value: datetime, field: str) -> datetime:
    """In UTC; one without an offset is taken for UTC. Raises InvalidValue outside the years 1000 to 9998."""
    if value.tzinfo is UTC and EARLIEST.year <= value.year < LATEST.year:
        return value
    try:
        instant = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        instant = LATEST
    if not EARLIEST <= instant < LATEST:
        raise InvalidValue(field, "It must lie in the years 1000 to 9998.", code="out_of_range")
    return instant


def checked_views(views: int) -> int:
    """Raises InvalidValue below 0 and above VIEWS_MAX."""
    if not 0 <= views <= VIEWS_MAX:
        raise InvalidValue("views", f"It must lie between 0 and {VIEWS_MAX}.", code="out_of_range")
    return views


@dataclass(frozen=True, slots=True)
class Writing:
    """What an author writes of a post. Texts are checked here, once. Raises InvalidValue."""

    title: str
    content: str = ""
    content_format: ContentFormat = ContentFormat.MARKDOWN
    excerpt: str | None = None
    tags: tuple[str, ...] = ()
    type: PostType = PostType.POST

    def __post_init__(self) -> None:
        object.__setattr__(self, "title", checked_title(self.title))
        checked_content(self.content)
        if self.excerpt is not None:
            checked_excerpt(self.excerpt)
        object.__setattr__(self, "tags", checked_tags(self.tags))


@dataclass(frozen=True, slots=True)
class Post:
    """A published post has a `published_at`; a draft that was published before keeps its own.

    `source` and `external_id` name the row of an archive that it came from. `version` counts the saves, from 1; the
    repository raises it. Views are counted elsewhere: they are nobody's edit.
    """

    id: PostId
    author_id: UserId
    slug: Slug
    writing: Writing
    created_at: datetime
    updated_at: datetime
    status: PostStatus = PostStatus.DRAFT
    published_at: datetime | None = None
    source: str | None = None
    external_id: str | None = None
    version: int = 1

    @property
    def is_published(self) -> bool:
        return self.status is PostStatus.PUBLISHED

    def visible_to(self, viewer: Actor | None) -> bool:
        return post_visible(self.status, self.author_id, viewer=viewer)

    def require_version(self, expected: int | None) -> Self:
        """Itself, where `expected` is None or its version. Raises VersionMismatch with the current one."""
        if expected is not None and expected != self.version:
            raise VersionMismatch(self.version)
        return self

    def require_changeable(self, *, by: Actor) -> Self:
        """Itself. Raises NotAllowed, unless `by` is the author or an operator."""
        if by.id != self.author_id and not by.is_operator:
            raise NotAllowed("Only the author or an operator may change this post.")
        return self

    def rewritten(self, writing: Writing, *, by: Actor, at: datetime, slug: Slug | None = None) -> Self:
        """The slug stays when the title changes, unless another one is named. Raises NotAllowed."""
        return replace(self.require_changeable(by=by), writing=writing, slug=slug or self.slug, updated_at=at)

    def publish(self, *, by: Actor, at: datetime) -> Self:
        """Itself where it is published already. The first `published_at` stays for good. Raises NotAllowed."""
        self.require_changeable(by=by)
        if self.is_published:
            return self
        return replace(self, status=PostStatus.PUBLISHED, published_at=self.published_at or at, updated_at=at)

    def unpublish(self, *, by: Actor, at: datetime) -> Self:
        """Itself where it is a draft already. Raises NotAllowed."""
        self.require_changeable(by=by)
        return replace(self, status=PostStatus.DRAFT, updated_at=at) if self.is_published else self


def post_visible(status: PostStatus, author_id: UserId, *, viewer: Actor | None) -> bool:
    """Published posts are for all; drafts for their author and for operators."""
    return status is PostStatus.PUBLISHED or sees_everything(viewer) or (viewer is not None and viewer.id == author_id)
