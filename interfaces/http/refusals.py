"""What FastAPI and Starlette refuse by themselves, told in the same form as the domain's refusals."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

from domain import errors
from interfaces.http import problems
from interfaces.http.problems import Refusal

_BY_STATUS = {
    400: problems.MALFORMED,
    404: problems.NO_SUCH_PATH,
    405: problems.METHOD_NOT_ALLOWED,
    408: problems.UPLOAD_STALLED,
    413: problems.BY_ERROR[errors.TooLarge],
    415: problems.UNSUPPORTED_MEDIA_TYPE,
}
# pydantic's names for what clients meet most, in plainer words; its other names are passed on.
_CODES = {"missing": "required", "extra_forbidden": "unknown_field"}
_SENTENCES = {
    "missing": "It is required.",
    "extra_forbidden": "It is not known here.",
    "tuple_type": "It must be a list.",
    "model_attributes_type": "It must be a JSON object.",
}
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
_PLACES = {"query": "parameter", "path": "parameter", "header": "header", "cookie": "cookie"}


class BodyTooLarge(HTTPException):
    """An HTTPException, since FastAPI takes any other one from a body for a malformed body."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(413, str(errors.TooLarge("The body", limit_bytes=limit_bytes)))
        self.limit_bytes = limit_bytes


def install(app: FastAPI) -> None:
    app.add_exception_handler(errors.BylineError, _refused)
    app.add_exception_handler(HTTPException, _refused_by_framework)
    app.add_exception_handler(RequestValidationError, _invalid)


def invalid_parameter(name: str, message: str, *, code: str) -> RequestValidationError:
    return _invalid_at(("query", name), message, code)


def invalid_field(name: str, message: str, *, code: str) -> RequestValidationError:
    return _invalid_at(("body", name), message, code)


def invalid_header(name: str, message: str, *, code: str) -> RequestValidationError:
    return _invalid_at(("header", name), message, code)


def _invalid_at(loc: tuple[str, ...], message: str, code: str) -> RequestValidationError:
    return RequestValidationError([{"type": code, "loc": loc, "msg": message}])


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.BylineError)  # noqa: S101 -- what it is installed for
    return problems.refusal_of(error).answer(request.scope)


async def _refused_by_framework(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 -- what it is installed for
    detail, headers, members = error.detail, dict(error.headers or {}), {}
    if error.status_code == 404:
        detail = f"There is nothing at {request.scope['path']}."
    elif error.status_code == 405:
        headers = {"allow": ", ".join(_allowed(request.scope))}
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=headers)
        detail = f"{request.method} is not allowed here; {headers['allow']} are."
    elif isinstance(error, BodyTooLarge):
        members = {"limit_bytes": error.limit_bytes}
    kind = _BY_STATUS.get(error.status_code, problems.OTHER)
    return Refusal(kind, detail, status=error.status_code, members=members, headers=headers).answer(request.scope)


def _allowed(scope: Scope) -> list[str]:
    """Of all routes of the path: Starlette names those of the first one alone."""
    routes = [route for route in scope["app"].routes if isinstance(route, Route)]
    path = next(route.path for route in routes if route.matches(scope)[0] is not Match.NONE)
    methods = {"OPTIONS"}.union(*(route.methods or () for route in routes if route.path == path))
    return sorted(methods | {"HEAD"} if "GET" in methods else methods)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 -- what it is installed for
    found: Sequence[Mapping[str, Any]] = error.errors()
    if found[0]["type"] == "json_invalid":
        reason, position = found[0]["ctx"]["error"], found[0]["loc"][-1]
        refusal = Refusal(problems.MALFORMED, f"The body is not JSON: {reason} at character {position}.")
    elif expected := _other_type_expected(request, error.body):
        refusal = Refusal(problems.UNSUPPORTED_MEDIA_TYPE, f"The body must be {expected}.")
    else:
        wrong = [_wrong_value(each) for each in found]
        names = ", ".join(dict.fromkeys(next(iter(each.values())) for each in wrong))
        refusal = Refusal(problems.VALIDATION, f"Not acceptable: {names}.", members={"errors": wrong})
    return refusal.answer(request.scope)


def _other_type_expected(request: Request, body: object) -> str | None:
    """FastAPI leaves a body as bytes where its type is not JSON, and a form empty where it is no form."""
    if isinstance(body, bytes):
        return "application/json"
    sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return _FORMS[0] if isinstance(body, FormData) and sent not in _FORMS else None


def _wrong_value(found: Mapping[str, Any]) -> dict[str, str]:
    place, *path = found["loc"]
    message, code = _SENTENCES.get(found["type"], found["msg"]), _CODES.get(found["type"], found["type"])
    cause = found.get("ctx", {}).get("error")
    if isinstance(cause, errors.InvalidValue):
        message, code = cause.message, cause.code
        if cause.field not in path and not path:
            path = [cause.field]
    kind, name = ("pointer", _pointer(path)) if place == "body" else (_PLACES[place], str(path[0]))
    return {kind: name, "detail": message, "code": code}


def _pointer(path: Sequence[str | int]) -> str:
    """A JSON pointer as a URI fragment (RFC 6901, section 6)."""
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in path)
    return "#" + "".join(f"/{quote(step, safe='~', errors='replace')}" for step in steps)
