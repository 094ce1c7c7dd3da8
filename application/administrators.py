"""Administrators as the command line makes them: whoever can start Byline on its database may do so."""

from dataclasses import dataclass, replace

from application.caching.tags import of_user_change
from application.ports.services import Clock
from application.ports.work import BeginWork
from application.users import RegisterUser, Registration
from domain.actors import Actor, Role
from domain.errors import UserNotFound
from domain.users import User


@dataclass(frozen=True, slots=True)
class FindAdmin:
    """Whom the command line acts as: the active administrator with the lowest id, who was made first."""

    begin: BeginWork

    async def __call__(self) -> Actor | None:
        async with self.begin() as work:
            admins = await work.users.lock_active_admins()
        return Actor(admins[0], Role.ADMIN) if admins else None


@dataclass(frozen=True, slots=True)
class CreateAdmin:
    """Raises InvalidValue, UsernameTaken, EmailTaken."""

    register_user: RegisterUser

    async def __call__(self, request: Registration) -> User:
        return await self.register_user.register(replace(request, role=Role.ADMIN))


@dataclass(frozen=True, slots=True)
class PromoteToAdmin:
    """An active administrator of the user whose username or email address `login` is; the password stays.

    The user's sessions end. Raises UserNotFound.
    """

    begin: BeginWork
    clock: Clock

    async def __call__(self, login: str) -> User:
        now = self.clock.now()
        async with self.begin() as work:
            known = await work.users.find_by_login(login)
            if known is None:
                raise UserNotFound(login)
            before = await work.users.lock(known.id)
            itself = Actor(before.id, Role.ADMIN)
            user = before.with_role(Role.ADMIN, by=itself, at=now).activated(True, by=itself, at=now)
            if user == before:
                return before
            saved = await work.users.save(user)
            work.forget(of_user_change(user.id))
            await work.sessions.revoke_of(user.id, at=now)
            await work.commit()
        return saved
