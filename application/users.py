"""Registering, changing and deleting users."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from application.caching.tags import ALL, of_user_change
from application.ports.services import Clock, Ids, PasswordHasher
from application.ports.work import BeginWork, UnitOfWork
from domain.accounts import Account
from domain.actors import Actor, Role
from domain.errors import Busy, InvalidValue, LastAdmin, NotAllowed, RegistrationClosed, UserHasPosts, UserNotFound
from domain.ids import AccountId, UserId
from domain.users import EmailAddress, Profile, User, Username, checked_password


@dataclass(frozen=True, slots=True)
class Registration:
    username: str
    email: str
    password: str = field(repr=False)
    profile: Profile = field(default_factory=Profile)
    role: Role = Role.AUTHOR


@dataclass(frozen=True, slots=True)
class RegisterUser:
    """A user with profile and account, all or nothing. `actor` is None for those who register themselves; only an
    administrator may give a role. Raises InvalidValue, UsernameTaken, EmailTaken, NotAllowed, RegistrationClosed."""

    begin: BeginWork
    hasher: PasswordHasher
    clock: Clock
    ids: Ids
    currency: str
    is_open: bool

    async def __call__(self, request: Registration, *, actor: Actor | None) -> User:
        is_admin = actor is not None and actor.is_admin
        if request.role is not Role.AUTHOR and not is_admin:
            raise NotAllowed("Only an administrator may give roles.")
        if not self.is_open and not is_admin:
            raise RegistrationClosed
        return await self.register(request)

    async def register(self, request: Registration) -> User:
        """Without asking who may; for the command line. Raises InvalidValue, UsernameTaken, EmailTaken."""
        now = self.clock.now()
        user = User(
            id=UserId(self.ids.next()),
            username=Username.chosen(request.username),
            email=EmailAddress(request.email),
            role=request.role,
            created_at=now,
            updated_at=now,
            profile=request.profile,
            password_hash=await self.hasher.hash(checked_password(request.password)),
        )
        account = Account.opened(AccountId(self.ids.next()), user.id, currency=self.currency, at=now)
        async with self.begin() as work:
            await work.users.add(user)
            await work.accounts.add(account)
            work.forget(of_user_change(user.id))
            await work.commit()
        return user


@dataclass(frozen=True, slots=True)
class UserChanges:
    """None stands for as it is. `profile` holds the profile's fields that change, by name."""

    username: str | None = None
    email: str | None = None
    profile: Mapping[str, str | None] | None = None
    role: Role | None = None
    is_active: bool | None = None
    password: str | None = field(default=None, repr=False)
    current_password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ChangeUser:
    """All changes or none. A new password, a new role and deactivation end the user's sessions.

    Raises UserNotFound, NotAllowed, InvalidValue, UsernameTaken, EmailTaken, LastAdmin, and VersionMismatch where
    `expected` is given and is not the stored version.
    """

    begin: BeginWork
    hasher: PasswordHasher
    clock: Clock

    async def __call__(
        self, user_id: UserId, changes: UserChanges, *, actor: Actor, expected: int | None = None
    ) -> User:
        passwords = await self._new_hash(user_id, changes, actor=actor)
        now = self.clock.now()
        async with self.begin() as work:
            admins = await _lock_admins(user_id, work)
            before = _shown(await work.users.lock(user_id), actor).require_version(expected)
            user = _changed(before.require_changeable(by=actor), changes, by=actor, at=now)
            if passwords is not None:
                if before.password_hash != passwords.replaced:
                    raise Busy("The password was changed just now.")
                user = user.with_password(passwords.new, at=now)
            _require_another_admin(before, user, admins)
            if user == replace(before, updated_at=user.updated_at):
                return before
            saved = await work.users.save(user)
            work.forget(await _stale_by(before, saved, work))
            if passwords is not None or user.role != before.role or not user.is_active:
                await work.sessions.revoke_of(user_id, at=now)
            await work.commit()
        return saved

    async def _new_hash(self, user_id: UserId, changes: UserChanges, *, actor: Actor) -> "_Hashes | None":
        if changes.password is None:
            return None
        password = checked_password(changes.password)
        async with self.begin() as work:
            user = _shown(await work.users.get(user_id), actor)
        user.require_password_settable(by=actor)
        if actor.id == user_id and not await self.hasher.verify(changes.current_password or "", user.password_hash):
            raise InvalidValue(
                "current_password", "It must be the password that is to be replaced.", code="wrong_password"
            )
        return _Hashes(replaced=user.password_hash, new=await self.hasher.hash(password))


@dataclass(frozen=True, slots=True)
class _Hashes:
    """`replaced` is the one that the change was judged by: another change in between must not be overwritten."""

    replaced: str | None = field(repr=False)
    new: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class DeleteUser:
    """With profile, sessions and account; one with money in its history is made anonymous instead.

    Raises UserNotFound, NotAllowed, LastAdmin, VersionMismatch, and UserHasPosts unless `with_posts`.
    """

    begin: BeginWork
    clock: Clock

    async def __call__(
        self, user_id: UserId, *, actor: Actor, with_posts: bool = False, expected: int | None = None
    ) -> None:
        async with self.begin() as work:
            admins = await _lock_admins(user_id, work)
            user = _shown(await work.users.lock(user_id), actor).require_version(expected)
            user.require_deletable(by=actor)
            _require_another_admin(user, replace(user, is_active=False), admins)
            if with_posts:
                await work.posts.delete_by_author(user_id)
            elif await work.posts.exist_by_author(user_id, for_good=True):
                raise UserHasPosts
            await _remove(user, work, at=self.clock.now())
            work.forget((ALL,) if with_posts else of_user_change(user_id))
            await work.commit()


def _shown(user: User, actor: Actor) -> User:
    if not user.visible_to(actor):
        raise UserNotFound(user.id)
    return user


async def _stale_by(before: User, after: User, work: UnitOfWork) -> Iterable[str]:
    """The tags that the change makes stale: every post shows its author's names. One that is published at the same
    moment would show the old ones for good, if it were not waited for."""
    is_renamed = (before.username, before.profile.display_name) != (after.username, after.profile.display_name)
    if is_renamed and await work.posts.exist_by_author(after.id, for_good=True):
        return (ALL,)
    return of_user_change(after.id)


async def _remove(user: User, work: UnitOfWork, *, at: datetime) -> None:
    if await work.accounts.has_history(user.id):
        await work.users.save(user.anonymised(at=at))
        await work.sessions.revoke_of(user.id, at=at)
    else:
        await work.accounts.delete_of(user.id)
        await work.users.delete(user.id)


def _changed(user: User, changes: UserChanges, *, by: Actor, at: datetime) -> User:
    if changes.username is not None or changes.email is not None:
        user = user.renamed(
            username=user.username if changes.username is None else Username.chosen(changes.username),
            email=user.email if changes.email is None else EmailAddress(changes.email),
            by=by,
            at=at,
        )
    if changes.profile is not None:
        user = user.described(user.profile.changed(changes.profile), by=by, at=at)
    if changes.role is not None:
        user = user.with_role(changes.role, by=by, at=at)
    if changes.is_active is not None:
        user = user.activated(changes.is_active, by=by, at=at)
    return user


async def _lock_admins(user_id: UserId, work: UnitOfWork) -> list[UserId]:
    """Every active administrator where the user is one, all locked in id order before the user is, so that two who
    demote each other neither deadlock nor both succeed."""
    user = await work.users.get(user_id)
    return await work.users.lock_active_admins() if user.role is Role.ADMIN else []


def _require_another_admin(before: User, after: User, admins: list[UserId]) -> None:
    """Raises LastAdmin where `before` is the only one in `admins` and would be none any more, and Busy where it became
    one since they were locked."""
    if _is_active_admin(before) and before.id not in admins:
        raise Busy("The user was made an administrator just now.")
    if admins == [before.id] and not _is_active_admin(after):
        raise LastAdmin


def _is_active_admin(user: User) -> bool:
    return user.is_active and user.role is Role.ADMIN
