"""The cache, for operators: its figures, warming it, forgetting."""

from dataclasses import asdict
from uuid import UUID

from fastapi import Request, Response

from domain import errors
from domain.ids import WarmingId
from domain.warmings import Warming
from interfaces.http.access import App, OperatorNow
from interfaces.http.answers import address, encoded, encoded_list
from interfaces.http.openapi import BODY, INPUT, LINK, LOCATION, PERMITTED, asks, router, told
from interfaces.http.queries import WarmingListParameters, warmings_asked
from interfaces.http.schemas.cache import CacheShown, ForgetBody, ForgottenShown, WarmingList, WarmingShown

routes = router("/v1/cache", tag="Cache")


@routes.get("", response_model=CacheShown, responses=told(*PERMITTED))
async def cache_stats(request: Request, app: App, actor: OperatorNow) -> Response:
    """How much there is of it, and how often it helped."""
    figures = await app.cache_stats(actor=actor)
    process = {"reads": asdict(figures.reads), "l1": request.app.state.local_pages.stats()}
    return encoded(CacheShown(figures.shared, process))


@routes.post("/forget", response_model=ForgottenShown, responses=told(*BODY, *PERMITTED))
async def forget_pages(app: App, actor: OperatorNow, body: ForgetBody | None = None) -> Response:
    """Pages that are loaded anew when they are next asked for: all of them, or at least those that show the posts and
    users named. Only needed after the database was changed by other means than Byline; where slugs, tags or authors of
    posts were, forget all."""
    named = (body or ForgetBody()).named()
    return encoded(ForgottenShown(await app.forget_pages(named, actor=actor)))


@routes.post(
    "/warm", status_code=202, response_model=WarmingShown, responses=told(*PERMITTED, status=202, headers=LOCATION)
)
async def request_warming(request: Request, app: App, actor: OperatorNow) -> Response:
    """A worker reads the pages that were read most lately and the first ones of the common lists. While one is queued
    already, that one."""
    warming = await app.request_warming(actor=actor)
    return _shown(warming, status=202, headers={"location": address(request, f"/v1/cache/warmings/{warming.id}")})


@routes.get(
    "/warmings",
    response_model=WarmingList,
    responses=told(*INPUT, *PERMITTED, headers=LINK),
    openapi_extra=asks(WarmingListParameters),
)
async def list_warmings(request: Request, app: App, actor: OperatorNow) -> Response:
    """The newest first, by cursor. They are kept for a week, the last 100 of them."""
    asked = warmings_asked(request)
    before = None if asked.after is None else WarmingId(asked.after)
    found = await app.list_warmings(asked.page_size + 1, before=before, actor=actor)
    items = found[: asked.page_size]
    next_cursor = str(items[-1].id) if len(found) > len(items) else None
    return encoded_list(request, [WarmingShown.of(warming) for warming in items], asked.page_size, next_cursor)


@routes.get(
    "/warmings/{warming_id:uuid}", response_model=WarmingShown, responses=told(*PERMITTED, errors.WarmingNotFound)
)
async def show_warming(warming_id: UUID, app: App, actor: OperatorNow) -> Response:
    """How it goes, or what it did."""
    return _shown(await app.show_warming(WarmingId(warming_id), actor=actor))


def _shown(warming: Warming, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return encoded(WarmingShown.of(warming), status=status, headers=headers)
