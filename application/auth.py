"""Signing in, staying signed in, signing out. Refresh tokens rotate at every use (RFC 9700, 4.14)."""

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

from application.caching.tags import of_user_change
from application.ports.services import AccessClaims, Actors, Clock, Ids, PasswordHasher, TokenIssuer
from application.ports.work import BeginWork
from domain.actors import Actor
from domain.errors import BadCredentials, InvalidToken, TokenReused, UserNotFound
from domain.ids import SessionId
from domain.sessions import RefreshToken, Session
from domain.users import User


@dataclass(frozen=True, slots=True)
class TokenPair:
    """`expires_in` is the access token's lifetime in seconds."""

    access_token: str
    refresh_token: str
    expires_in: int
    token_type: str = "bearer"  # noqa: S105 -- the scheme's name (RFC 6750)


@dataclass(frozen=True, slots=True)
class IssueTokens:
    """The tokens of a session, and the refresh token's record to be kept."""

    tokens: TokenIssuer
    clock: Clock
    access_ttl: timedelta
    refresh_ttl: timedelta

    def __call__(self, session: Session) -> tuple[TokenPair, RefreshToken]:
        now = self.clock.now()
        secret = self.tokens.new_secret()
        access = self.tokens.issue(AccessClaims(session.user_id, session.id), at=now, expires_at=now + self.access_ttl)
        kept = RefreshToken(self.tokens.digest(secret), session.id, now, now + self.refresh_ttl)
        return TokenPair(access, secret, int(self.access_ttl.total_seconds())), kept


@dataclass(frozen=True, slots=True)
class SignIn:
    """Raises BadCredentials, alike and after alike time for an unknown user, a wrong password, a deactivated user.

    A password that is replaced while it is verified opens no session that would outlive its replacement.
    """

    begin: BeginWork
    hasher: PasswordHasher
    issue: IssueTokens
    clock: Clock
    ids: Ids

    async def __call__(self, login: str, password: str) -> TokenPair:
        while True:
            user = await self._verified(login, password)
            renewed = await self._renewed(user, password)
            with suppress(UserNotFound):
                async with self.begin() as work:
                    stored = await work.users.lock(user.id)
                    if (stored.password_hash, stored.is_active) != (user.password_hash, user.is_active):
                        continue
                    session = Session(SessionId(self.ids.next()), user.id, self.clock.now())
                    pair, token = self.issue(session)
                    await work.sessions.add(session)
                    await work.sessions.add_token(token)
                    if renewed is not None:
                        await work.users.save(replace(stored, password_hash=renewed))
                        work.forget(of_user_change(user.id))
                    await work.commit()
                return pair

    async def _verified(self, login: str, password: str) -> User:
        async with self.begin() as work:
            user = await work.users.find_by_login(login)
        matches = await self.hasher.verify(password, user.password_hash if user else None)
        if user is None or not matches or not user.is_active:
            raise BadCredentials
        return user

    async def _renewed(self, user: User, password: str) -> str | None:
        """The password's hash as it is made today, where the one that is stored was made otherwise."""
        is_outdated = user.password_hash is not None and self.hasher.is_outdated(user.password_hash)
        return await self.hasher.hash(password) if is_outdated else None


@dataclass(frozen=True, slots=True)
class Refresh:
    """A new pair for a refresh token. One that comes back after its grace revokes the session: it was stolen, or its
    thief was. Raises InvalidToken, TokenReused."""

    begin: BeginWork
    issue: IssueTokens
    tokens: TokenIssuer
    clock: Clock
    grace: timedelta

    async def __call__(self, refresh_token: str) -> TokenPair:
        digest = self.tokens.digest(refresh_token)
        async with self.begin() as work:
            known = await work.sessions.find_token(digest)
            if known is None:
                raise InvalidToken
            session = await work.sessions.lock(known.session_id)
            session.require_live()
            token = await work.sessions.find_token(digest)
            if token is None:
                raise InvalidToken
            try:
                used = token.used(at=self.clock.now(), grace=self.grace)
            except TokenReused:
                await work.sessions.revoke(session.id, at=self.clock.now())
                await work.commit()
                raise
            if not (await work.users.get(session.user_id)).is_active:
                raise InvalidToken
            pair, renewed = self.issue(session)
            await work.sessions.mark_used(used)
            await work.sessions.add_token(renewed)
            await work.commit()
        return pair


@dataclass(frozen=True, slots=True)
class SignOut:
    """Revokes the session of a refresh token. An unknown one is no error: it is signed out already (RFC 7009, 2.2)."""

    begin: BeginWork
    tokens: TokenIssuer
    clock: Clock

    async def __call__(self, refresh_token: str) -> None:
        async with self.begin() as work:
            token = await work.sessions.find_token(self.tokens.digest(refresh_token))
            if token is not None:
                await work.sessions.revoke(token.session_id, at=self.clock.now())
                await work.commit()


@dataclass(frozen=True, slots=True)
class Authenticate:
    """Who an access token speaks for. The user is looked up, so that deactivation and a new role bite at once.

    Raises InvalidToken.
    """

    tokens: TokenIssuer
    actors: Actors
    clock: Clock

    async def __call__(self, access_token: str) -> Actor:
        claims = self.tokens.read(access_token, at=self.clock.now())
        actor = await self.actors.find(claims.user_id)
        if actor is None:
            raise InvalidToken
        return actor


@dataclass(frozen=True, slots=True)
class SweepSessions:
    """Forgets sessions whose last token has expired, a batch at a time."""

    begin: BeginWork
    clock: Clock
    batch: int = 1_000

    async def __call__(self) -> int:
        """How many were forgotten."""
        swept = 0
        while True:
            async with self.begin() as work:
                gone = await work.sessions.delete_expired(before=self.clock.now(), limit=self.batch)
                await work.commit()
            swept += gone
            if gone < self.batch:
                return swept
