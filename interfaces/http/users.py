"""Users and their profiles."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Query, Request, Response

from application.pages import Page
from application.users import UserChanges
from domain import errors
from domain.actors import Actor
from domain.ids import UserId
from interfaces.http.access import ActorNow, App, OperatorNow, Viewer
from interfaces.http.answers import address, shown, written
from interfaces.http.etags import expected_version
from interfaces.http.openapi import (
    BODY,
    CONDITION,
    ETAG,
    IF_MATCH,
    IF_NONE_MATCH,
    INPUT,
    LINK,
    LOCATION,
    MAYBE_SIGNED_IN,
    PERMITTED,
    SIGNED_IN,
    asks,
    router,
    told,
)
from interfaces.http.problems import MALFORMED
from interfaces.http.queries import EmailListParameters, UserListParameters, emails_asked, links, users_asked
from interfaces.http.schemas.users import EmailList, UserList, UserPatch, UserRegistration, UserReplacement, UserShown

routes = router("/v1/users", tag="Users")

_TAKEN = (errors.UsernameTaken, errors.EmailTaken)
_CHANGE = told(
    *BODY, *CONDITION, *PERMITTED, *_TAKEN, errors.LastAdmin, errors.UserNotFound, headers=ETAG
)  # fmt: skip
_EITHER_WAY: dict[str, Any] = {"security": [{}]}
Include = Annotated[Literal["posts"] | None, Query(description="`posts`: with the newest 20 that you may see")]


@routes.post(
    "",
    status_code=201,
    response_model=UserShown,
    responses=told(
        *(*BODY, *MAYBE_SIGNED_IN, errors.NotAllowed, errors.RegistrationClosed, *_TAKEN),
        status=201,
        headers=ETAG | LOCATION,
    ),
    openapi_extra=_EITHER_WAY,
)
async def register_user(registration: UserRegistration, request: Request, app: App, actor: Viewer) -> Response:
    """Anybody may register where registration is open, else administrators alone."""
    user = await app.register_user(registration.request(), actor=actor)
    page = await app.pages.user(user.id, include_posts=False, viewer=actor or user.actor)
    return written(page, location=address(request, f"/v1/users/{user.id}"))


@routes.get(
    "",
    response_model=UserList,
    responses=told(MALFORMED, *INPUT, *MAYBE_SIGNED_IN, headers=ETAG | LINK, not_modified=True),
    openapi_extra={**asks(UserListParameters), **_EITHER_WAY},
)
async def list_users(request: Request, app: App, viewer: Viewer) -> Response:
    """The newest first. Deactivated users are shown to operators alone."""
    page = await app.pages.users(users_asked(request), viewer=viewer)
    return await shown(request, page, links(request.scope, page))


@routes.get(
    "/emails",
    response_model=EmailList,
    responses=told(MALFORMED, *INPUT, *PERMITTED, headers=ETAG | LINK, not_modified=True),
    openapi_extra=asks(EmailListParameters),
)
async def list_emails(request: Request, app: App, _operator: OperatorNow) -> Response:
    """The email addresses of active users, for operators."""
    page = await app.pages.emails(emails_asked(request))
    return await shown(request, page, links(request.scope, page))


@routes.get(
    "/me",
    response_model=UserShown,
    responses=told(MALFORMED, *INPUT, *SIGNED_IN, headers=ETAG, not_modified=True),
    openapi_extra={"parameters": [IF_NONE_MATCH]},
)
async def show_me(request: Request, app: App, actor: ActorNow, include: Include = None) -> Response:
    """Whose access token it is."""
    return await shown(request, await app.pages.user(actor.id, include_posts=include is not None, viewer=actor))


@routes.patch("/me", response_model=UserShown, responses=_CHANGE, openapi_extra={"parameters": [IF_MATCH]})
async def change_me(patch: UserPatch, request: Request, app: App, actor: ActorNow) -> Response:
    """As `PATCH /v1/users/{user_id}`, of oneself."""
    return await _change(actor.id, patch.changes(), request, app, actor)


@routes.get(
    "/{user_id:uuid}",
    response_model=UserShown,
    responses=told(MALFORMED, *INPUT, *MAYBE_SIGNED_IN, errors.UserNotFound, headers=ETAG, not_modified=True),
    openapi_extra={"parameters": [IF_NONE_MATCH], **_EITHER_WAY},
)
async def show_user(user_id: UUID, request: Request, app: App, viewer: Viewer, include: Include = None) -> Response:
    """`email` is there for the user and for operators."""
    return await shown(request, await app.pages.user(UserId(user_id), include_posts=include is not None, viewer=viewer))


@routes.patch("/{user_id:uuid}", response_model=UserShown, responses=_CHANGE, openapi_extra={"parameters": [IF_MATCH]})
async def change_user(user_id: UUID, patch: UserPatch, request: Request, app: App, actor: ActorNow) -> Response:
    """All changes or none. A new password, a new role and deactivation end the user's sessions."""
    return await _change(UserId(user_id), patch.changes(), request, app, actor)


@routes.put("/{user_id:uuid}", response_model=UserShown, responses=_CHANGE, openapi_extra={"parameters": [IF_MATCH]})
async def replace_user(
    user_id: UUID, replacement: UserReplacement, request: Request, app: App, actor: ActorNow
) -> Response:
    """As a change of every field; what is absent takes its default."""
    return await _change(UserId(user_id), replacement.changes(), request, app, actor)


@routes.delete(
    "/{user_id:uuid}",
    status_code=204,
    responses=told(
        *(*INPUT, *CONDITION, *PERMITTED, errors.UserNotFound, errors.UserHasPosts, errors.LastAdmin), status=204
    ),
    openapi_extra={"parameters": [IF_MATCH]},
)
async def delete_user(
    user_id: UUID,
    request: Request,
    app: App,
    actor: ActorNow,
    posts: Annotated[Literal["delete"] | None, Query(description="`delete`: the user's posts too")] = None,
) -> Response:
    """With profile, sessions and account; one with money in its history is made anonymous instead."""
    of = UserId(user_id)
    expected = await expected_version(request, lambda: app.pages.user(of, include_posts=False, viewer=actor))
    await app.delete_user(of, actor=actor, with_posts=posts is not None, expected=expected)
    return Response(status_code=204)


async def _change(user_id: UserId, changes: UserChanges, request: Request, app: App, actor: Actor) -> Response:
    async def read() -> Page:
        return await app.pages.user(user_id, include_posts=False, viewer=actor)

    await app.change_user(user_id, changes, actor=actor, expected=await expected_version(request, read))
    return written(await read())
