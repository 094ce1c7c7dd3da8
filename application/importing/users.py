"""Importing users, each with profile and account."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from application.caching.tags import ALL, USERS, of_user_change
from application.importing.row_errors import row_error
from application.importing.rows import EXISTS, Met, Outcome, RowIds
from application.ports.formats import Record, RowProblem, UserRow
from application.ports.repositories import Stored
from application.ports.services import Ids, PasswordHasher
from application.ports.work import UnitOfWork
from domain.accounts import Account
from domain.actors import Role
from domain.errors import Conflict, InvalidValue
from domain.ids import AccountId, ImportId, UserId
from domain.import_options import ImportKind, OnConflict
from domain.imports import ImportJob, RowError, Tally
from domain.users import EmailAddress, Profile, User, Username, checked_password, checked_password_hash

_HASHES_AT_ONCE = 4
_SIZE = 1_000

_DUPLICATE = RowProblem("username", "duplicate", "A row before this one has the same username or email address.")
_EXISTS = RowProblem("username", "exists", "The user is here already, and the import fails such rows.")
_TWO_USERS = RowProblem("email", "ambiguous", "The username is one user's and the email address another's.")


@dataclass(slots=True)
class UserDraft:
    """`user` has no password hash until its password is hashed."""

    record: Record
    row: UserRow
    user: User
    password: str | None = field(repr=False)
    logins: tuple[str, str]

    @property
    def size(self) -> int:
        return _SIZE

    @property
    def has_password(self) -> bool:
        return self.password is not None


@dataclass(frozen=True, slots=True)
class UsersSight:
    """Who was stored when somebody looked, by login; `remembered` is whom the job has met before."""

    stored: dict[str, Stored[UserId]]
    remembered: Met


@dataclass(slots=True)
class UsersPlan:
    new: list[UserDraft] = field(default_factory=list)
    known: list[tuple[UserDraft, UserId]] = field(default_factory=list)
    errors: list[RowError] = field(default_factory=list)
    skipped: int = 0
    made: Met = field(default_factory=Met)
    met: Met = field(default_factory=Met)

    @property
    def makes(self) -> Met | None:
        together = Met()
        together.add(self.made)
        together.add(self.met)
        return together


@dataclass(frozen=True, slots=True)
class UserRows:
    """A row is known again by its username or email address.

    One that was here before the job is skipped, updated or failed, as the job says; one that this job made or met fails
    as a duplicate. An update changes the profile alone: whatever somebody signs in with is theirs. Who has no password
    cannot sign in. Roles are for jobs that an administrator started.
    """

    job: ImportJob
    may_give_roles: bool
    hasher: PasswordHasher
    ids: Ids
    row_ids: RowIds
    currency: str

    @property
    def kind(self) -> ImportKind:
        return ImportKind.USERS

    def draft(self, record: Record) -> UserDraft:
        row = record.parsed
        if not isinstance(row, UserRow):
            raise TypeError(type(row).__name__)
        username, email = Username.chosen(row.username), EmailAddress(row.email)
        if row.password and row.password_hash:
            raise InvalidValue("password_hash", "Give a password or a password_hash, not both.", code="conflict")
        user = User(
            id=UserId(self.row_ids(record.place)),
            username=username,
            email=email,
            role=self._role(row.role or Role.AUTHOR),
            created_at=self.job.created_at,
            updated_at=self.job.created_at,
            profile=Profile(row.display_name or "", row.bio or "", website=row.website),
            password_hash=checked_password_hash(row.password_hash) if row.password_hash else None,
        )
        password = checked_password(row.password) if row.password else None
        return UserDraft(record, row, user, password, (username.folded, email.value))

    def names(self, drafts: Sequence[UserDraft]) -> set[str]:
        return {login for draft in drafts for login in draft.logins}

    async def look(self, drafts: Sequence[UserDraft], names: set[str], work: UnitOfWork) -> UsersSight:
        stored = await work.users.stored_by_login(names)
        remembered = Met()
        if self.job.options.dry_run or self.job.options.on_conflict is OnConflict.UPDATE:
            met = Met(logins=names, ids={one.id for one in stored.values()})
            remembered = await met.remembered(self.job.id, work)
        return UsersSight(stored, remembered)

    async def prepare(self, drafts: Sequence[UserDraft], sight: UsersSight) -> None:
        """Hashes the passwords of those who are not here yet. Raises Busy."""
        here = sight.stored.keys() | sight.remembered.logins
        new = [draft for draft in drafts if here.isdisjoint(draft.logins)]
        waiting = [draft for draft in new if draft.password and not draft.user.password_hash]
        for first in range(0, len(waiting), _HASHES_AT_ONCE):
            await asyncio.gather(*map(self._hash, waiting[first : first + _HASHES_AT_ONCE]))

    def plan(self, drafts: Sequence[UserDraft], sight: UsersSight, since: Met) -> UsersPlan:
        plan = UsersPlan()
        ours = Met()
        ours.add(sight.remembered)
        ours.add(since)
        for draft in drafts:
            found = {one.id: one.origin for login in draft.logins if (one := sight.stored.get(login))}
            problem = self._problem(draft, found, ours)
            if problem is not None:
                plan.errors.append(row_error(draft.record, problem, self.kind))
            elif found and self.job.options.on_conflict is OnConflict.SKIP:
                plan.skipped += 1
            elif found:
                plan.known.append((draft, next(iter(found))))
                met = Met(logins=set(draft.logins), ids={*found})
                plan.met.add(met)
                ours.add(met)
            else:
                plan.new.append(draft)
                plan.made.logins.update(draft.logins)
                ours.logins.update(draft.logins)
        return plan

    async def write(self, plan: UsersPlan, work: UnitOfWork) -> Outcome:
        """Raises UsernameTaken, EmailTaken, Conflict where somebody came between the look and this."""
        touched = {USERS} if plan.new else set()
        if plan.new:
            users = [draft.user for draft in plan.new]
            await work.users.add_many(users, self._accounts(users), origin=self.job.id)
        updated = await self._update(plan.known, touched, work) if plan.known else 0
        tally = Tally(
            created=len(plan.new),
            updated=updated,
            unchanged=len(plan.known) - updated,
            skipped=plan.skipped,
            reasons={EXISTS: plan.skipped} if plan.skipped else {},
        )
        return Outcome(tally, plan.errors, plan.made, plan.met, touched)

    def _problem(self, draft: UserDraft, found: dict[UserId, ImportId | None], ours: Met) -> RowProblem | None:
        if self.job.id in found.values() or not (ours.logins.isdisjoint(draft.logins) and ours.ids.isdisjoint(found)):
            return _DUPLICATE
        if found and self.job.options.on_conflict is OnConflict.FAIL:
            return _EXISTS
        if len(found) > 1 and self.job.options.on_conflict is OnConflict.UPDATE:
            return _TWO_USERS
        return None

    def _accounts(self, users: Sequence[User]) -> list[Account]:
        return [
            Account.opened(AccountId(self.ids.next()), user.id, currency=self.currency, at=user.created_at)
            for user in users
        ]

    async def _update(self, known: Sequence[tuple[UserDraft, UserId]], touched: set[str], work: UnitOfWork) -> int:
        """How many were changed by it (what shows them is `touched`). Raises Conflict where one is gone."""
        locked = {user.id: user for user in await work.users.lock_many({user_id for _, user_id in known})}
        changed = []
        for draft, user_id in known:
            user = locked.get(user_id)
            if user is None:
                raise Conflict("A user was deleted meanwhile.")
            said = {
                "display_name": draft.row.display_name,
                "bio": draft.row.bio,
                "website": draft.user.profile.website,
            }
            profile = user.profile.changed({name: value for name, value in said.items() if value is not None})
            if profile != user.profile:
                changed.append(replace(user, profile=profile, updated_at=max(user.updated_at, self.job.created_at)))
                is_renamed = profile.display_name != user.profile.display_name
                touched |= {ALL} if is_renamed else of_user_change(user_id)
        if changed:
            await work.users.save_profiles(changed)
        return len(changed)

    def _role(self, name: str) -> Role:
        try:
            role = Role(name)
        except ValueError:
            raise InvalidValue("role", f"It must be one of {', '.join(Role)}.", code="bad_value") from None
        if role is not Role.AUTHOR and not self.may_give_roles:
            raise InvalidValue(
                "role", "Only an import that an administrator started may give roles.", code="not_allowed"
            )
        return role

    async def _hash(self, draft: UserDraft) -> None:
        if draft.password is not None:
            password_hash = await self.hasher.hash(draft.password)
            draft.user = draft.user.with_password(password_hash, at=draft.user.updated_at)
