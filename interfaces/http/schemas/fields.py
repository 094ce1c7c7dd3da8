"""Types of single fields: JSON Schema tells clients the rule, the domain judges by it."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from domain import posts, users
from domain.posts import Slug, checked_tags
from domain.text import checked, checked_line
from domain.users import EmailAddress, Username, checked_password, checked_url


class Model(BaseModel):
    """A request: nothing in it that we do not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def rule(check: Callable[[str], Any], **schema: Any) -> Any:
    """`check` returns the value to keep or raises InvalidValue; `schema` goes into the JSON Schema."""
    return Field(json_schema_extra=schema), AfterValidator(check)


def text(name: str, longest: int, shortest: int = 0) -> partial[str]:
    return partial(checked, field=name, longest=longest, shortest=shortest)


def _line(name: str, longest: int, shortest: int = 0) -> partial[str]:
    return partial(checked_line, field=name, longest=longest, shortest=shortest)


def _url(name: str) -> Callable[[str], str | None]:
    """An empty text stands for no URL."""
    return lambda value: checked_url(value, name) if value else None


UsernameText = Annotated[
    str, *rule(lambda v: Username(v).value, pattern=users.USERNAME_PATTERN, maxLength=users.USERNAME_MAX)
]
EmailText = Annotated[str, *rule(lambda v: EmailAddress(v).value, format="email", maxLength=users.EMAIL_MAX)]
Password = Annotated[
    str,
    *rule(
        checked_password,
        format="password",
        minLength=users.PASSWORD_MIN,
        maxLength=users.PASSWORD_MAX,
        writeOnly=True,
    ),
]
KnownPassword = Annotated[
    str, *rule(text("current_password", users.PASSWORD_MAX), format="password", maxLength=users.PASSWORD_MAX)
]
# No control characters, no line breaks.
_LINE = r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$"

DisplayName = Annotated[
    str, *rule(_line("display_name", users.DISPLAY_NAME_MAX), maxLength=users.DISPLAY_NAME_MAX, pattern=_LINE)
]
Bio = Annotated[str, *rule(text("bio", users.BIO_MAX), maxLength=users.BIO_MAX)]
AvatarUrl = Annotated[str, *rule(_url("avatar_url"), format="uri", maxLength=users.URL_MAX)]
Website = Annotated[str, *rule(_url("website"), format="uri", maxLength=users.URL_MAX)]

Title = Annotated[str, *rule(_line("title", posts.TITLE_MAX, 1), minLength=1, maxLength=posts.TITLE_MAX, pattern=_LINE)]
SlugText = Annotated[str, *rule(lambda v: Slug(v).value, pattern=posts.SLUG_PATTERN, maxLength=posts.SLUG_MAX)]
Content = Annotated[str, *rule(text("content", posts.CONTENT_MAX), maxLength=posts.CONTENT_MAX)]
Excerpt = Annotated[str, *rule(text("excerpt", posts.EXCERPT_MAX), maxLength=posts.EXCERPT_MAX)]
Tag = Annotated[str, *rule(_line("tag", posts.TAG_MAX), maxLength=posts.TAG_MAX, pattern=_LINE)]
Tags = Annotated[
    tuple[str, ...],
    Field(json_schema_extra={"maxItems": posts.TAGS_MAX}),
    AfterValidator(checked_tags),
]
