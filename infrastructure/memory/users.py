"""Users in memory."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from application.ports.repositories import Stored
from domain.accounts import Account
from domain.actors import Role
from domain.errors import Conflict, EmailTaken, StaleVersion, UserHasPosts, UsernameTaken, UserNotFound
from domain.ids import ImportId, UserId
from domain.users import User
from infrastructure.memory.accounts import MemoryAccounts
from infrastructure.memory.sessions import forget_sessions
from infrastructure.memory.tables import StoredUser
from infrastructure.memory.transaction import Transaction


class MemoryUsers:
    def __init__(self, transaction: Transaction) -> None:
        self._tx = transaction

    async def get(self, user_id: UserId) -> User:
        await self._tx.statement()
        stored = self._tx.users.find(user_id)
        if stored is None:
            raise UserNotFound(user_id)
        return stored.user

    async def lock(self, user_id: UserId) -> User:
        await self._tx.statement()
        stored = await self._tx.users.lock(user_id)
        if stored is None:
            raise UserNotFound(user_id)
        return stored.user

    async def find_by_login(self, login: str) -> User | None:
        await self._tx.statement()
        found = self._find(login.lower())
        return found.user if found else None

    async def lock_active_admins(self) -> list[UserId]:
        await self._tx.statement()
        admins = sorted(stored.user.id for stored in self._tx.users.values() if _is_active_admin(stored))
        locked = [await self._tx.users.lock(user_id) for user_id in admins]
        return [stored.user.id for stored in locked if stored is not None and _is_active_admin(stored)]

    async def add(self, user: User) -> None:
        await self._tx.statement()
        await self._add(user, origin=None)

    async def save(self, user: User) -> User:
        await self._tx.statement()
        stored = await self._tx.users.lock(user.id)
        if stored is None or stored.user.version != user.version:
            raise StaleVersion(stored.user.version if stored else None)
        before = stored.user
        if user.username.folded != before.username.folded:
            await self._tx.usernames.remove(before.username.folded)
            await self._claim_username(user)
        if user.email != before.email:
            if before.email is not None:
                await self._tx.emails.remove(before.email.value)
            await self._claim_email(user)
        saved = replace(user, version=user.version + 1)
        self._tx.users.put(user.id, replace(stored, user=saved))
        return saved

    async def delete(self, user_id: UserId) -> None:
        await self._tx.statement()
        stored = await self._tx.users.remove(user_id)
        if stored is None:
            return
        if self._tx.account_owners.latest(user_id) is not None:
            raise self._tx.refused(Conflict("The user has an account."))
        if any(post.post.author_id == user_id for post in self._tx.posts.latest_values()):
            raise self._tx.refused(UserHasPosts())
        await self._tx.usernames.remove(stored.user.username.folded)
        if stored.user.email is not None:
            await self._tx.emails.remove(stored.user.email.value)
        await forget_sessions(self._tx, [s.id for s in self._tx.sessions.latest_values() if s.user_id == user_id])
        for job in [job for job in self._tx.imports.latest_values() if job.created_by == user_id]:
            await self._tx.imports.lock(job.id)
            self._tx.imports.put(job.id, replace(job, created_by=None))

    async def stored_by_login(self, logins: Collection[str]) -> dict[str, Stored[UserId]]:
        await self._tx.statement()
        found = {login: self._find(login) for login in logins}
        return {login: Stored(stored.user.id, stored.origin) for login, stored in found.items() if stored is not None}

    async def lock_many(self, user_ids: Collection[UserId]) -> list[User]:
        await self._tx.statement()
        locked = [await self._tx.users.lock(user_id) for user_id in sorted(set(user_ids))]
        return [stored.user for stored in locked if stored is not None]

    async def save_profiles(self, users: Sequence[User]) -> None:
        await self._tx.statement()
        for user in users:
            stored = await self._tx.users.lock(user.id)
            if stored is not None:
                before = stored.user
                saved = replace(before, profile=user.profile, updated_at=user.updated_at, version=before.version + 1)
                self._tx.users.put(user.id, replace(stored, user=saved))

    async def add_many(self, users: Sequence[User], accounts: Sequence[Account], *, origin: ImportId) -> None:
        await self._tx.statement()
        for user in users:
            await self._add(user, origin=origin)
        kept = MemoryAccounts(self._tx)
        for account in accounts:
            await kept.add(account)

    def _find(self, folded: str) -> StoredUser | None:
        user_id = self._tx.emails.find(folded) if "@" in folded else self._tx.usernames.find(folded)
        return None if user_id is None else self._tx.users.find(user_id)

    async def _add(self, user: User, *, origin: ImportId | None) -> None:
        await self._claim_username(user)
        await self._claim_email(user)
        self._tx.users.put(user.id, StoredUser(user, origin))

    async def _claim_username(self, user: User) -> None:
        if not await self._tx.usernames.claim(user.username.folded, user.id):
            raise self._tx.refused(UsernameTaken(user.username.value))

    async def _claim_email(self, user: User) -> None:
        if user.email is not None and not await self._tx.emails.claim(user.email.value, user.id):
            raise self._tx.refused(EmailTaken())


def _is_active_admin(stored: StoredUser) -> bool:
    return stored.user.role is Role.ADMIN and stored.user.is_active
