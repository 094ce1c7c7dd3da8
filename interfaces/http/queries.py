"""What the query of a list asks for, and the links to the pages around it (RFC 8288).

Handlers read the query themselves: FastAPI takes as long over a dozen parameters as over all the rest of a request,
while the queries of a site's pages are few, so that they can be remembered.
"""

from collections.abc import Callable, Collection
from functools import lru_cache
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import parse_qsl, quote, urlencode
from uuid import UUID

from fastapi.exceptions import RequestValidationError
from pydantic import BeforeValidator, Field, ValidationError, WithJsonSchema, model_validator
from starlette.requests import Request
from starlette.types import Scope

from application.pages import (
    PAGE_MAX,
    PAGE_SIZE,
    PAGE_SIZE_MAX,
    Count,
    ListPage,
    Order,
    PostQuery,
    SortBy,
    Types,
    UserQuery,
)
from domain.actors import Role
from domain.errors import InvalidValue
from domain.import_options import ImportKind
from domain.imports import ImportState
from interfaces.http.refusals import invalid_parameter
from interfaces.http.schemas.fields import Model, Tag
from interfaces.http.schemas.imports import REPEATABLE_OPTIONS, UploadOptions

CURSOR_MAX = 300
FIELDS_MAX = 500
_REMEMBERED_BYTES = 500

Asked = TypeVar("Asked")
Parameters = TypeVar("Parameters", bound=Model)
Query = TypeVar("Query", PostQuery, UserQuery)
PageSize = Annotated[int, Field(ge=1, le=PAGE_SIZE_MAX, description="Items of a page")]


def _field_names(text: str) -> tuple[str, ...]:
    """Raises InvalidValue for more names than there can be; the Link header repeats them all."""
    if len(text) > FIELDS_MAX:
        raise InvalidValue("fields", f"It has more than {FIELDS_MAX} characters.", code="too_long")
    return tuple(dict.fromkeys(filter(None, text.split(","))))


FieldNames = Annotated[
    tuple[str, ...],
    BeforeValidator(_field_names),
    WithJsonSchema({"type": "string", "maxLength": FIELDS_MAX}),
]


class _ListParameters(Model):
    page: int = Field(default=1, ge=1, le=PAGE_MAX, description="Number of the page, from 1; not with `after`")
    page_size: PageSize = PAGE_SIZE
    after: str | None = Field(
        default=None, max_length=CURSOR_MAX, description="`next_cursor` of the page before: as fast at any depth"
    )
    count: Count | None = Field(
        default=None, description="How `total` is counted; `exact` by page and `none` by cursor unless asked otherwise"
    )

    @model_validator(mode="after")
    def _either_page_or_cursor(self) -> Self:
        if self.after is not None and "page" in self.model_fields_set:
            raise InvalidValue("page", "It goes with page numbers or with `after`, not with both.", code="conflict")
        return self

    def paging(self) -> dict[str, Any]:
        count = self.count or (Count.EXACT if self.after is None else Count.NONE)
        return {"page": self.page, "page_size": self.page_size, "after": self.after, "count": count}


class AuthorPostsParameters(_ListParameters):
    published: bool | None = Field(default=None, description="Published posts alone, or drafts alone")
    tag: Tag | None = Field(default=None, description="Posts that carry this tag")
    type: Types = Types.POST
    sort_by: SortBy = SortBy.PUBLISHED_AT
    order: Order = Order.DESC
    fields: FieldNames = Field(
        default=(), description="Names of the fields to answer with, joined by commas", examples=["id,title,slug"]
    )

    def query(self) -> PostQuery:
        return PostQuery(**self.paging(), **self.model_dump(include=_POST_FILTERS))


class PostListParameters(AuthorPostsParameters):
    author_id: UUID | None = None


_POST_FILTERS = {"published", "tag", "type", "sort_by", "order", "fields", "author_id"}


class EmailListParameters(_ListParameters):
    def query(self) -> UserQuery:
        return UserQuery(**self.paging())


class UserListParameters(_ListParameters):
    role: Role | None = None
    is_active: bool | None = None
    include: Literal["posts"] | None = Field(default=None, description="`posts`: each user with their newest 5")

    def query(self) -> UserQuery:
        included = self.include is not None
        return UserQuery(**self.paging(), role=self.role, is_active=self.is_active, include_posts=included)


class ImportListParameters(Model):
    page_size: PageSize = PAGE_SIZE
    after: UUID | None = Field(default=None, description="`next_cursor` of the page before")
    state: ImportState | None = None
    kind: ImportKind | None = None
    parent_id: UUID | None = Field(default=None, description="Those that try the failed rows of this import again")


class WarmingListParameters(Model):
    page_size: PageSize = PAGE_SIZE
    after: UUID | None = Field(default=None, description="`next_cursor` of the page before")


class ErrorListParameters(Model):
    page_size: PageSize = PAGE_SIZE_MAX
    after: int = Field(default=0, ge=0, lt=2**63, description="`next_cursor` of the page before")


class EventParameters(Model):
    after: int = Field(
        default=0, ge=0, lt=2**63, description="Only what is after this `revision`; as `Last-Event-ID` says it"
    )


def _remembering(parse: Callable[[bytes], Asked]) -> Callable[[bytes], Asked]:
    """Of the latest short queries; long ones would fill the memory."""
    remembered = lru_cache(maxsize=1024)(parse)
    return lambda raw: remembered(raw) if len(raw) <= _REMEMBERED_BYTES else parse(raw)


def _reader(
    parameters: type[Parameters], made: Callable[[Parameters], Asked], *, repeatable: Collection[str] = ()
) -> Callable[[Request], Asked]:
    """What a query asks for. The reader raises RequestValidationError, also for unknown and repeated names."""

    @_remembering
    def parse(raw: bytes) -> Asked:
        try:
            return made(parameters.model_validate(_pairs(raw, repeatable)))
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False)
            raise RequestValidationError([{**each, "loc": ("query", *each["loc"])} for each in found]) from None
        except InvalidValue as error:
            raise invalid_parameter(error.field, error.message, code=error.code) from None

    return lambda request: parse(request.scope["query_string"])


def _pairs(raw: bytes, repeatable: Collection[str]) -> dict[str, str | list[str]]:
    pairs: dict[str, str | list[str]] = {}
    for name, value in parse_qsl(raw.decode("latin-1"), keep_blank_values=True):
        before = pairs.get(name)
        if isinstance(before, list):
            before.append(value)
        elif before is not None:
            raise InvalidValue(name, "It is given more than once.", code="repeated")
        else:
            pairs[name] = [value] if name in repeatable else value
    return pairs


def _sound(query: Query) -> Query:
    """Its cursor is read here, so that a wrong one is told of as a parameter. Raises InvalidValue."""
    _ = query.cursor
    return query


posts_asked = _reader(PostListParameters, lambda parameters: _sound(parameters.query()))
author_posts_asked = _reader(AuthorPostsParameters, lambda parameters: _sound(parameters.query()))
users_asked = _reader(UserListParameters, lambda parameters: _sound(parameters.query()))
emails_asked = _reader(EmailListParameters, lambda parameters: _sound(parameters.query()))
imports_asked = _reader(ImportListParameters, lambda parameters: parameters)
warmings_asked = _reader(WarmingListParameters, lambda parameters: parameters)
upload_options_asked = _reader(UploadOptions, lambda options: options, repeatable=REPEATABLE_OPTIONS)
errors_asked = _reader(ErrorListParameters, lambda parameters: parameters)
events_asked = _reader(EventParameters, lambda parameters: parameters)


def links(scope: Scope, page: ListPage) -> str:
    """The Link header: first, prev, next and last, as far as they are known."""
    if page.page is None:
        return _cursor_links(scope, page.next_cursor)
    to = {"first": 1}
    if page.page > 1:
        to["prev"] = page.page - 1 if page.total_pages is None else max(1, min(page.page - 1, page.total_pages))
    if page.next_cursor is not None:
        to["next"] = page.page + 1
    if page.total_pages is not None:
        to["last"] = max(1, page.total_pages)
    return _link_header(scope, {relation: f"page={number}" for relation, number in to.items()})


def cursor_links(request: Request, next_cursor: str | None) -> str:
    """The Link header of a walk by cursor: first and next."""
    return _cursor_links(request.scope, next_cursor)


def _cursor_links(scope: Scope, next_cursor: str | None) -> str:
    to = {"first": ""}
    if next_cursor is not None:
        to["next"] = f"after={next_cursor}"
    return _link_header(scope, to)


def _link_header(scope: Scope, to: dict[str, str]) -> str:
    path = quote(scope["path"])
    kept = _kept(scope["query_string"])
    targets = {relation: "&".join(filter(None, (kept, parameter))) for relation, parameter in to.items()}
    return ", ".join(f'<{path}{"?" if query else ""}{query}>; rel="{rel}"' for rel, query in targets.items())


@_remembering
def _kept(raw: bytes) -> str:
    """All of a query but the place in the list."""
    pairs = parse_qsl(raw.decode("latin-1"), keep_blank_values=True)
    return urlencode([(name, value) for name, value in pairs if name not in ("page", "after")])
