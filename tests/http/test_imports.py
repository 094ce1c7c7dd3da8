"""Imports: sending a file in every way there is, and following the job."""

import asyncio
import json
from collections.abc import AsyncIterator, MutableMapping
from typing import Any
from uuid import uuid4

import pytest
from dependency_injector import providers

from domain.actors import Role
from infrastructure.container import Container
from infrastructure.memory.queue import MemoryQueue
from infrastructure.memory.storage import MemoryBlobs
from interfaces.http.app import HttpOptions
from tests.http.byline import Byline, Json, Member, refused
from tests.http.conftest import StartByline
from tests.http.sending import form, rows

SHAPE = {
    *("id", "kind", "format", "state", "bytes_total", "bytes_done", "rows_read", "created", "updated", "unchanged"),
    *("skipped", "failed", "created_at", "started_at", "finished_at", "error", "file_name"),
}
Fields = list[tuple[str, Any]]


@pytest.fixture
def blobs() -> MemoryBlobs:
    return MemoryBlobs()


@pytest.fixture
async def byline(start: StartByline, blobs: MemoryBlobs) -> Byline:
    def prepare(container: Container) -> None:
        container.blobs.override(providers.Object(blobs))

    return await start(prepare=prepare, max_upload_bytes=100_000)


@pytest.fixture
async def olga(byline: Byline) -> Member:
    return await byline.member("olga", role=Role.OPERATOR)


async def sent(byline: Byline, by: Member | None, body: dict[str, Any], query: str = "") -> Any:
    headers = {**body["headers"], **(by.auth if by else {})}
    return await byline.http.post(f"/v1/imports{query}", content=body["content"], headers=headers)


FILE = ("file", rows("One", "Two"), "archive.ndjson")
KIND = ("kind", b"posts")


@pytest.mark.parametrize(
    ("body", "query"),
    [
        (form(KIND, FILE), ""),
        (form(FILE, KIND), ""),
        (form(FILE), "?kind=posts"),
        (form(KIND, ("format", b"ndjson"), ("file", rows("One", "Two"), "archive.txt")), ""),
        (form(("file", rows("One", "Two"), "archive"), KIND, ("format", b"ndjson")), ""),
        (form(KIND, ("file", rows("One", "Two"), "C:\\\\old\\\\ARCHIVE.JSONL")), ""),
        (form(KIND, ("file", b"title,author\r\nOne,olga\r\nTwo,olga\r\n", "archive.csv")), ""),
        ({"content": rows("One", "Two"), "headers": {"content-type": "application/x-ndjson"}}, "?kind=posts"),
        ({"content": b"title,author\nOne,olga\nTwo,olga", "headers": {"content-type": "text/csv"}}, "?kind=posts"),
        (
            {"content": rows("One", "Two"), "headers": {"content-type": "application/octet-stream"}},
            "?kind=posts&filename=a.ndjson",
        ),
        (
            {"content": rows("One", "Two"), "headers": {"content-type": "Text/CSV; charset=utf-8"}},
            "?kind=posts&format=ndjson",
        ),
        ({"content": rows("One", "Two"), "headers": {"content-type": "text/csv"}}, "?kind=posts&filename=a.ndjson"),
    ],
)
async def test_a_file_becomes_posts_whichever_way_it_is_sent(
    byline: Byline, olga: Member, body: dict[str, Any], query: str
) -> None:
    answer = await sent(byline, olga, body, query)

    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert set(job) == SHAPE
    assert (job["kind"], job["state"], job["created"]) == ("posts", "queued", 0)
    done = (await byline.http.get(answer.headers["location"], headers=olga.auth)).json()
    assert (done["id"], done["state"]) == (job["id"], "succeeded")
    assert (done["rows_read"], done["created"], done["failed"], done["error"]) == (2, 2, 0, None)
    assert done["bytes_done"] == done["bytes_total"] > 0
    assert done["finished_at"]
    listed = (await byline.http.get("/v1/posts?order=asc", headers=olga.auth)).json()["items"]
    assert {post["title"] for post in listed} == {"One", "Two"}


async def test_a_bad_row_fails_alone_and_is_shown_with_its_line(byline: Byline, olga: Member) -> None:
    broken = b'{"title": "x"}\nnot json\n' + json.dumps({"title": "Bad", "author": "nobody", "password": "p"}).encode()
    body = form(KIND, ("file", rows("Good") + broken, "a.ndjson"))
    address = (await sent(byline, olga, body)).headers["location"]

    job = (await byline.http.get(address, headers=olga.auth)).json()
    assert (job["state"], job["rows_read"], job["created"], job["failed"]) == ("completed_with_errors", 4, 1, 3)
    first = await byline.http.get(f"{address}/errors?page_size=2", headers=olga.auth)
    page = first.json()
    assert [row["line"] for row in page["items"]] == [2, 3]
    assert set(page["items"][0]) == {"line", "field", "code", "message", "row"}
    assert (page["page"], page["total"]) == (None, None)
    following = f"{address}/errors?page_size=2&after={page['next_cursor']}"
    assert f'<{following}>; rel="next"' in first.headers["link"]
    rest = (await byline.http.get(following, headers=olga.auth)).json()
    assert ([row["line"] for row in rest["items"]], rest["next_cursor"]) == ([4], None)
    beyond = await byline.http.get(f"{address}/errors?after={2**63 - 1}", headers=olga.auth)
    assert (beyond.status_code, beyond.json()["items"]) == (200, [])


@pytest.mark.parametrize(
    ("body", "query", "name", "code"),
    [
        (form(FILE), "", "kind", "required"),
        (form(("file", b"x", "archive.txt"), KIND), "", "format", "required"),
        (form(("file", b"x"), KIND), "", "format", "required"),
        (form(KIND), "", "file", "required"),
        (form(FILE, ("kind", b"songs")), "", "kind", "enum"),
        (form(FILE, KIND, ("color", b"red")), "", "color", "unknown_field"),
        (form(FILE, KIND, ("format", b"\xff")), "", "format", "enum"),
        ({"content": b"x", "headers": {"content-type": "text/csv"}}, "", "kind", "required"),
        (
            {"content": b"x", "headers": {"content-type": "application/octet-stream"}},
            "?kind=posts",
            "format",
            "required",
        ),
    ],
)
async def test_what_is_not_said_or_said_wrongly_is_told_and_nothing_is_kept(
    *, byline: Byline, olga: Member, blobs: MemoryBlobs, body: dict[str, Any], query: str, name: str, code: str
) -> None:
    (wrong,) = refused(await sent(byline, olga, body, query), 422, "validation")["errors"]

    assert (wrong["pointer"], wrong["code"]) == (f"#/{name}", code)
    assert blobs.files == {}
    assert (await byline.http.get("/v1/imports", headers=olga.auth)).json()["items"] == []


@pytest.mark.parametrize("query", ["?kind=songs", "?format=xls", "?kind=posts&kind=users", "?sort=up"])
async def test_a_wrong_query_is_refused_before_the_file_is_read(byline: Byline, olga: Member, query: str) -> None:
    read = False

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        read = True
        yield b""

    answer = await sent(byline, olga, {"content": body(), "headers": {"content-type": "text/csv"}}, query)

    refused(answer, 422, "validation")
    assert not read


async def test_only_operators_are_listened_to(byline: Byline, blobs: MemoryBlobs) -> None:
    ada = await byline.member()
    read = False

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        read = True
        yield b""

    for by, status, name in ((None, 401, "not-authenticated"), (ada, 403, "not-allowed")):
        content = {"content": body(), "headers": {"content-type": "text/csv"}}
        refused(await sent(byline, by, content, "?kind=posts"), status, name)
        for path in ("/v1/imports", f"/v1/imports/{uuid4()}", f"/v1/imports/{uuid4()}/errors"):
            refused(await byline.http.get(path, headers=by.auth if by else None), status, name)
    assert not read
    assert blobs.files == {}


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"content": form(FILE, KIND)["content"][:-10], "headers": form()["headers"]}, "cut short"),
        ({"content": form(FILE)["content"][:60], "headers": form()["headers"]}, "cut short"),
        ({"content": b"", "headers": form()["headers"]}, "cut short"),
        ({"content": b"nonsense", "headers": form()["headers"]}, "malformed"),
        ({"content": b"", "headers": {"content-type": "multipart/form-data"}}, "boundary"),
        (form(FILE, FILE), "more than one 'file'"),
        (form(KIND, KIND, FILE), "more than one 'kind'"),
        (form(("kind", b"x" * 1_001), FILE), "longer than 1000"),
        (form(FILE, *((f"f{n}", b"") for n in range(11))), "more than 10"),
    ],
)
async def test_a_malformed_form_is_refused_and_nothing_is_kept(
    byline: Byline, olga: Member, blobs: MemoryBlobs, body: dict[str, Any], detail: str
) -> None:
    answer = await sent(byline, olga, body)

    assert detail in refused(answer, 400, "malformed-request")["detail"]
    assert blobs.files == {}


async def test_a_file_of_another_type_is_unsupported(byline: Byline, olga: Member) -> None:
    answer = await sent(byline, olga, {"content": b"x", "headers": {"content-type": "application/zip"}}, "?kind=posts")

    refused(answer, 415, "unsupported-media-type")
    assert "text/csv" in answer.headers["accept-post"]


async def test_a_file_past_the_limit_is_too_large_and_a_full_disk_says_so(
    byline: Byline, olga: Member, blobs: MemoryBlobs
) -> None:
    large = form(KIND, ("file", b"x" * 100_001, "a.csv"))
    assert refused(await sent(byline, olga, large), 413, "too-large")["limit_bytes"] == 100_000

    blobs.space_bytes = 10
    refused(await sent(byline, olga, form(KIND, FILE)), 507, "storage-full")
    assert blobs.files == {}


async def test_uploads_are_not_bound_by_the_limits_of_other_requests(start: StartByline) -> None:
    byline = await start(options=HttpOptions(max_body_bytes=100, request_timeout_s=0.05))
    olga = await byline.member("olga", role=Role.OPERATOR)
    body = form(KIND, ("file", rows(*(f"Post {n}" for n in range(50))), "a.ndjson"))

    async def slowly() -> AsyncIterator[bytes]:
        yield body["content"][:50]
        await asyncio.sleep(0.1)
        yield body["content"][50:]

    assert (await sent(byline, olga, {**body, "content": slowly()})).status_code == 202


async def test_an_upload_that_stands_still_is_ended(start: StartByline, blobs: MemoryBlobs) -> None:
    def prepare(container: Container) -> None:
        container.blobs.override(providers.Object(blobs))

    byline = await start(prepare=prepare, options=HttpOptions(upload_idle_timeout_s=0.05))
    olga = await byline.member("olga", role=Role.OPERATOR)

    async def stalling() -> AsyncIterator[bytes]:
        yield rows("One")
        await asyncio.Event().wait()

    content = {"content": stalling(), "headers": {"content-type": "application/x-ndjson"}}
    answer = await sent(byline, olga, content, "?kind=posts")

    refused(answer, 408, "upload-stalled")
    assert blobs.files == {}


async def test_a_client_that_leaves_leaves_nothing(byline: Byline, olga: Member, blobs: MemoryBlobs) -> None:
    messages: list[Json] = [
        {"type": "http.request", "body": form(FILE)["content"][:80], "more_body": True},
        {"type": "http.disconnect"},
    ]
    answered: list[MutableMapping[str, Any]] = []

    async def receive() -> Json:
        return messages.pop(0)

    async def send(message: MutableMapping[str, Any]) -> None:
        answered.append(message)

    headers = {**form()["headers"], **olga.auth}
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/imports",
        "query_string": b"kind=posts",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    await byline.app(scope, receive, send)

    assert (messages, answered, blobs.files) == ([], [], {})


async def test_without_the_queue_the_job_is_there_and_waits(byline: Byline, olga: Member) -> None:
    queue = byline.container.queue()
    assert isinstance(queue, MemoryQueue)
    queue.is_reachable = False

    answer = await sent(byline, olga, form(KIND, FILE))

    assert answer.status_code == 202
    job = (await byline.http.get(answer.headers["location"], headers=olga.auth)).json()
    assert (job["state"], job["started_at"]) == ("queued", None)


async def test_imports_are_listed_the_newest_first(byline: Byline, olga: Member) -> None:
    made = [(await sent(byline, olga, form(KIND, FILE))).json()["id"] for _ in range(3)]

    first = await byline.http.get("/v1/imports?page_size=2", headers=olga.auth)

    assert [job["id"] for job in first.json()["items"]] == made[:0:-1]
    assert set(first.json()["items"][0]) == SHAPE
    following = f"/v1/imports?page_size=2&after={first.json()['next_cursor']}"
    assert f'<{following}>; rel="next"' in first.headers["link"]
    rest = (await byline.http.get(following, headers=olga.auth)).json()
    assert ([job["id"] for job in rest["items"]], rest["next_cursor"]) == (made[:1], None)


async def test_there_is_no_unknown_import(byline: Byline, olga: Member) -> None:
    for path in (f"/v1/imports/{uuid4()}", f"/v1/imports/{uuid4()}/errors"):
        refused(await byline.http.get(path, headers=olga.auth), 404, "import-not-found")
    refused(await byline.http.get("/v1/imports/x", headers=olga.auth), 404, "no-such-path")
    for path in ("/v1/imports?after=x", f"/v1/imports/{uuid4()}/errors?after={2**63}"):
        refused(await byline.http.get(path, headers=olga.auth), 422, "validation")
