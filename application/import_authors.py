"""Whose the posts of an import are: authors found by what the archive calls them, and made where that is asked for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from application.import_rows import Met
from application.ports.formats import AuthorRow
from application.ports.repositories import Stored
from application.ports.services import Ids, Slugger
from application.ports.work import UnitOfWork
from domain.accounts import Account
from domain.actors import Role
from domain.errors import InvalidValue
from domain.ids import AccountId, UserId
from domain.imports import ImportJob
from domain.users import DISPLAY_NAME_MAX, USERNAME_MAX, EmailAddress, Profile, User, Username

_REMEMBERED = 10_000
_NAMESAKES = 10


@dataclass(frozen=True, slots=True)
class Author:
    """As a row names them. `logins`, in lower case, are what they may be known by already: the username that they have
    or would get, or their address; and the address that the archive has of them."""

    logins: tuple[str, ...]
    details: AuthorRow

    @property
    def login(self) -> str:
        return self.logins[0]


@dataclass(slots=True)
class Authors:
    """A name that can be no username, such as `Ada Lovelace`, stands for its words in ASCII joined by `-`."""

    job: ImportJob
    ids: Ids
    slugger: Slugger
    currency: str
    _named: dict[tuple[str, str | None, str], Author] = field(default_factory=dict)

    def named(self, name: str, details: AuthorRow | None) -> Author:
        """Raises InvalidValue where they would have to be made and cannot be."""
        key = (name, details.email, details.display_name) if details else (name, None, "")
        author = self._named.get(key)
        if author is None:
            if len(self._named) >= _REMEMBERED:
                self._named.clear()
            author = self._named[key] = self._author(name, details or AuthorRow(name))
        return author

    def _author(self, name: str, details: AuthorRow) -> Author:
        name = name.strip()
        login = name.lower()
        if "@" not in name and not _is_username(name):
            login = self.slugger(name)[:USERNAME_MAX].strip("-") or login
        if self.job.options.create_authors:
            self._username(login)
        email = _address(details.email) or _address(login)
        return Author(tuple(dict.fromkeys((login, email))) if email else (login,), details)

    def _username(self, login: str) -> Username:
        """Raises InvalidValue."""
        try:
            return Username.chosen(self.slugger(login.partition("@")[0])[:USERNAME_MAX] if "@" in login else login)
        except InvalidValue as error:
            raise InvalidValue("author", f"No username can be made of it. {error.message}", code=error.code) from None

    async def make(self, wanted: Iterable[Author], work: UnitOfWork) -> dict[str, UserId]:
        """By each of their logins. Raises UsernameTaken, EmailTaken where somebody came between."""
        users: list[User] = []
        made: dict[str, UserId] = {}
        for author in wanted:
            known = next((made[login] for login in author.logins if login in made), None)
            if known is None:
                user = await self._user(author, made, work)
                users.append(user)
                known = user.id
            made.update(dict.fromkeys(author.logins, known))
        if users:
            at = self.job.created_at
            accounts = [
                Account.opened(AccountId(self.ids.next()), user.id, currency=self.currency, at=at) for user in users
            ]
            await work.users.add_many(users, accounts, origin=self.job.id)
        return made

    async def _user(self, author: Author, made: Mapping[str, UserId], work: UnitOfWork) -> User:
        username = self._username(author.login)
        if "@" in author.login:
            username = await self._free(username, made, work)
        email = next((login for login in author.logins if "@" in login), None)
        try:
            profile = Profile(author.details.display_name[:DISPLAY_NAME_MAX])
        except InvalidValue:
            profile = Profile()
        at = self.job.created_at
        return User(
            id=UserId(self.ids.next()),
            username=username,
            email=EmailAddress(email) if email else None,
            role=Role.AUTHOR,
            created_at=at,
            updated_at=at,
            profile=profile,
        )

    async def _free(self, username: Username, made: Mapping[str, UserId], work: UnitOfWork) -> Username:
        """The one that was made of an address may be somebody else's."""
        stem = username.value[: USERNAME_MAX - 14]
        candidates = [username.folded, *(f"{stem}-{number}" for number in range(2, _NAMESAKES))]
        taken = {*made, *await work.users.stored_by_login(candidates)}
        unlike_any = f"{stem}-{self.ids.next().hex[-13:]}"
        return Username(next((name for name in candidates if name not in taken), unlike_any))


@dataclass(frozen=True, slots=True)
class AuthorsSight:
    """Who is stored; `rehearsed` are those that a dry run would have made."""

    stored: Mapping[str, Stored[UserId]]
    rehearsed: Met

    def find(self, author: Author) -> UserId | None:
        for login in author.logins:
            if login in self.stored:
                return self.stored[login].id
        return None

    def was_rehearsed(self, author: Author) -> bool:
        return not self.rehearsed.logins.isdisjoint(author.logins)


def _is_username(name: str) -> bool:
    try:
        Username(name)
    except InvalidValue:
        return False
    return True


def _address(text: str | None) -> str | None:
    try:
        return EmailAddress(text).value if text and "@" in text else None
    except InvalidValue:
        return None
