"""Users as they are written and as they are shown."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import MISSING, ConfigDict, Field, StrictBool
from pydantic.config import JsonDict

from application.pages import EmailShape, PostShape, UserShape
from application.users import Registration, UserChanges
from domain.actors import Role
from domain.users import Profile
from interfaces.http.schemas.fields import (
    AvatarUrl,
    Bio,
    DisplayName,
    EmailText,
    KnownPassword,
    Model,
    Password,
    UsernameText,
    Website,
)
from interfaces.http.schemas.lists import listing

_EXAMPLE: JsonDict = {
    "username": "ada",
    "email": "ada@example.com",
    "password": "correct horse battery",
    "profile": {"display_name": "Ada Lovelace", "website": "https://example.com/ada"},
}


class ProfileWriting(Model):
    """What is absent is nothing said."""

    display_name: DisplayName = ""
    bio: Bio = ""
    avatar_url: AvatarUrl | None = None
    website: Website | None = None


class ProfilePatch(Model):
    display_name: DisplayName | MISSING = MISSING
    bio: Bio | MISSING = MISSING
    avatar_url: AvatarUrl | MISSING | None = MISSING
    website: Website | MISSING | None = MISSING


class UserRegistration(Model):
    """A role other than `author` can be given by administrators alone."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    username: UsernameText
    email: EmailText
    password: Annotated[Password, Field(repr=False)]
    profile: ProfileWriting = ProfileWriting()
    role: Role = Role.AUTHOR

    def request(self) -> Registration:
        return Registration(
            username=self.username,
            email=self.email,
            password=self.password,
            profile=Profile(**self.profile.model_dump()),
            role=self.role,
        )


class UserReplacement(Model):
    """What is absent takes its default, but for role, activity and password, which stay as they are."""

    model_config = ConfigDict(json_schema_extra={"examples": [{k: v for k, v in _EXAMPLE.items() if k != "password"}]})

    username: UsernameText
    email: EmailText
    profile: ProfileWriting = ProfileWriting()
    role: Role | MISSING = MISSING
    is_active: StrictBool | MISSING = MISSING
    password: Annotated[Password | MISSING, Field(repr=False)] = MISSING
    current_password: Annotated[KnownPassword | MISSING, Field(repr=False)] = MISSING

    def changes(self) -> UserChanges:
        return UserChanges(**self.model_dump())


class UserPatch(Model):
    """A merge patch (RFC 7396): what is absent stays, null clears a URL. Who sets their own password says the current
    one too."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"profile": {"bio": "Analyst.", "website": None}}]})

    username: UsernameText | MISSING = MISSING
    email: EmailText | MISSING = MISSING
    profile: ProfilePatch | MISSING = MISSING
    role: Role | MISSING = MISSING
    is_active: StrictBool | MISSING = MISSING
    password: Annotated[Password | MISSING, Field(repr=False)] = MISSING
    current_password: Annotated[KnownPassword | MISSING, Field(repr=False)] = MISSING

    def changes(self) -> UserChanges:
        return UserChanges(**self.model_dump())


@dataclass(frozen=True, slots=True)
class UserShown(UserShape):
    """`email` is there for the user and for operators; `posts` where they were asked for, the newest first."""

    email: str | None = None
    posts: tuple[PostShape, ...] = ()


UserList = listing("UserList", UserShown)
EmailList = listing("EmailList", EmailShape)
