"""What anybody may know of how this Byline is set up."""

import msgspec
from fastapi import Request, Response

from application.pages import Page, SiteShape, etag
from interfaces.http.answers import shown
from interfaces.http.openapi import ETAG, IF_NONE_MATCH, router, told
from interfaces.http.problems import MALFORMED

routes = router("/v1/settings", tag="Settings")


def site_page(site: SiteShape) -> Page:
    """Settings stay for the life of the process, so they are encoded once."""
    body = msgspec.json.encode(site)
    return Page(body, etag(1, body), public=True)


@routes.get(
    "",
    response_model=SiteShape,
    responses=told(MALFORMED, headers=ETAG, not_modified=True),
    openapi_extra={"parameters": [IF_NONE_MATCH]},
)
async def show_settings(request: Request) -> Response:
    """Name, language and currency of the site, and whether one may register."""
    return await shown(request, request.app.state.site)
