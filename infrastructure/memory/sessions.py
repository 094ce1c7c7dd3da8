"""Sign-in sessions and their refresh tokens in memory."""

from collections.abc import Iterable
from datetime import datetime
from itertools import islice

from domain.errors import InvalidToken, UserNotFound
from domain.ids import SessionId, UserId
from domain.sessions import RefreshToken, Session
from infrastructure.memory.transaction import Transaction


class MemorySessions:
    def __init__(self, transaction: Transaction) -> None:
        self._tx = transaction

    async def add(self, session: Session) -> None:
        await self._tx.statement()
        if not await self._tx.users.refer(session.user_id):
            raise self._tx.refused(UserNotFound(session.user_id))
        self._tx.sessions.put(session.id, session)

    async def lock(self, session_id: SessionId) -> Session:
        await self._tx.statement()
        session = await self._tx.sessions.lock(session_id)
        if session is None:
            raise InvalidToken
        return session

    async def revoke(self, session_id: SessionId, *, at: datetime) -> None:
        await self._tx.statement()
        await self._revoke([session_id], at=at)

    async def revoke_of(self, user_id: UserId, *, at: datetime) -> None:
        await self._tx.statement()
        await self._revoke(sorted(s.id for s in self._tx.sessions.values() if s.user_id == user_id), at=at)

    async def add_token(self, token: RefreshToken) -> None:
        await self._tx.statement()
        if not await self._tx.sessions.refer(token.session_id):
            raise self._tx.refused(InvalidToken())
        self._tx.tokens.put(token.digest, token)

    async def find_token(self, digest: bytes) -> RefreshToken | None:
        await self._tx.statement()
        return self._tx.tokens.find(digest)

    async def mark_used(self, token: RefreshToken) -> None:
        await self._tx.statement()
        if await self._tx.tokens.lock(token.digest) is not None:
            self._tx.tokens.put(token.digest, token)

    async def delete_expired(self, *, before: datetime, limit: int) -> int:
        await self._tx.statement()
        living = {token.session_id for token in self._tx.tokens.values() if token.expires_at > before}
        expired = sorted(session.id for session in self._tx.sessions.values() if session.id not in living)
        unlocked = list(islice((key for key in expired if self._tx.sessions.try_lock(key)), limit))
        await forget_sessions(self._tx, unlocked)
        return len(unlocked)

    async def _revoke(self, session_ids: Iterable[SessionId], *, at: datetime) -> None:
        for session_id in session_ids:
            session = await self._tx.sessions.lock(session_id)
            if session is not None:
                self._tx.sessions.put(session_id, session.revoked(at=at))


async def forget_sessions(transaction: Transaction, session_ids: Iterable[SessionId]) -> None:
    """With their tokens."""
    for session_id in session_ids:
        await transaction.sessions.remove(session_id)
        for token in [token for token in transaction.tokens.latest_values() if token.session_id == session_id]:
            await transaction.tokens.remove(token.digest)
