"""Refusals as RFC 9457 problems: one table from the domain's errors to types, statuses and titles."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from starlette.responses import Response
from starlette.types import Scope

from domain import errors

MEDIA_TYPE = "application/problem+json"
REQUEST_ID = "byline.request_id"


@dataclass(frozen=True, slots=True)
class ProblemType:
    """`name` is the last part of its URI, `/problems/<name>`, where `about` says what to do about it."""

    name: str
    status: int
    title: str
    about: str

    @property
    def uri(self) -> str:
        return f"/problems/{self.name}"


def _type(status: int, name: str, title: str, about: str) -> ProblemType:
    return ProblemType(name, status, title, about)


# Of the protocol itself.
MALFORMED = _type(
    400,
    "malformed-request",
    "The request cannot be read",
    "The body is not JSON, a form is cut short, or a header breaks its grammar. `detail` says which; repeating the same"
    " request will not help.",
)
VALIDATION = _type(
    422,
    "validation",
    "Some values are not acceptable",
    "`errors` names every wrong value: `pointer` is a JSON pointer into the body (`#/profile/website`), `parameter` or"
    " `header` a name outside it; `code` is stable and made for programs, `detail` for people.",
)
NO_SUCH_PATH = _type(404, "no-such-path", "There is nothing at this address", "The path is not one of the API's.")
METHOD_NOT_ALLOWED = _type(
    405,
    "method-not-allowed",
    "The method is not allowed here",
    "The `Allow` header names those that are.",
)
UNSUPPORTED_MEDIA_TYPE = _type(
    415,
    "unsupported-media-type",
    "The body is of a type that is not read here",
    "`detail` names the types that are; say which one you send in `Content-Type`.",
)
UPLOAD_STALLED = _type(
    408,
    "upload-stalled",
    "The upload stood still for too long",
    "Nothing of it was kept. Send it again over a connection that does not pause that long.",
)
TIMED_OUT = _type(
    503,
    "timed-out",
    "The request took too long",
    "It was given up. Wait for as long as `Retry-After` says; whether a change was made can be seen by reading.",
)
INTERNAL = _type(
    500,
    "internal-error",
    "Something went wrong on our side",
    "It is logged under `request_id`; name it when you report this.",
)
OTHER = _type(400, "http-error", "The request cannot be answered", "`detail` says why.")

# Of the domain: the most specific class that an error is of decides, so that every error has a row.
BY_ERROR: Mapping[type[errors.BylineError], ProblemType] = {
    errors.InvalidValue: VALIDATION,
    errors.UserNotFound: _type(404, "user-not-found", "There is no such user", "Or not one that you may see."),
    errors.PostNotFound: _type(
        404,
        "post-not-found",
        "There is no such post",
        "Or it is a draft, which its author and operators alone may see.",
    ),
    errors.AccountNotFound: _type(404, "account-not-found", "There is no such account", "It is gone."),
    errors.ImportNotFound: _type(404, "import-not-found", "There is no such import", "It is gone."),
    errors.WarmingNotFound: _type(404, "warming-not-found", "There is no such warming", "It was kept no longer."),
    errors.BlobNotFound: _type(404, "file-not-found", "The stored file is gone", "Send it again."),
    errors.NotFound: _type(404, "not-found", "There is no such thing", "Or none that you may see."),
    errors.BadCredentials: _type(
        401,
        "bad-credentials",
        "The username or the password is wrong",
        "An unknown user, a wrong password and a deactivated user are answered alike.",
    ),
    errors.TokenReused: _type(
        401,
        "token-reused",
        "The refresh token was used before",
        "A refresh token is good for one use. That it came back may mean that it was stolen, so the whole session is"
        " revoked. Sign in again.",
    ),
    errors.InvalidToken: _type(
        401,
        "invalid-token",
        "The token is invalid or has expired",
        "Refresh it at `POST /v1/auth/refresh`, or sign in again.",
    ),
    errors.NotAuthenticated: _type(
        401,
        "not-authenticated",
        "This needs a sign-in",
        "Send `Authorization: Bearer <access token>`; `POST /v1/auth/token` gives one.",
    ),
    errors.RegistrationClosed: _type(
        403, "registration-closed", "Registration is closed", "An administrator can make an account."
    ),
    errors.NotAllowed: _type(
        403, "not-allowed", "You may not do this", "`detail` says who may. Signing in anew won't help."
    ),
    errors.UsernameTaken: _type(
        409,
        "username-taken",
        "The username is taken",
        "Usernames that differ by case alone are one. Choose another.",
    ),
    errors.EmailTaken: _type(
        409, "email-taken", "The email address belongs to another user", "Sign in as that user instead."
    ),
    errors.SlugTaken: _type(
        409,
        "slug-taken",
        "The slug belongs to another post",
        "Choose another, or name none when you create a post: a free one is made from the title.",
    ),
    errors.ExternalIdTaken: _type(
        409, "external-id-taken", "A post of that source and external id exists", "Change that one."
    ),
    errors.UserHasPosts: _type(
        409, "user-has-posts", "The user has posts", "Repeat with `?posts=delete` to delete them too."
    ),
    errors.LastAdmin: _type(
        409,
        "last-admin",
        "This is the last active administrator",
        "Make somebody else an administrator first.",
    ),
    errors.WrongState: _type(
        409, "wrong-state", "It is not in a state for this", "`detail` says which state it is in."
    ),
    errors.IdempotencyKeyReused: _type(
        422,
        "idempotency-key-reused",
        "The Idempotency-Key was used for another request",
        "A key stands for one file and its options: repeated with the same, it answers with the job that it made. Use a"
        " new key for this request.",
    ),
    errors.Conflict: _type(409, "conflict", "What is stored speaks against it", "`detail` says what does."),
    errors.LeaseLost: _type(409, "lease-lost", "Another worker has taken the job over", "Nothing was written."),
    errors.StaleVersion: _type(
        409,
        "edited-meanwhile",
        "It was changed while your change was under way",
        "Nothing was written. Read it again and repeat your change.",
    ),
    errors.VersionMismatch: _type(
        412,
        "version-mismatch",
        "It was changed since you read it",
        "`If-Match` names another version than the stored `current_version`. Read it again and repeat your change.",
    ),
    errors.TooLarge: _type(413, "too-large", "The body is too large", "`detail` names the limit."),
    errors.StorageFull: _type(
        507,
        "storage-full",
        "There is no space left to store the upload",
        "Nothing of it was kept. An operator must make room.",
    ),
    errors.Busy: _type(
        503,
        "busy",
        "The service is busy",
        "Nothing was done. Repeat the same request after `Retry-After` seconds.",
    ),
    errors.Unavailable: _type(
        503,
        "unavailable",
        "Something this needs cannot be reached",
        "Repeat the same request after `Retry-After` seconds.",
    ),
    errors.BylineError: _type(400, "refused", "The request was refused", "`detail` says why."),
}

_OF_THE_PROTOCOL = (
    *(MALFORMED, VALIDATION, NO_SUCH_PATH, METHOD_NOT_ALLOWED, UNSUPPORTED_MEDIA_TYPE),
    *(UPLOAD_STALLED, TIMED_OUT, INTERNAL, OTHER),
)
TYPES: Mapping[str, ProblemType] = {kind.name: kind for kind in (*BY_ERROR.values(), *_OF_THE_PROTOCOL)}


def type_of(error: errors.BylineError) -> ProblemType:
    return next(BY_ERROR[cls] for cls in type(error).__mro__ if cls in BY_ERROR)


@dataclass(frozen=True, slots=True)
class Refusal:
    """`members` are the problem's own, beside those that all have."""

    type: ProblemType
    detail: str
    status: int | None = None
    members: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def answer(self, scope: Scope) -> Response:
        status = self.status or self.type.status
        body = {
            "type": scope.get("root_path", "") + self.type.uri,
            "title": self.type.title,
            "status": status,
            "detail": self.detail,
            "instance": quote(scope["path"], errors="replace"),
            "request_id": scope.get(REQUEST_ID),
            **self.members,
        }
        # json, not a faster encoder: it escapes half surrogates, which a refused value may well hold.
        headers = {"cache-control": "no-store", **self.headers}
        content = json.dumps(body, separators=(",", ":"))
        return Response(content, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def refusal_of(error: errors.BylineError) -> Refusal:
    kind = type_of(error)
    match error:
        case errors.InvalidValue():
            wrong = {"pointer": f"#/{error.field}", "detail": error.message, "code": error.code}
            return Refusal(kind, f"{error.field}: {error.message}", members={"errors": [wrong]})
        case errors.VersionMismatch():
            return Refusal(kind, str(error), members={"current_version": error.current})
        case errors.TooLarge():
            return Refusal(kind, str(error), members={"limit_bytes": error.limit_bytes})
        case errors.InvalidToken():
            return Refusal(kind, str(error), headers={"www-authenticate": 'Bearer error="invalid_token"'})
        case errors.NotAuthenticated():
            return Refusal(kind, str(error), headers={"www-authenticate": "Bearer"})
        case errors.Busy() | errors.Unavailable():
            return Refusal(kind, str(error), headers={"retry-after": str(error.retry_after_s)})
    return Refusal(kind, str(error))
