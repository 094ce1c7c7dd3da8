"""What is refused before any use case is asked, and what every refusal has."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from dependency_injector import providers
from structlog.testing import capture_logs

from application.pages import Page
from domain import errors
from domain.errors import BylineError
from infrastructure.container import Container
from interfaces.http.app import HttpOptions
from interfaces.http.problems import BY_ERROR, TYPES, type_of
from tests.http.byline import Byline, refused
from tests.http.conftest import StartByline

JSON = {"content-type": "application/json"}


class Reading:
    """In the place of all pages: `read` is what becomes of reading a post."""

    def __init__(self, read: Any) -> None:
        self._read = read

    async def post(self, *_: Any, **__: Any) -> Page:
        answer = await self._read()
        assert isinstance(answer, Page)
        return answer


async def reading(start: StartByline, read: Any, options: HttpOptions | None = None) -> Byline:
    def prepare(container: Container) -> None:
        container.source.override(providers.Object(Reading(read)))

    return await start(prepare=prepare, options=options)


def raising(error: BaseException) -> Any:
    async def read() -> Page:
        raise error

    return read


def _all_errors(of: type[BylineError] = BylineError) -> list[type[BylineError]]:
    found = [of, *(each for child in of.__subclasses__() for each in _all_errors(child))]
    return [each for each in found if each.__module__ == errors.__name__]


def test_every_error_of_the_domain_has_its_own_row() -> None:
    assert {error.__name__ for error in _all_errors()} == {error.__name__ for error in BY_ERROR}
    assert len(TYPES) >= len(BY_ERROR)
    assert all(kind.status >= 400 for kind in TYPES.values())


def test_an_error_that_has_no_row_is_told_as_its_nearest_parent() -> None:
    class NoSuchChapter(errors.PostNotFound):
        pass

    assert type_of(NoSuchChapter("x")).name == "post-not-found"


async def test_there_is_nothing_at_an_unknown_path(byline: Byline) -> None:
    for path in ("/nothing", "/v1", "/v1/posts/", "/v1/posts/a/b", "/v2/posts", "/%ff%00"):
        for method in ("GET", "POST", "DELETE"):
            refused(await byline.http.request(method, path), 404, "no-such-path")


async def test_a_method_that_is_not_there_is_told_with_those_that_are(byline: Byline) -> None:
    for path, allowed in (
        ("/v1/posts", "GET, HEAD, OPTIONS, POST"),
        ("/v1/posts/x", "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"),
        ("/v1/posts/x/publish", "OPTIONS, POST"),
        ("/v1/auth/token", "OPTIONS, POST"),
        ("/v1/users/me", "GET, HEAD, OPTIONS, PATCH"),
        ("/v1/users/emails", "GET, HEAD, OPTIONS"),
        ("/v1/settings", "GET, HEAD, OPTIONS"),
    ):
        answer = await byline.http.request("TRACE", path)
        refused(answer, 405, "method-not-allowed")
        assert answer.headers["allow"] == allowed
        options = await byline.http.options(path)
        assert (options.status_code, options.headers["allow"], options.content) == (204, allowed, b"")


async def test_head_is_get_without_a_body(byline: Byline) -> None:
    ada = await byline.member()
    post = await byline.post(ada)

    for path in (
        *("/v1/posts", f"/v1/posts/{post['slug']}", "/v1/users", f"/v1/users/{ada.id}", "/v1/users/me", "/v1/settings"),
        *("/health/live", "/health/ready", "/docs", "/openapi.json", "/", "/v1/posts/none", "/none"),
    ):
        get, head = [await byline.http.request(m, path, headers=ada.auth) for m in ("GET", "HEAD")]
        assert (head.status_code, head.content) == (get.status_code, b"")
        told = {name: value for name, value in get.headers.items() if name != "x-request-id"}
        assert {name: value for name, value in head.headers.items() if name != "x-request-id"} == told


async def test_a_body_that_is_no_json_is_malformed(byline: Byline) -> None:
    ada = await byline.member()

    for content, detail in (
        (b"{", "Expecting property name"),
        (b'{"title": "x",}', "at character 14"),
        (b"\xff", "parsing the body"),
        (b"[" * 100_000, "parsing the body"),
        (b'{"title": ' + b"9" * 5_000 + b"}", "parsing the body"),
    ):
        answer = await byline.http.post("/v1/posts", content=content, headers=JSON | ada.auth)
        assert detail in refused(answer, 400, "malformed-request")["detail"]


async def test_a_body_that_is_no_object_is_not_acceptable(byline: Byline) -> None:
    ada = await byline.member()

    for content in (b"[]", b"1", b'"x"', b"null", b"NaN", b""):
        answer = await byline.http.post("/v1/posts", content=content, headers=JSON | ada.auth)
        (wrong,) = refused(answer, 422, "validation")["errors"]
        assert wrong["pointer"] == "#", content


async def test_a_body_of_another_type_is_unsupported(byline: Byline) -> None:
    ada = await byline.member()

    for sent in ({"content-type": "text/plain"}, {"content-type": "application/xml"}, {}):
        answer = await byline.http.post("/v1/posts", content=b'{"title": "x"}', headers=sent | ada.auth)
        assert "application/json" in refused(answer, 415, "unsupported-media-type")["detail"]


async def test_relatives_of_json_are_json(byline: Byline) -> None:
    ada = await byline.member()
    path = f"/v1/posts/{(await byline.post(ada))['id']}"

    for sent in ("application/json; charset=utf-8", "application/merge-patch+json"):
        headers = {"content-type": sent} | ada.auth
        assert (await byline.http.patch(path, content=b'{"title": "New"}', headers=headers)).status_code == 200


async def test_a_body_past_the_limit_is_refused_unread(start: StartByline) -> None:
    byline = await start(options=HttpOptions(max_body_bytes=1_000))
    ada = await byline.member()
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(100):
            read += 100
            yield b" " * 100

    announced = await byline.http.post(
        "/v1/posts", content=body(), headers=JSON | ada.auth | {"content-length": "10000"}
    )
    assert refused(announced, 413, "too-large")["limit_bytes"] == 1_000
    assert read == 0
    unannounced = await byline.http.post("/v1/posts", content=body(), headers=JSON | ada.auth)
    assert refused(unannounced, 413, "too-large")["limit_bytes"] == 1_000
    assert 1_000 < read < 2_000
    within = {"title": "x", "content": "x" * 900}
    assert (await byline.http.post("/v1/posts", json=within, headers=ada.auth)).status_code == 201


async def test_a_sane_request_id_is_kept_and_another_one_made(byline: Byline) -> None:
    for sent in ("abc-123", "A:b/c+d=._", "x" * 128):
        answer = await byline.http.get("/v1/posts/none", headers={"x-request-id": sent})
        assert answer.headers["x-request-id"] == sent
        refused(answer, 404, "post-not-found")
    made = set()
    for sent in ("", "a b", "x" * 129, 'a"b', "\xe9"):
        answer = await byline.http.get("/v1/settings", headers=[(b"x-request-id", sent.encode("latin-1"))])
        made.add(answer.headers["x-request-id"])
    assert len(made) == 5
    assert all(each.isalnum() for each in made)


async def test_no_answer_is_sniffed(byline: Byline) -> None:
    for path in ("/v1/posts", "/none", "/docs", "/v1/users/me"):
        assert (await byline.http.get(path)).headers["x-content-type-options"] == "nosniff"


async def test_an_unexpected_error_is_logged_and_told_without_what_it_was(start: StartByline) -> None:
    byline = await reading(start, raising(KeyError("the secret of the cellar")))

    with capture_logs() as logs:
        answer = await byline.http.get("/v1/posts/x")

    problem = refused(answer, 500, "internal-error")
    assert "cellar" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    failed, request = logs
    assert (failed["event"], failed["path"], failed["exc_info"]) == ("request_failed", "/v1/posts/x", True)
    assert (request["event"], request["status"]) == ("request", 500)
    assert problem["request_id"] in problem["detail"]


@pytest.mark.parametrize(
    ("error", "status", "name", "after"),
    [
        (errors.Busy(), 503, "busy", "1"),
        (errors.Busy("Too many.", retry_after_s=7), 503, "busy", "7"),
        (errors.Unavailable("The database"), 503, "unavailable", "5"),
        (TimeoutError(), 500, "internal-error", None),
    ],
)
async def test_over_capacity_the_client_is_told_when_to_come_again(
    start: StartByline, error: Exception, status: int, name: str, after: str | None
) -> None:
    byline = await reading(start, raising(error))

    answer = await byline.http.get("/v1/posts/x")

    refused(answer, status, name)
    assert answer.headers.get("retry-after") == after


async def test_a_request_that_takes_too_long_is_given_up(start: StartByline) -> None:
    ended = asyncio.Event()

    async def forever() -> Page:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError

    byline = await reading(start, forever, HttpOptions(request_timeout_s=0.05))

    for _ in range(2):
        ended.clear()
        answer = await byline.routed.get("/v1/posts/x")
        refused(answer, 503, "timed-out")
        assert answer.headers["retry-after"] == "1"
        async with asyncio.timeout(5):
            await ended.wait()


async def test_each_request_is_one_line_of_the_log_without_its_query(byline: Byline) -> None:
    ada = await byline.member()
    post = await byline.post(ada)

    with capture_logs() as logs:
        await byline.http.head(f"/v1/posts/{post['slug']}?token=secret", headers=ada.auth)
        await byline.http.get("/health/live")
        await byline.http.get("/none")
        await byline.http.get(f"/v1/users/{ada.id}")
        await byline.http.get(f"/v1/users/{ada.id}")  # as it is in memory: no line

    assert [(line["method"], line["route"], line["status"], line["log_level"]) for line in logs] == [
        ("HEAD", "/v1/posts/{ref}", 200, "info"),
        ("GET", "/health/live", 200, "debug"),
        ("GET", None, 404, "info"),
        ("GET", "/v1/users/{user_id}", 200, "info"),
    ]
    assert all(line["event"] == "request" and line["duration_ms"] >= 0 for line in logs)
    written = json.dumps(logs, default=str)
    assert "secret" not in written
    assert ada.tokens["access_token"] not in written
