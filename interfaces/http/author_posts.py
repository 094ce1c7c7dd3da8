"""The posts of one author."""

from dataclasses import replace
from uuid import UUID

from fastapi import Request, Response

from application.pages import PostShape
from domain import errors
from domain.ids import UserId
from interfaces.http.access import ActorNow, App, Viewer
from interfaces.http.answers import address, shown, written
from interfaces.http.openapi import (
    BODY,
    ETAG,
    INPUT,
    LINK,
    LOCATION,
    MAYBE_SIGNED_IN,
    PERMITTED,
    asks,
    router,
    told,
)
from interfaces.http.problems import MALFORMED
from interfaces.http.queries import AuthorPostsParameters, author_posts_asked, links
from interfaces.http.schemas.posts import PostCreation, PostList

routes = router("/v1/users/{user_id:uuid}/posts", tag="Posts")


@routes.get(
    "",
    response_model=PostList,
    responses=told(*(MALFORMED, *INPUT, *MAYBE_SIGNED_IN, errors.UserNotFound), headers=ETAG | LINK, not_modified=True),
    openapi_extra={**asks(AuthorPostsParameters), "security": [{}]},
)
async def list_author_posts(user_id: UUID, request: Request, app: App, viewer: Viewer) -> Response:
    """As `GET /v1/posts`, of one author."""
    author_id = UserId(user_id)
    query = replace(author_posts_asked(request), author_id=author_id)
    await app.pages.user(author_id, include_posts=False, viewer=viewer)
    page = await app.pages.posts(query, viewer=viewer)
    return await shown(request, page, links(request.scope, page))


@routes.post(
    "",
    status_code=201,
    response_model=PostShape,
    responses=told(*(*BODY, *PERMITTED, errors.UserNotFound, errors.SlugTaken), status=201, headers=ETAG | LOCATION),
)
async def create_author_post(
    user_id: UUID, creation: PostCreation, request: Request, app: App, actor: ActorNow
) -> Response:
    """For oneself; operators for any author."""
    post = await app.create_post(creation.request(UserId(user_id)), actor=actor)
    return written(await app.pages.post(post.id, viewer=actor), location=address(request, f"/v1/posts/{post.id}"))
