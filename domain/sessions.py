"""Sign-in sessions: a family of refresh tokens, each good for one use, after RFC 9700 (section 4.14, rotation)."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Self

from domain.errors import InvalidToken, TokenReused
from domain.ids import SessionId, UserId


@dataclass(frozen=True, slots=True)
class Session:
    """A sign-in and every refresh token that came of it."""

    id: SessionId
    user_id: UserId
    created_at: datetime
    revoked_at: datetime | None = None

    def revoked(self, *, at: datetime) -> Self:
        return self if self.revoked_at else replace(self, revoked_at=at)

    def require_live(self) -> None:
        """Raises InvalidToken once it was revoked."""
        if self.revoked_at:
            raise InvalidToken


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """Known by its digest alone; the token itself is only ever in its owner's hands."""

    digest: bytes = field(repr=False)
    session_id: SessionId
    issued_at: datetime
    expires_at: datetime
    used_at: datetime | None = None

    def used(self, *, at: datetime, grace: timedelta) -> Self:
        """After its first use it is good for `grace` more, for a client whose answer was lost.

        Raises InvalidToken once it has expired, TokenReused after the grace: then the session must be revoked.
        """
        if self.used_at and at > self.used_at + grace:
            raise TokenReused
        if at >= self.expires_at:
            raise InvalidToken
        return self if self.used_at else replace(self, used_at=at)
