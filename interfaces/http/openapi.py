"""What the OpenAPI document says beyond what FastAPI reads from signatures: refusals, headers, queries of lists."""

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import MISSING, BaseModel, Field

from domain import errors
from interfaces.http import problems
from interfaces.http.problems import MEDIA_TYPE, ProblemType

Responses = dict[int | str, dict[str, Any]]
Cause = type[errors.BylineError] | ProblemType

DESCRIPTION = """
A headless publishing service: users, posts, and bulk imports.

**Signing in.** `POST /v1/auth/token` with a username (or email address) and a password gives an access token for
`Authorization: Bearer …`, and a refresh token that is good for one use at `POST /v1/auth/refresh`. Much can be read
without: published posts, users without their email addresses, the settings.

**Lists** come by `page` and `page_size`, with `total` and `total_pages`, or by cursor: pass `next_cursor` as `after`,
and every item is seen once whatever is written meanwhile, as fast at any depth. `Link` headers name the pages around.

**Caching and safe changes.** Resources carry an `ETag`. Send it back as `If-None-Match` and get 304 while nothing has
changed; as `If-Match` with a change, and get 412 where somebody else changed it first.

**Errors** are problems (RFC 9457): `type` names the kind and leads to a page about it, `detail` says what was wrong,
`errors` which values, `request_id` what to name in a report. Fields and parameters that are unknown are refused.
"""

TAGS = [
    {"name": "Posts", "description": "Written by authors, as drafts first; published for all to read."},
    {"name": "Users", "description": "Who writes and who runs the place, each with a profile."},
    {"name": "Signing in", "description": "Access tokens, and refresh tokens for one use each."},
    {"name": "Imports", "description": "Whole archives in one file, for operators."},
    {"name": "Cache", "description": "Its figures, warming it, and having it forget, for operators."},
    {"name": "Settings", "description": "What the site is called, and whether one may register."},
    {"name": "Health", "description": "For whoever watches over the service."},
]

# Every operation's own, whatever it does.
_ALWAYS: tuple[Cause, ...] = (problems.INTERNAL, errors.Busy, errors.Unavailable, problems.TIMED_OUT)
# What else may be wrong with a JSON body or a form, with a query or a path, with who calls.
BODY: tuple[Cause, ...] = (problems.MALFORMED, problems.VALIDATION, problems.UNSUPPORTED_MEDIA_TYPE, errors.TooLarge)
INPUT: tuple[Cause, ...] = (problems.VALIDATION,)
CONDITION: tuple[Cause, ...] = (problems.MALFORMED, errors.VersionMismatch, errors.StaleVersion)
MAYBE_SIGNED_IN: tuple[Cause, ...] = (errors.NotAuthenticated, errors.InvalidToken)
SIGNED_IN: tuple[Cause, ...] = (errors.NotAuthenticated, errors.InvalidToken)
PERMITTED: tuple[Cause, ...] = (*SIGNED_IN, errors.NotAllowed)


_TAG = '(W/)?"[!#-~]*"'


def _header(description: str, *, required: bool = True) -> dict[str, Any]:
    return {"description": description, "required": required, "schema": {"type": "string"}}


ETAG = {"ETag": _header('Version and digest of what is answered, as in `"3-0f1e2d3c4b5a6978"`.')}
LOCATION = {"Location": _header("The address of what was made.")}
LINK = {"Link": _header("`first`, `prev`, `next` and `last` page, as far as they are known (RFC 8288).")}
_OF_A_REFUSAL = {
    401: {"WWW-Authenticate": _header("`Bearer` (RFC 6750).")},
    503: {"Retry-After": _header("Seconds to wait before the next try.")},
}


def parameter(name: str, description: str, pattern: str = f"^(\\*|{_TAG}(, {_TAG})*)$") -> dict[str, Any]:
    schema = {"type": "string", "pattern": pattern}
    return {"in": "header", "name": name, "description": description, "schema": schema}


IF_MATCH = parameter("If-Match", "ETag of what is to be changed: 412 where its version is not the stored one any more.")
IF_NONE_MATCH = parameter("If-None-Match", "ETag of what you have: 304 while it is what you would get.")


def router(prefix: str, *, tag: str) -> APIRouter:
    """Its operations are called as their functions are: by the names of the use cases."""
    return APIRouter(prefix=prefix, tags=[tag], generate_unique_id_function=lambda route: route.name)


def told(
    *causes: Cause,
    status: int = 200,
    headers: dict[str, Any] | None = None,
    not_modified: bool = False,
    content: dict[str, Any] | None = None,
) -> Responses:
    """An operation's responses: the headers of the good one of `status`, the schema by its media type where it is not
    JSON, and every refusal, `_ALWAYS` included."""
    kinds: dict[int, list[ProblemType]] = {}
    for cause in (*causes, *_ALWAYS):
        kind = cause if isinstance(cause, ProblemType) else problems.BY_ERROR[cause]
        if kind not in kinds.setdefault(kind.status, []):
            kinds[kind.status].append(kind)
    responses: Responses = {code: _refusal(code, kinds[code]) for code in sorted(kinds)}
    responses[status] = {"headers": headers or {}}
    if content is not None:
        responses[status]["content"] = {media_type: {"schema": schema} for media_type, schema in content.items()}
    if not_modified:
        responses[304] = {"description": "It is what you have", "headers": ETAG}
    return responses


def _refusal(status: int, kinds: Iterable[ProblemType]) -> dict[str, Any]:
    examples = {
        kind.name: {
            "summary": kind.title,
            "value": {
                "type": kind.uri,
                "title": kind.title,
                "status": kind.status,
                "detail": kind.title,
                "instance": "/v1/…",
                "request_id": "9f86d081884c7d65",
            },
        }
        for kind in kinds
    }
    return {
        "description": "; ".join(kind.title for kind in kinds),
        "headers": _OF_A_REFUSAL.get(status, {}),
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": examples}},
    }


def asks(parameters: type[BaseModel], *headers: dict[str, Any]) -> dict[str, Any]:
    """The query that a handler reads by itself, and headers, for `openapi_extra`."""
    properties = parameters.model_json_schema()["properties"]
    query = [
        {
            "in": "query",
            "name": name,
            "required": False,
            "description": properties[name].get("description", ""),
            "schema": schema,
        }
        for name, schema in fields_of(parameters).items()
    ]
    return {"parameters": [*query, *headers]}


def fields_of(parameters: type[BaseModel]) -> dict[str, Any]:
    """The schema of each, without references and null, which neither a query nor a form can hold."""
    schema = parameters.model_json_schema()
    return {name: _plain(found, schema.get("$defs", {})) for name, found in schema["properties"].items()}


def _plain(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in schema.items() if key not in ("title", "description", "anyOf", "$ref")}
    if kept.get("default") in (None, []):
        kept.pop("default", None)
    for option in schema.get("anyOf", ()):
        if option.get("type") != "null":
            kept |= _plain(option, definitions)
    if "$ref" in schema:
        kept |= _plain(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    return kept


class WrongValue(BaseModel):
    """One value that is not acceptable: in the body (`pointer`), or in the query, the path or a header."""

    pointer: str | MISSING = Field(default=MISSING, examples=["#/profile/website"])
    parameter: str | MISSING = Field(default=MISSING, examples=["page_size"])
    header: str | MISSING = MISSING
    detail: str
    code: str = Field(examples=["too_long"])


class Problem(BaseModel):
    """RFC 9457. `errors` is there for values that are not acceptable, `current_version` for a version mismatch,
    `limit_bytes` for a body that is too large."""

    type: str = Field(json_schema_extra={"format": "uri-reference"})
    title: str
    status: int
    detail: str
    instance: str = Field(json_schema_extra={"format": "uri-reference"})
    request_id: str
    errors: list[WrongValue] | MISSING = MISSING
    current_version: int | MISSING | None = MISSING
    limit_bytes: int | MISSING = MISSING


def _in_our_words(made: dict[str, Any]) -> dict[str, Any]:
    """Without the form of errors that FastAPI adds by itself, and with shapes called by what they show."""
    for name in ("HTTPValidationError", "ValidationError"):
        made["components"]["schemas"].pop(name, None)
    for operation in (operation for path in made["paths"].values() for operation in path.values()):
        if "application/json" in operation["responses"].get("422", {}).get("content", {}):
            del operation["responses"]["422"]
    renamed: dict[str, Any] = json.loads(re.sub(r"\b([A-Z]\w*)(?:Shape|Shown)\b", r"\1", json.dumps(made)))
    return renamed


def document(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """What `app.openapi` is to be: made once, with the schema of problems, which no signature names."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                tags=app.openapi_tags,
                routes=[route for route in app.routes if isinstance(route, APIRoute)],
            )
            problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            made["components"]["schemas"] |= {**problem.pop("$defs"), "Problem": problem}
            app.openapi_schema = _in_our_words(made)
        return app.openapi_schema

    return openapi
