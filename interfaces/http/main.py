"""Byline's HTTP interface as an ASGI application, for any server: `uvicorn interfaces.http.main:app`."""

from functools import cache

from starlette.types import ASGIApp

from infrastructure.container import Container, running
from infrastructure.interpreter import collect_garbage_seldom
from infrastructure.logging import configure_logging
from infrastructure.settings import BadSettings, Settings, load_settings
from interfaces.http.app import HttpOptions, create_app
from interfaces.http.before_the_loop import answer_before_the_loop
from interfaces.http.hot import HotReads


def __getattr__(name: str) -> ASGIApp:
    """`app` is made when a server asks for it, so that merely importing this reads no settings."""
    if name == "app":
        return _app()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@cache
def _app() -> ASGIApp:
    try:
        settings = load_settings()
    except BadSettings as error:
        raise SystemExit(str(error)) from None
    configure_logging(settings)
    app = app_of(Container(settings=settings), settings)
    if isinstance(app, HotReads):
        answer_before_the_loop(app)
    collect_garbage_seldom()
    return app


def app_of(container: Container, settings: Settings) -> ASGIApp:
    options = HttpOptions(
        title=settings.site_name,
        request_timeout_s=settings.request_timeout_s,
        upload_idle_timeout_s=settings.upload_idle_timeout_s,
        max_body_bytes=settings.max_body_bytes,
        l1_max_bytes=settings.l1_max_bytes,
        l1_ttl_s=settings.l1_ttl_s,
        count_views=settings.count_views,
        views_flush_s=settings.views_flush_s,
    )
    app = create_app(lambda: running(container, listening=settings.hot), options)
    return HotReads(app) if settings.hot else app
