"""What anybody may know: settings, health, documentation."""

from typing import Any

import pytest
from fastapi.routing import APIRoute
from httpx import ASGITransport, AsyncClient

from interfaces.http.problems import TYPES
from tests.http.byline import Byline, refused
from tests.http.conftest import StartByline
from tests.http.test_lists import links


async def test_the_settings_of_the_site_are_public(start: StartByline) -> None:
    byline = await start(site_name="The Daily", currency="USD", registration="closed")

    answer = await byline.http.get("/v1/settings")

    site = answer.json()
    assert (site["name"], site["currency"], site["language"]) == ("The Daily", "USD", "en")
    assert site["registration"] == "closed"
    assert set(site) == {"name", "description", "language", "currency", "registration", "version"}


async def test_a_process_that_answers_lives(byline: Byline) -> None:
    answer = await byline.http.get("/health/live")

    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("containers", ["memory"], indirect=True)
@pytest.mark.parametrize(
    ("wrong", "status", "word"),
    [
        ({}, 200, "ready"),
        ({"redis_problem": "No answer."}, 200, "degraded"),
        ({"database_problem": "No answer."}, 503, "unready"),
        ({"migrations_problem": "Two are missing."}, 503, "unready"),
    ],
)
async def test_readiness_says_what_is_wrong(start: StartByline, wrong: dict[str, Any], status: int, word: str) -> None:
    byline = await start()
    probe = byline.container.probe()
    for name, problem in wrong.items():
        setattr(probe, name, problem)

    answer = await byline.http.get("/health/ready")

    assert answer.status_code == status
    body = answer.json()
    assert body.pop("status") == word
    assert {f"{name}_problem": problem for name, problem in body.items() if problem} == wrong


async def test_on_its_adapters_the_service_is_ready(byline: Byline) -> None:
    answer = await byline.http.get("/health/ready")

    assert (answer.status_code, answer.json()["status"]) == (200, "ready")


async def test_the_way_in_leads_to_the_documentation(byline: Byline) -> None:
    ways = (await byline.http.get("/")).json()

    assert ways["name"] == "Byline"
    for name in ("docs", "openapi", "problems", "health"):
        assert (await byline.http.get(ways[name])).status_code == 200


async def test_the_documentation_needs_no_other_host(byline: Byline) -> None:
    page = (await byline.http.get("/docs")).text

    assert "://" not in page
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon.png"):
        assert f"/docs/assets/{asset}" in page
        assert (await byline.http.get(f"/docs/assets/{asset}")).status_code == 200


async def test_the_document_has_every_operation_and_tells_refusals_as_problems(byline: Byline) -> None:
    document = (await byline.http.get("/openapi.json")).json()
    operations = {
        (method, path): operation
        for path, by_method in document["paths"].items()
        for method, operation in by_method.items()
    }

    named = [operation["operationId"] for operation in operations.values()]
    assert len(named) == len(set(named))
    routes = {(m.lower(), r.path_format) for r in byline.app.routes if isinstance(r, APIRoute) for m in r.methods or ()}
    assert {at for at in routes if at[1].startswith(("/v1", "/health"))} == set(operations)
    for (method, path), operation in operations.items():
        assert operation["tags"], path
        assert operation["description"], path
        for status, answer in operation["responses"].items():
            if status >= "400" and (status, path) != ("503", "/health/ready"):
                assert list(answer["content"]) == ["application/problem+json"], (method, path, status)
        is_bare = path.endswith(("publish", "/cancel", "/resume", "/warm"))
        takes_body = method in ("post", "put", "patch") and not is_bare
        assert ("requestBody" in operation) is takes_body
    assert {"Post", "User", "Import", "RowError", "Problem"} <= set(document["components"]["schemas"])
    assert "HTTPValidationError" not in document["components"]["schemas"]


async def test_each_type_of_problem_has_its_page(byline: Byline) -> None:
    index = (await byline.http.get("/problems")).text

    for name, kind in TYPES.items():
        page = await byline.http.get(kind.uri)
        assert page.status_code == 200
        assert str(kind.status) in page.text
        assert f'href="/problems/{name}"' in index
    refused(await byline.http.get("/problems/none"), 404, "no-such-path")
    refused(await byline.http.get("/docs/assets/none.js"), 404, "no-such-path")


async def test_links_hold_behind_a_proxy_that_adds_a_path(byline: Byline) -> None:
    ada = await byline.member()
    transport = ASGITransport(byline.app, root_path="/byline")
    async with AsyncClient(transport=transport, base_url="http://byline.test/byline") as http:
        post = await http.post("/v1/posts", json={"title": "x", "status": "published"}, headers=ada.auth)
        for path in (post.headers["location"], links((await http.get("/v1/posts")).headers["link"])["first"]):
            assert path.startswith("/byline/v1/posts")
            assert (await http.get(path.removeprefix("/byline"))).status_code == 200
        problem = (await http.get("/v1/posts/none")).json()
        assert (problem["type"], problem["instance"]) == ("/byline/problems/post-not-found", "/byline/v1/posts/none")
        assert "/byline/docs/assets/" in (await http.get("/docs")).text
        assert (await http.get("/openapi.json")).json()["servers"] == [{"url": "/byline"}]
