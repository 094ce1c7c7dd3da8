"""Uploads: what is judged before they are read, what bounds them, and what is kept where the answer is in doubt."""

import asyncio
import gzip
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from dependency_injector import providers

from application.ports.imports import ImportQuery
from application.ports.work import Isolation, UnitOfWork
from domain.actors import Role
from domain.errors import Unavailable
from infrastructure.container import Container
from infrastructure.memory.storage import MemoryBlobs
from interfaces.http.app import HttpOptions
from tests.http.byline import Byline, Json, Member, refused
from tests.http.conftest import StartByline
from tests.http.imports.conftest import MAX_UPLOAD_BYTES
from tests.http.imports.sending import FILE, KIND, Unread, form, raw, rows, sent

FORM = form(("kind", b"posts"), ("file", rows("One"), "archive.ndjson"))


async def test_a_raw_file_is_not_read_where_its_query_lacks_something(byline: Byline, olga: Member) -> None:
    body = Unread()

    (wrong,) = refused(await sent(byline, olga, raw(body), "?publish=all"), 422, "validation")["errors"]

    assert (wrong["pointer"], wrong["code"]) == ("#/kind", "required")
    assert not body.is_read


async def test_an_upload_that_says_that_it_is_too_large_is_not_read(byline: Byline, olga: Member) -> None:
    body = Unread()
    for sending, beyond in ((raw(body), 1), ({**form(), "content": body}, 2**20 + 1)):
        size = str(MAX_UPLOAD_BYTES + beyond)
        answer = await sent(byline, olga, sending, "?kind=posts", content_length=size)
        assert refused(answer, 413, "too-large")["limit_bytes"] == MAX_UPLOAD_BYTES
    assert not body.is_read


async def test_a_file_past_the_limit_is_too_large_and_a_full_disk_says_so(
    byline: Byline, olga: Member, blobs: MemoryBlobs
) -> None:
    large = form(KIND, ("file", b"x" * (MAX_UPLOAD_BYTES + 1), "a.csv"))
    assert refused(await sent(byline, olga, large), 413, "too-large")["limit_bytes"] == MAX_UPLOAD_BYTES

    blobs.space_bytes = 10
    refused(await sent(byline, olga, form(KIND, FILE)), 507, "storage-full")
    assert blobs.files == {}


async def test_a_file_that_is_seen_to_grow_past_the_limits_is_told_with_the_limit_and_not_kept(
    start: StartByline, blobs: MemoryBlobs
) -> None:
    def prepare(container: Container) -> None:
        container.blobs.override(providers.Object(blobs))

    byline = await start(prepare=prepare, max_text_bytes=10_000_000, max_text_ratio=100)
    olga = await byline.member("olga", role=Role.OPERATOR)
    for size, status, name in ((20_000_000, 413, "too-large"), (9_000_000, 422, "validation")):
        bomb = raw(gzip.compress(b"0" * size), "application/gzip")
        problem = refused(await sent(byline, olga, bomb, "?kind=posts"), status, name)
        limit = "10000000 bytes" if status == 413 else "100 times"
        assert limit in problem["detail"]
        assert problem.get("limit_bytes") == (10_000_000 if status == 413 else None)
    assert blobs.files == {}


async def test_the_file_of_a_job_that_may_be_there_is_kept(start: StartByline) -> None:
    blobs = MemoryBlobs()
    is_deaf = False

    def prepare(container: Container) -> None:
        begin = container.begin()

        async def is_empty() -> bool:
            async with begin() as work:
                return not await work.imports.newest(ImportQuery(limit=1))

        @asynccontextmanager
        async def deaf(*, isolation: Isolation = Isolation.READ_COMMITTED) -> AsyncIterator[UnitOfWork]:
            """It commits, and the answer is lost."""
            async with begin(isolation=isolation) as work:
                yield work
            if is_deaf and not await is_empty():
                raise Unavailable("The database")

        container.begin.override(providers.Object(deaf))
        container.blobs.override(providers.Object(blobs))

    byline = await start(prepare=prepare)
    olga = await byline.member("olga", role=Role.OPERATOR)

    is_deaf = True
    answer = await byline.http.post("/v1/imports", content=FORM["content"], headers={**FORM["headers"], **olga.auth})
    is_deaf = False

    assert answer.status_code == 503
    (job,) = (await byline.http.get("/v1/imports", headers=olga.auth)).json()["items"]
    assert (job["file_name"], list(blobs.files.values())) == ("archive.ndjson", [rows("One")])


@pytest.mark.parametrize(
    "head",
    [
        b"X-Long: " + b"x" * 10_000,
        b"X-" + b"x" * 10_000 + b": long",
        b"\r\n".join(b"X-%d: x" % number for number in range(2_000)),
    ],
    ids=["value", "name", "many"],
)
async def test_the_head_of_a_part_is_bounded(start: StartByline, head: bytes) -> None:
    byline = await start()
    olga = await byline.member("olga", role=Role.OPERATOR)
    content = FORM["content"].replace(b"--limit\r\n", b"--limit\r\n" + head + b"\r\n", 1)

    answer = await byline.http.post("/v1/imports", content=content, headers={**FORM["headers"], **olga.auth})

    assert "Maximum header" in refused(answer, 400, "malformed-request")["detail"]


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
