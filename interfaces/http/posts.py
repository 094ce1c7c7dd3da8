"""Posts, by id or by slug."""

from functools import partial
from uuid import UUID

import msgspec
from fastapi import Request, Response

from application.pages import PostShape
from application.posts import PostChanges
from application.use_cases import UseCases
from domain import errors
from domain.actors import Actor
from domain.errors import InvalidValue, PostNotFound
from domain.ids import PostId
from domain.posts import Slug, post_ref
from interfaces.http.access import OPTIONAL_SIGN_IN, ActorNow, App, opened, viewer_of
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
from interfaces.http.queries import PostListParameters, links, posts_asked
from interfaces.http.schemas.posts import PostCreation, PostList, PostPatch, PostReplacement

routes = router("/v1/posts", tag="Posts")

_CHANGE = told(*BODY, *CONDITION, *PERMITTED, errors.PostNotFound, errors.SlugTaken, headers=ETAG)
_STATE = told(*CONDITION, *PERMITTED, errors.PostNotFound, headers=ETAG)
_GUARDED = {"parameters": [IF_MATCH]}


# The two hot ones come first, and take the request alone: each route passed over and each dependency costs them.
@routes.get(
    "/{ref}",
    response_model=PostShape,
    responses=told(MALFORMED, *MAYBE_SIGNED_IN, errors.PostNotFound, headers=ETAG, not_modified=True),
    openapi_extra={"parameters": [IF_NONE_MATCH], **OPTIONAL_SIGN_IN},
)
async def show_post(ref: str, request: Request) -> Response:
    """By id or slug. Drafts are there for their author and for operators."""
    return await shown(request, await opened(request).pages.post(ref_of(ref), viewer=await viewer_of(request)))


@routes.get(
    "",
    response_model=PostList,
    responses=told(MALFORMED, *INPUT, *MAYBE_SIGNED_IN, headers=ETAG | LINK, not_modified=True),
    openapi_extra={**asks(PostListParameters), **OPTIONAL_SIGN_IN},
)
async def list_posts(request: Request) -> Response:
    """All that you may see, the newest first unless asked otherwise."""
    page = await opened(request).pages.posts(posts_asked(request), viewer=await viewer_of(request))
    return await shown(request, page, links(request.scope, page))


@routes.post(
    "",
    status_code=201,
    response_model=PostShape,
    responses=told(*BODY, *SIGNED_IN, errors.SlugTaken, status=201, headers=ETAG | LOCATION),
)
async def create_post(creation: PostCreation, request: Request, app: App, actor: ActorNow) -> Response:
    """A draft of your own, unless its status says `published`."""
    post = await app.create_post(creation.request(), actor=actor)
    return written(await app.pages.post(post.id, viewer=actor), location=address(request, f"/v1/posts/{post.id}"))


@routes.put("/{ref}", response_model=PostShape, responses=_CHANGE, openapi_extra=_GUARDED)
async def replace_post(ref: str, replacement: PostReplacement, request: Request, app: App, actor: ActorNow) -> Response:
    """As a change of every field; what is absent takes its default. The slug stays, unless another is named."""
    return await _change(ref, replacement.changes(), request, app, actor)


@routes.patch("/{ref}", response_model=PostShape, responses=_CHANGE, openapi_extra=_GUARDED)
async def change_post(ref: str, patch: PostPatch, request: Request, app: App, actor: ActorNow) -> Response:
    """All changes or none. The slug stays when the title changes, unless another is named."""
    return await _change(ref, patch.changes(), request, app, actor)


@routes.delete(
    "/{ref}",
    status_code=204,
    responses=told(*CONDITION, *PERMITTED, errors.PostNotFound, status=204),
    openapi_extra=_GUARDED,
)
async def delete_post(ref: str, request: Request, app: App, actor: ActorNow) -> Response:
    """For good."""
    post_id = await _post_id(ref, app, actor)
    await app.delete_post(post_id, actor=actor, expected=await _expected(post_id, request, app, actor))
    return Response(status_code=204)


@routes.post("/{ref}/publish", response_model=PostShape, responses=_STATE, openapi_extra=_GUARDED)
async def publish_post(ref: str, request: Request, app: App, actor: ActorNow) -> Response:
    """One that is published already stays as it is. The first `published_at` stays for good."""
    post_id = await _post_id(ref, app, actor)
    await app.publish_post(post_id, actor=actor, expected=await _expected(post_id, request, app, actor))
    return written(await app.pages.post(post_id, viewer=actor))


@routes.post("/{ref}/unpublish", response_model=PostShape, responses=_STATE, openapi_extra=_GUARDED)
async def unpublish_post(ref: str, request: Request, app: App, actor: ActorNow) -> Response:
    """A draft stays as it is."""
    post_id = await _post_id(ref, app, actor)
    await app.unpublish_post(post_id, actor=actor, expected=await _expected(post_id, request, app, actor))
    return written(await app.pages.post(post_id, viewer=actor))


async def _change(ref: str, changes: PostChanges, request: Request, app: UseCases, actor: Actor) -> Response:
    post_id = await _post_id(ref, app, actor)
    await app.change_post(post_id, changes, actor=actor, expected=await _expected(post_id, request, app, actor))
    return written(await app.pages.post(post_id, viewer=actor))


async def _expected(post_id: PostId, request: Request, app: UseCases, actor: Actor) -> int | None:
    return await expected_version(request, partial(app.pages.post, post_id, viewer=actor))


def ref_of(text: str) -> PostId | Slug:
    """Raises PostNotFound for what is neither."""
    try:
        return post_ref(text)
    except InvalidValue:
        raise PostNotFound(text) from None


class _Identity(msgspec.Struct):
    id: UUID


async def _post_id(ref: str, app: UseCases, actor: Actor) -> PostId:
    """Raises PostNotFound."""
    known = ref_of(ref)
    if not isinstance(known, Slug):
        return known
    page = await app.pages.post(known, viewer=actor)
    return PostId(msgspec.json.decode(page.body, type=_Identity).id)
