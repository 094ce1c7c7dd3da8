"""Users, their profiles, and who may change what of them."""

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Self
from urllib.parse import urlsplit

from domain.actors import Actor, Role, sees_everything
from domain.errors import InvalidValue, NotAllowed, VersionMismatch
from domain.ids import UserId
from domain.text import checked, checked_line

USERNAME_MAX = 40
EMAIL_MAX = 254
DISPLAY_NAME_MAX = 100
BIO_MAX = 2_000
URL_MAX = 2_000
PASSWORD_MIN = 8
PASSWORD_MAX = 256

# What one verification may cost: about a second, and 256 MiB.
ARGON2_MEMORY_MAX_KIB = 2**18
ARGON2_PASSES_MAX = 64
ARGON2_LANES_MAX = 16
ARGON2_WORK_MAX_KIB = 2**20
"""Memory times passes."""
BCRYPT_COST_MAX = 14

USERNAME_PATTERN = r"^[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,38}[A-Za-z0-9_])?$"
_USERNAME = re.compile(USERNAME_PATTERN)
_DELETED = "deleted-"
# The "valid email address" of the HTML standard, with a dot required in the domain.
_EMAIL = re.compile(
    r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)+"
)
# Both in the one spelling that a verifier writes itself: unpadded base64 without stray bits at its end.
_ARGON2 = re.compile(
    r"\$argon2(?:id|i|d)(?:\$v=(?:16|19))?\$m=([1-9][0-9]{0,9}),t=([1-9][0-9]{0,9}),p=([1-9][0-9]{0,9})"
    r"\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})"
)
_BCRYPT = re.compile(r"\$2[aby]\$(0[4-9]|[1-3][0-9])\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{30}[.CGKOSWaeimquy26]")


@dataclass(frozen=True, slots=True)
class EmailAddress:
    """Kept in lower case, so that one mailbox is one user. Raises InvalidValue."""

    value: str

    def __post_init__(self) -> None:
        value = self.value.strip().lower()
        if len(value) > EMAIL_MAX or not _EMAIL.fullmatch(value):
            raise InvalidValue("email", "It is not an email address.", code="bad_email")
        object.__setattr__(self, "value", value)

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class Username:
    """1 to 40 ASCII letters, digits and `_ . -`, as typed; those that differ by case alone are one.

    Raises InvalidValue.
    """

    value: str

    def __post_init__(self) -> None:
        if not _USERNAME.fullmatch(self.value):
            raise InvalidValue(
                "username",
                f"It must be 1 to {USERNAME_MAX} letters, digits, '_', '.' or '-', beginning with a letter or digit"
                " and not ending in '.' or '-'.",
                code="bad_username",
            )

    @classmethod
    def chosen(cls, value: str) -> Self:
        """One that a person takes: those of deleted users are kept for them. Raises InvalidValue."""
        if value.lower().startswith(_DELETED):
            raise InvalidValue("username", f"It must not begin with {_DELETED!r}.", code="reserved")
        return cls(value)

    @property
    def folded(self) -> str:
        """What uniqueness is judged by."""
        return self.value.lower()

    def __str__(self) -> str:
        return self.value


def checked_password(password: str) -> str:
    """8 to 256 characters, as NIST SP 800-63B asks: length alone, no composition rules. Raises InvalidValue."""
    return checked(password, "password", shortest=PASSWORD_MIN, longest=PASSWORD_MAX)


def checked_password_hash(text: str) -> str:
    """`text` itself: argon2 (`$argon2id$`, `$argon2i$`, `$argon2d$`) or bcrypt (`$2a$`, `$2b$`, `$2y$`) as their own
    libraries write it, at a cost that a sign-in can bear. Raises InvalidValue, which does not show it."""
    if bcrypt := _BCRYPT.fullmatch(text):
        if int(bcrypt[1]) > BCRYPT_COST_MAX:
            raise _bad_hash(f"Its cost of {bcrypt[1]} is too much for a sign-in: at most {BCRYPT_COST_MAX} is allowed.")
        return text
    argon2 = _ARGON2.fullmatch(text)
    if argon2 is None or not all(map(_is_base64, argon2.group(4, 5))):
        raise _bad_hash("It must be an argon2 or bcrypt hash in its usual form, such as $argon2id$… or $2b$….")
    memory, passes, lanes = map(int, argon2.group(1, 2, 3))
    if memory < 8 * lanes:
        raise _bad_hash("It must be an argon2 hash with at least 8 KiB of memory a lane.")
    if (
        memory > ARGON2_MEMORY_MAX_KIB
        or passes > ARGON2_PASSES_MAX
        or lanes > ARGON2_LANES_MAX
        or memory * passes > ARGON2_WORK_MAX_KIB
    ):
        raise _bad_hash(
            f"It costs too much for a sign-in: at most m={ARGON2_MEMORY_MAX_KIB}, t={ARGON2_PASSES_MAX},"
            f" p={ARGON2_LANES_MAX}, and m times t of {ARGON2_WORK_MAX_KIB} are allowed."
        )
    return text


def _is_base64(text: str) -> bool:
    """Unpadded, as it would be written again."""
    if len(text) % 4 == 1:
        return False
    return b64encode(b64decode(text + "=" * (-len(text) % 4))).decode().rstrip("=") == text


def _bad_hash(message: str) -> InvalidValue:
    return InvalidValue("password_hash", message, code="bad_hash")


def checked_url(value: str, name: str) -> str:
    """An absolute http(s) URL with a host. Raises InvalidValue."""
    value = checked_line(value, name, longest=URL_MAX)
    try:
        parts = urlsplit(value)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound or " " in value:
        raise InvalidValue(name, "It must be an absolute http or https URL.", code="bad_url")
    return value


@dataclass(frozen=True, slots=True)
class Profile:
    """What a user shows of themself. Empty texts stand for nothing said. Raises InvalidValue."""

    display_name: str = ""
    bio: str = ""
    avatar_url: str | None = None
    website: str | None = None

    def __post_init__(self) -> None:
        name = checked_line(self.display_name, "display_name", longest=DISPLAY_NAME_MAX)
        object.__setattr__(self, "display_name", name)
        checked(self.bio, "bio", longest=BIO_MAX)
        for name in ("avatar_url", "website"):
            value = getattr(self, name)
            object.__setattr__(self, name, checked_url(value, name) if value else None)

    def changed(self, values: Mapping[str, str | None]) -> Self:
        """With those of its fields that `values` names, None standing for nothing said. Raises InvalidValue."""
        return replace(
            self,
            display_name=values.get("display_name", self.display_name) or "",
            bio=values.get("bio", self.bio) or "",
            avatar_url=values.get("avatar_url", self.avatar_url),
            website=values.get("website", self.website),
        )


@dataclass(frozen=True, slots=True)
class User:
    """`email` is None for anonymous users; `password_hash` None for those who cannot sign in.

    `version` counts the saves, from 1; the repository raises it.
    """

    id: UserId
    username: Username
    email: EmailAddress | None
    role: Role
    created_at: datetime
    updated_at: datetime
    profile: Profile = field(default_factory=Profile)
    password_hash: str | None = field(default=None, repr=False)
    is_active: bool = True
    version: int = 1

    @property
    def actor(self) -> Actor:
        return Actor(self.id, self.role)

    def visible_to(self, viewer: Actor | None) -> bool:
        return user_visible(self.id, is_active=self.is_active, viewer=viewer)

    def require_version(self, expected: int | None) -> Self:
        """Itself, where `expected` is None or its version. Raises VersionMismatch with the current one."""
        if expected is not None and expected != self.version:
            raise VersionMismatch(self.version)
        return self

    def require_changeable(self, *, by: Actor) -> Self:
        """Itself. Raises NotAllowed for whoever may change nothing of it: all but the user and operators."""
        if by.id != self.id and not by.is_operator:
            raise NotAllowed("Only the user or an operator may change a user.")
        return self

    def renamed(self, *, username: Username, email: EmailAddress | None, by: Actor, at: datetime) -> Self:
        """Raises NotAllowed, unless `by` is the user or an administrator."""
        self._require_self_or_admin(by)
        return replace(self, username=username, email=email, updated_at=at)

    def described(self, profile: Profile, *, by: Actor, at: datetime) -> Self:
        """Operators moderate. Raises NotAllowed, unless `by` is the user or an operator."""
        return replace(self.require_changeable(by=by), profile=profile, updated_at=at)

    def with_role(self, role: Role, *, by: Actor, at: datetime) -> Self:
        """Raises NotAllowed, unless `by` is an administrator."""
        if role == self.role:
            return self
        if not by.is_admin:
            raise NotAllowed("Only an administrator may change roles.")
        return replace(self, role=role, updated_at=at)

    def activated(self, active: bool, *, by: Actor, at: datetime) -> Self:
        """Users may deactivate themselves; operators (de)activate authors; administrators anyone. Raises NotAllowed."""
        if active == self.is_active:
            return self
        of_oneself = by.id == self.id and not active
        of_an_author = by.is_operator and self.role is Role.AUTHOR
        if not (of_oneself or of_an_author or by.is_admin):
            raise NotAllowed("You may not activate or deactivate this user.")
        return replace(self, is_active=active, updated_at=at)

    def with_password(self, password_hash: str, *, at: datetime) -> Self:
        return replace(self, password_hash=password_hash, updated_at=at)

    def require_password_settable(self, *, by: Actor) -> None:
        """Raises NotAllowed, unless `by` is the user or an administrator."""
        self._require_self_or_admin(by)

    def require_deletable(self, *, by: Actor) -> None:
        """Raises NotAllowed, unless `by` is the user or an administrator."""
        self._require_self_or_admin(by)

    def anonymised(self, *, at: datetime) -> Self:
        """All that names a person gone; the id stays, for the ledger's sake."""
        return replace(
            self,
            username=Username(f"{_DELETED}{self.id.hex[-12:]}"),
            email=None,
            password_hash=None,
            profile=Profile(),
            role=Role.AUTHOR,
            is_active=False,
            updated_at=at,
        )

    def _require_self_or_admin(self, by: Actor) -> None:
        if by.id != self.id and not by.is_admin:
            raise NotAllowed("Only the user or an administrator may do this.")


def user_visible(user_id: UserId, *, is_active: bool, viewer: Actor | None) -> bool:
    """Deactivated users are shown to themselves and to operators."""
    return is_active or sees_everything(viewer) or (viewer is not None and viewer.id == user_id)


def email_visible(user_id: UserId, *, viewer: Actor | None) -> bool:
    """An address is shown to its owner and to operators."""
    return sees_everything(viewer) or (viewer is not None and viewer.id == user_id)
