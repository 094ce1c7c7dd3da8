"""The HTTP application, over whatever use cases it is given."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version

from fastapi import FastAPI

from application.use_cases import UseCases
from interfaces.http import (
    auth,
    author_posts,
    cache,
    docs,
    health,
    import_reports,
    import_uploads,
    imports,
    posts,
    refusals,
    settings,
    users,
)
from interfaces.http.background import background, periodics
from interfaces.http.local_pages import LocalPages
from interfaces.http.middleware import RequestFrame
from interfaces.http.openapi import DESCRIPTION, TAGS, document
from interfaces.http.streams import OpenStreams, stopped_by_signals

VIEWS_DRAIN_S = 8.0
"""How long a process that is to end may take over the views that it has counted."""

# In the order in which they are asked: the hot routes first.
_FEATURES = (posts, users, author_posts, auth, imports, import_reports, import_uploads, cache, settings, health, docs)


@dataclass(frozen=True, slots=True)
class HttpOptions:
    title: str = "Byline"
    request_timeout_s: float = 10.0
    upload_idle_timeout_s: float = 30.0
    max_body_bytes: int = 2 * 1024 * 1024
    event_beat_s: float = 15.0
    event_streams_max: int = 50
    l1_max_bytes: int = 64 * 1024 * 1024
    l1_ttl_s: float = 10.0
    count_views: bool = True
    views_flush_s: float = 0.5


def _uncounted(_: bytes) -> None:
    """Views that nobody wants counted."""


def create_app(build: Callable[[], AbstractAsyncContextManager[UseCases]], options: HttpOptions) -> FastAPI:
    """`build` gives the use cases, opened when the application starts and closed when it stops."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with build() as use_cases:
            app.state.use_cases = use_cases
            app.state.site = settings.site_page(use_cases.site)
            app.state.streams = OpenStreams(options.event_streams_max)
            app.state.count_view = use_cases.views.count_packed if options.count_views else _uncounted
            app.state.local_pages = LocalPages(
                use_cases.host_tokens, max_bytes=options.l1_max_bytes, ttl_s=options.l1_ttl_s
            )
            try:
                with stopped_by_signals(app.state.streams.stop):
                    async with background(periodics(use_cases, app.state.local_pages, flush_s=options.views_flush_s)):
                        yield
            finally:
                await use_cases.views.drain(within_s=VIEWS_DRAIN_S)

    app = FastAPI(
        title=options.title,
        version=version("byline"),
        description=DESCRIPTION,
        openapi_tags=TAGS,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.upload_idle_timeout_s = options.upload_idle_timeout_s
    app.state.event_beat_s = options.event_beat_s
    # Not through include_router, which matches each request twice and costs as much again as most of FastAPI.
    for feature in _FEATURES:
        app.router.routes.extend(feature.routes.routes)
    refusals.install(app)
    app.openapi = document(app)  # type: ignore[method-assign]  # the way that FastAPI documents
    app.add_middleware(RequestFrame, timeout_s=options.request_timeout_s, max_body_bytes=options.max_body_bytes)
    return app
