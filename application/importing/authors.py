"""Whose the posts of an import are: authors found by what the archive calls them, and made where that is asked for."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from application.importing.rows import Met
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
_UNIQUE_DIGITS = 13
_STEM_MAX = USERNAME_MAX - _UNIQUE_DIGITS - 1


@dataclass(frozen=True, slots=True, eq=False)
class Author:
    """As a row names them. `logins`, in lower case, are what they may be known by already: the username that they have
    or would get, or their address; and the address that the archive has of them."""

    logins: tuple[str, ...]
    details: AuthorRow

    @property
    def login(self) -> str:
        return self.logins[0]


@dataclass(slots=True)
class MadeAuthors:
    """`ids` by each login that somebody is meant by. `logins` are those that new ones have; not so of those whom the
    job has made before, in a dry run."""

    ids: dict[str, UserId] = field(default_factory=dict)
    logins: set[str] = field(default_factory=set)
    new: int = 0


@dataclass(slots=True)
class Authors:
    """A name that can be neither username nor address, such as `Ada Lovelace`, stands for its words in ASCII joined by
    `-`."""

    job: ImportJob
    ids: Ids
    slugger: Slugger
    currency: str
    _named: dict[str | tuple[str, str | None, str], Author] = field(default_factory=dict)

    def named(self, name: str, details: AuthorRow | None) -> Author:
        """Raises InvalidValue where they would have to be made and cannot be."""
        key = (name, details.email, details.display_name) if details else name
        author = self._named.get(key)
        if author is None:
            if len(self._named) >= _REMEMBERED:
                self._named.clear()
            author = self._named[key] = self._author(name, details or AuthorRow(name))
        return author

    def _author(self, name: str, details: AuthorRow) -> Author:
        name = name.strip()
        login = _address(name) or (name.lower() if _is_username(name) else self._words(name) or name.lower())
        if self.job.options.create_authors:
            self._username(login)
        email = _address(details.email) or _address(login)
        return Author(tuple(dict.fromkeys((login, email))) if email else (login,), details)

    def _username(self, login: str) -> Username:
        """Raises InvalidValue."""
        try:
            return Username.chosen(self._words(login.partition("@")[0]) or "author" if "@" in login else login)
        except InvalidValue as error:
            raise InvalidValue("author", f"No username can be made of it. {error.message}", code=error.code) from None

    def _words(self, name: str) -> str:
        return self.slugger(name)[:USERNAME_MAX].strip("-")

    async def make(self, wanted: Iterable[Author], rehearsed: Collection[str], work: UnitOfWork) -> MadeAuthors:
        """Raises UsernameTaken, EmailTaken where somebody came between."""
        users: list[User] = []
        made = MadeAuthors()
        for author in wanted:
            known = next((made.ids[login] for login in author.logins if login in made.ids), None)
            if known is None:
                is_new = author.login not in rehearsed
                user = await self._user(author, made.ids if is_new else None, work)
                users.append(user)
                known = user.id
                logins = {user.username.folded, *([user.email.value] if user.email else [])}
                made.ids.update(dict.fromkeys(logins, known))
                if is_new:
                    made.new += 1
                    made.logins |= logins
            made.ids.update(dict.fromkeys(author.logins, known))
        if users:
            at = self.job.created_at
            accounts = [
                Account.opened(AccountId(self.ids.next()), user.id, currency=self.currency, at=at) for user in users
            ]
            await work.users.add_many(users, accounts, origin=self.job.id)
        return made

    async def _user(self, author: Author, made: Collection[str] | None, work: UnitOfWork) -> User:
        """Beside those that were `made`; None: they have their name from before, whichever that was."""
        username = self._username(author.login)
        if "@" in author.login:
            username = self._like_no_other(username) if made is None else await self._free(username, made, work)
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

    async def _free(self, username: Username, made: Collection[str], work: UnitOfWork) -> Username:
        """The one that was made of an address may be somebody else's."""
        stem = username.value[:_STEM_MAX]
        candidates = [username.folded, *(f"{stem}-{number}" for number in range(2, _NAMESAKES))]
        taken = {*made, *await work.users.stored_by_login(candidates)}
        if self.job.options.dry_run:
            taken |= (await Met(logins=set(candidates)).remembered(self.job.id, work)).logins
        name = next((name for name in candidates if name not in taken), None)
        return self._like_no_other(username) if name is None else Username(name)

    def _like_no_other(self, username: Username) -> Username:
        return Username(f"{username.value[:_STEM_MAX]}-{self.ids.next().hex[-_UNIQUE_DIGITS:]}")


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
