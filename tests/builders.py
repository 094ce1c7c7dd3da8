"""What tests are made of: entities that are right in all that a test does not name, a clock and ids that repeat."""

from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID

from application.ports.imports import ImportedPost
from application.ports.work import Message
from domain.accounts import Account, Money
from domain.actors import Actor, Role
from domain.ids import AccountId, ImportId, MessageId, PostId, SessionId, UserId, WarmingId
from domain.import_options import ImportFormat, ImportKind, ImportOptions
from domain.imports import ImportJob
from domain.posts import ContentFormat, Post, PostStatus, PostType, Slug, Writing
from domain.sessions import RefreshToken, Session
from domain.users import EmailAddress, Profile, User, Username
from domain.warmings import Warming, WarmingReason

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


class FixedClock:
    """Stands still unless it is advanced."""

    def __init__(self, at: datetime = NOON) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def advance(self, by: timedelta) -> datetime:
        self.at += by
        return self.at


class CountingIds:
    """UUIDv7s (RFC 9562, 5.7) of one instant, counting up from `start`."""

    def __init__(self, start: int = 1, *, at: datetime = NOON) -> None:
        self._numbers = count(start)
        self._milliseconds = int(at.timestamp() * 1000)

    def next(self) -> UUID:
        high, low = divmod(next(self._numbers), 2**62)
        return UUID(int=self._milliseconds << 80 | 7 << 76 | high << 64 | 2 << 62 | low)


_ids = CountingIds()
_numbers = count(1)


def an_actor(role: Role = Role.AUTHOR) -> Actor:
    return Actor(UserId(_ids.next()), role)


def a_profile(display_name: str = "Ann Author", *, bio: str = "", website: str | None = None) -> Profile:
    return Profile(display_name, bio, website=website)


def a_user(
    username: str | None = None,
    *,
    email: str | None = "",
    role: Role = Role.AUTHOR,
    is_active: bool = True,
    profile: Profile | None = None,
    password_hash: str | None = None,
    created_at: datetime = NOON,
    user_id: UserId | None = None,
) -> User:
    """`email` "" stands for one made of the username."""
    name = username or f"user-{next(_numbers)}"
    address = f"{name.lower()}@example.com" if email == "" else email
    return User(
        id=user_id or UserId(_ids.next()),
        username=Username(name),
        email=None if address is None else EmailAddress(address),
        role=role,
        created_at=created_at,
        updated_at=created_at,
        profile=profile or Profile(display_name=name.title()),
        password_hash=password_hash,
        is_active=is_active,
    )


def an_account(owner: User, *, balance: int = 0, currency: str = "EUR") -> Account:
    return Account(AccountId(_ids.next()), owner.id, Money(balance, currency), owner.created_at)


def a_writing(
    title: str = "A title",
    *,
    content: str = "Words.",
    content_format: ContentFormat = ContentFormat.MARKDOWN,
    excerpt: str | None = None,
    tags: tuple[str, ...] = (),
    type: PostType = PostType.POST,  # noqa: A002 -- the field's name
) -> Writing:
    return Writing(title, content, content_format, excerpt, tags, type)


def a_post(
    title: str = "A title",
    *,
    author: UserId | None = None,
    slug: str | None = None,
    writing: Writing | None = None,
    published_at: datetime | None = None,
    status: PostStatus | None = None,
    created_at: datetime = NOON,
    source: str | None = None,
    external_id: str | None = None,
) -> Post:
    """A draft, or published where `published_at` or `status` says so."""
    if status is PostStatus.PUBLISHED:
        published_at = published_at or NOON
    return Post(
        id=PostId(_ids.next()),
        author_id=author or UserId(_ids.next()),
        slug=Slug(slug or f"a-slug-{next(_numbers)}"),
        writing=writing or a_writing(title),
        created_at=created_at,
        updated_at=created_at,
        status=status or (PostStatus.PUBLISHED if published_at else PostStatus.DRAFT),
        published_at=published_at,
        source=source,
        external_id=external_id,
    )


def imported(post: Post, views: int = 0) -> ImportedPost:
    """`post` as an import adds it; at `post.created_at`, that is."""
    writing = post.writing
    return ImportedPost(
        id=post.id,
        author_id=post.author_id,
        slug=post.slug.value,
        title=writing.title,
        content=writing.content,
        content_format=writing.content_format,
        excerpt=writing.excerpt,
        tags=writing.tags,
        type=writing.type,
        status=post.status,
        published_at=post.published_at,
        source=post.source,
        external_id=post.external_id,
        views=views,
    )


def a_session(user: User, *, created_at: datetime = NOON) -> Session:
    return Session(SessionId(_ids.next()), user.id, created_at)


def a_token(session: Session, *, issued_at: datetime = NOON, lifetime: timedelta = timedelta(days=1)) -> RefreshToken:
    return RefreshToken(_ids.next().bytes * 2, session.id, issued_at, issued_at + lifetime)


def a_job(
    *,
    kind: ImportKind = ImportKind.POSTS,
    format: ImportFormat = ImportFormat.NDJSON,  # noqa: A002 -- the field's name
    bytes_total: int = 1_000,
    created_by: UserId | None = None,
    created_at: datetime = NOON,
) -> ImportJob:
    import_id = ImportId(_ids.next())
    return ImportJob(
        id=import_id,
        options=ImportOptions(kind),
        format=format,
        blob_key=f"imports/{import_id}",
        file_name="archive.ndjson",
        file_hash="0" * 64,
        bytes_total=bytes_total,
        created_by=created_by,
        created_at=created_at,
    )


def a_message(topic: str = "a.topic", *, body: dict[str, object] | None = None, created_at: datetime = NOON) -> Message:
    return Message(MessageId(_ids.next()), topic, body or {}, created_at)


def a_warming(*, reason: WarmingReason = WarmingReason.REQUEST, requested_at: datetime = NOON) -> Warming:
    return Warming(WarmingId(_ids.next()), reason, requested_at)
