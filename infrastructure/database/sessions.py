"""Sign-in sessions and their refresh tokens."""

from datetime import datetime

from sqlalchemy import delete, exists, insert, select, update

from domain.errors import InvalidToken
from domain.ids import SessionId, UserId
from domain.sessions import RefreshToken, Session
from infrastructure.database.tables import refresh_tokens, sessions
from infrastructure.database.transaction import Transaction


class SqlSessions:
    def __init__(self, transaction: Transaction) -> None:
        self._tx = transaction

    async def add(self, session: Session) -> None:
        await self._tx.execute(
            insert(sessions).values(
                id=session.id,
                user_id=session.user_id,
                created_at=session.created_at,
                revoked_at=session.revoked_at,
            )
        )

    async def lock(self, session_id: SessionId) -> Session:
        locked = select(sessions).where(sessions.c.id == session_id).with_for_update(key_share=True)
        row = (await self._tx.execute(locked)).first()
        if row is None:
            raise InvalidToken
        return Session(SessionId(row.id), UserId(row.user_id), row.created_at, row.revoked_at)

    async def revoke(self, session_id: SessionId, *, at: datetime) -> None:
        await self._tx.execute(
            update(sessions).where(sessions.c.id == session_id, sessions.c.revoked_at.is_(None)).values(revoked_at=at)
        )

    async def revoke_of(self, user_id: UserId, *, at: datetime) -> None:
        await self._tx.execute(
            update(sessions).where(sessions.c.user_id == user_id, sessions.c.revoked_at.is_(None)).values(revoked_at=at)
        )

    async def add_token(self, token: RefreshToken) -> None:
        await self._tx.execute(
            insert(refresh_tokens).values(
                digest=token.digest,
                session_id=token.session_id,
                issued_at=token.issued_at,
                expires_at=token.expires_at,
                used_at=token.used_at,
            )
        )

    async def find_token(self, digest: bytes) -> RefreshToken | None:
        found = await self._tx.execute(select(refresh_tokens).where(refresh_tokens.c.digest == digest))
        row = found.first()
        if row is None:
            return None
        return RefreshToken(row.digest, SessionId(row.session_id), row.issued_at, row.expires_at, row.used_at)

    async def mark_used(self, token: RefreshToken) -> None:
        await self._tx.execute(
            update(refresh_tokens).where(refresh_tokens.c.digest == token.digest).values(used_at=token.used_at)
        )

    async def delete_expired(self, *, before: datetime, limit: int) -> int:
        lives = exists().where(refresh_tokens.c.session_id == sessions.c.id, refresh_tokens.c.expires_at > before)
        expired = (
            select(sessions.c.id).where(~lives).order_by(sessions.c.id).limit(limit).with_for_update(skip_locked=True)
        )
        return (await self._tx.execute(delete(sessions).where(sessions.c.id.in_(expired)))).rowcount
