"""Importing users, each with profile and account."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from application.import_rows import Outcome, row_error
from application.ports.formats import Record, RowProblem, UserRow
from application.ports.services import Ids, PasswordHasher
from application.ports.work import BeginWork, UnitOfWork
from domain.accounts import Account
from domain.actors import Role
from domain.errors import Busy, InvalidValue
from domain.ids import AccountId, ImportId, UserId
from domain.imports import ImportJob, ImportKind
from domain.users import EmailAddress, Profile, User, Username, checked_password

_HASHES_AT_ONCE = 4


@dataclass(slots=True)
class UserDraft:
    """`user` has no password hash until its password is hashed."""

    record: Record
    user: User
    password: str | None = field(repr=False)
    logins: tuple[str, str]

    @property
    def has_password(self) -> bool:
        return self.password is not None


@dataclass(frozen=True, slots=True)
class UserRows:
    """A row is known again by its username or email address.

    One that was here before the job is skipped; one that this job made fails as a duplicate. Who has no password
    cannot sign in. Roles are for jobs that an administrator started.
    """

    job: ImportJob
    may_give_roles: bool
    begin: BeginWork
    hasher: PasswordHasher
    ids: Ids
    currency: str

    @property
    def kind(self) -> ImportKind:
        return ImportKind.USERS

    def draft(self, record: Record) -> UserDraft:
        row = record.parsed
        if not isinstance(row, UserRow):
            raise TypeError(type(row).__name__)
        username, email = Username.chosen(row.username), EmailAddress(row.email)
        user = User(
            id=UserId(self.ids.next()),
            username=username,
            email=email,
            role=self._role(row.role),
            created_at=self.job.created_at,
            updated_at=self.job.created_at,
            profile=Profile(row.display_name, row.bio, website=row.website),
        )
        password = checked_password(row.password) if row.password else None
        return UserDraft(record, user, password, (username.folded, email.value))

    async def prepare(self, drafts: Sequence[UserDraft]) -> None:
        """Hashes the passwords of those who are not here yet. Raises Busy."""
        waiting = [draft for draft in drafts if draft.password and not draft.user.password_hash]
        if not waiting:
            return
        async with self.begin() as work:
            known = await work.users.origins_by_login({login for draft in waiting for login in draft.logins})
        waiting = [draft for draft in waiting if known.keys().isdisjoint(draft.logins)]
        for first in range(0, len(waiting), _HASHES_AT_ONCE):
            await asyncio.gather(*map(self._hash, waiting[first : first + _HASHES_AT_ONCE]))

    async def write(self, drafts: Sequence[UserDraft], work: UnitOfWork) -> Outcome:
        """Raises UsernameTaken, EmailTaken where somebody came between the look and the writing; Busy where somebody
        left whose password was not hashed for that."""
        outcome = Outcome()
        known = await work.users.origins_by_login({login for draft in drafts for login in draft.logins})
        users = []
        accepted: set[str] = set()
        for draft in drafts:
            origins = self._origins(draft, known, accepted)
            if self.job.id in origins:
                problem = RowProblem(
                    "username", "duplicate", "A row before this one has the same username or email address."
                )
                outcome.errors.append(row_error(draft.record, problem, self.kind))
            elif origins:
                outcome.skipped += 1
            elif draft.password and not draft.user.password_hash:
                raise Busy("A user was deleted meanwhile.")
            else:
                accepted.update(draft.logins)
                users.append(draft.user)
        if users:
            accounts = [
                Account.opened(AccountId(self.ids.next()), user.id, currency=self.currency, at=user.created_at)
                for user in users
            ]
            await work.users.add_many(users, accounts, origin=self.job.id)
        outcome.created = len(users)
        return outcome

    def _origins(
        self, draft: UserDraft, known: Mapping[str, ImportId | None], accepted: set[str]
    ) -> set[ImportId | None]:
        """The imports that made those who have its username or address; None stands for no import."""
        origins = {known[login] for login in draft.logins if login in known}
        return origins if accepted.isdisjoint(draft.logins) else origins | {self.job.id}

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
