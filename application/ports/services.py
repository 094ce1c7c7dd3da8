"""Clock, ids, passwords, tokens, stored files, wake-ups."""

from collections.abc import AsyncIterable
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Protocol
from uuid import UUID

from domain.actors import Actor
from domain.ids import SessionId, UserId


class Clock(Protocol):
    def now(self) -> datetime:
        """In UTC."""
        ...


class Ids(Protocol):
    def next(self) -> UUID:
        """A UUIDv7 (RFC 9562) that was never given before; of one process, each is greater than the last."""
        ...


class Slugger(Protocol):
    def __call__(self, title: str) -> str:
        """The title's words in lower-case ASCII joined by `-`, whatever its script; empty where there are none."""
        ...


class HtmlCleaner(Protocol):
    def __call__(self, html: str) -> str:
        """Without scripts, styles, event handlers and all else that could act in a reader's browser. Raises
        InvalidValue for what is nested too deeply to be cleaned."""
        ...


class PasswordHasher(Protocol):
    """Slow by purpose; never on the event loop. Raises Busy when too many wait."""

    async def hash(self, password: str) -> str: ...

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """False for None, after as long as a wrong password takes."""
        ...

    def is_outdated(self, password_hash: str) -> bool:
        """Whether it was made otherwise than one is today: by another algorithm or under other parameters."""
        ...


@dataclass(frozen=True, slots=True)
class AccessClaims:
    user_id: UserId
    session_id: SessionId


class TokenIssuer(Protocol):
    def issue(self, claims: AccessClaims, *, at: datetime, expires_at: datetime) -> str: ...

    def read(self, token: str, *, at: datetime) -> AccessClaims:
        """Raises InvalidToken."""
        ...

    def new_secret(self) -> str:
        """256 random bits, for a refresh token."""
        ...

    def digest(self, secret: str) -> bytes:
        """Of 32 bytes; what is stored of a secret."""
        ...


class Actors(Protocol):
    async def find(self, user_id: UserId) -> Actor | None:
        """None where the user is gone or deactivated. One narrow statement, outside any unit of work."""
        ...


@dataclass(frozen=True, slots=True)
class Blob:
    """A stored file: its size in bytes and its SHA-256 in hex."""

    key: str
    size: int
    sha256: str


class BlobStorage(Protocol):
    async def write(self, key: str, chunks: AsyncIterable[bytes], *, limit: int) -> Blob:
        """All of it, durably, or nothing. Raises TooLarge past `limit` bytes, StorageFull."""
        ...

    def open(self, key: str) -> BinaryIO:
        """For reading, seekable, blocking. Raises BlobNotFound."""
        ...

    async def delete(self, key: str) -> None:
        """Nothing where it is gone already."""
        ...

    async def older_than(self, instant: datetime) -> list[str]:
        """The keys of files that were written before `instant`."""
        ...

    async def drop_unfinished(self, before: datetime) -> int:
        """Of writes that broke off with their process, what is left and was last touched before `before`; how many."""
        ...


class JobQueue(Protocol):
    """Carries wake-ups, which may be lost or repeated: the truth about a job is in its table."""

    async def wake(self, topic: str, key: str) -> None:
        """Raises Unavailable."""
        ...


class HealthProbe(Protocol):
    async def database(self) -> str | None:
        """What is wrong with it, None when it answers."""
        ...

    async def migrations(self) -> str | None:
        """What is wrong, None when the schema is at the newest revision that this code knows."""
        ...

    async def redis(self) -> str | None: ...
