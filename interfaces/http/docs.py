"""Pages for people: the way in, the documentation, and what each type of problem means."""

from html import escape

from fastapi import APIRouter, Request
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.staticfiles import StaticFiles

from interfaces.http.problems import TYPES, ProblemType

routes = APIRouter(include_in_schema=False)

# Swagger UI from our own address, not from a CDN: it works offline, and nobody is told who reads the documentation.
_assets = StaticFiles(packages=[("fastapi_offline", "static")])

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>body {{ font: 1rem/1.5 system-ui; max-width: 40rem; margin: 3rem auto; padding: 0 1rem }}
code {{ background: #8881; padding: 0 .2em }}</style><h1>{title}</h1>{body}</html>"""


@routes.get("/")
async def show_way_in(request: Request) -> Response:
    """Where the API and what is told about it can be found."""
    root = request.scope.get("root_path", "")
    ways = {
        "api": "/v1",
        "docs": "/docs",
        "openapi": "/openapi.json",
        "problems": "/problems",
        "health": "/health/ready",
    }
    links = f'<{root}/docs>; rel="service-doc", <{root}/openapi.json>; rel="service-desc"'
    told = {"name": request.app.title, **{name: root + path for name, path in ways.items()}}
    return JSONResponse(told, headers={"link": links})


@routes.get("/docs")
async def show_docs(request: Request) -> Response:
    root = request.scope.get("root_path", "")
    return get_swagger_ui_html(
        openapi_url=f"{root}/openapi.json",
        title=f"{request.app.title}: API",
        swagger_js_url=f"{root}/docs/assets/swagger-ui-bundle.js",
        swagger_css_url=f"{root}/docs/assets/swagger-ui.css",
        swagger_favicon_url=f"{root}/docs/assets/favicon.png",
        swagger_ui_parameters={"persistAuthorization": True, "displayRequestDuration": True, "filter": True},
    )


@routes.get("/docs/assets/{name}")
async def show_asset(name: str, request: Request) -> Response:
    return await _assets.get_response(name, request.scope)


@routes.get("/problems")
async def list_problems(request: Request) -> Response:
    root = request.scope.get("root_path", "")
    rows = (
        f'<li><a href="{root}{kind.uri}">{escape(kind.name)}</a> ({kind.status}): {escape(kind.title)}</li>'
        for kind in sorted(TYPES.values(), key=lambda kind: (kind.status, kind.name))
    )
    return HTMLResponse(_PAGE.format(title="Problems", body=f"<ul>{''.join(rows)}</ul>"))


@routes.get("/problems/{name}")
async def show_problem(name: str) -> Response:
    kind = TYPES.get(name)
    if kind is None:
        raise HTTPException(404)
    return HTMLResponse(_PAGE.format(title=escape(kind.title), body=_about(kind)))


def _about(kind: ProblemType) -> str:
    text = "".join(
        f"<code>{escape(part)}</code>" if is_code else escape(part)
        for is_code, part in ((index % 2, part) for index, part in enumerate(kind.about.split("`")))
    )
    return f"<p>Status {kind.status}, type <code>{escape(kind.uri)}</code>.</p><p>{text}</p>"
