"""Uploads: what is judged before they are read, what bounds them, and what is kept where the answer is in doubt."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from dependency_injector import providers

from application.ports.work import Isolation, UnitOfWork
from domain.actors import Role
from domain.errors import Unavailable
from infrastructure.container import Container
from infrastructure.memory.storage import MemoryBlobs
from tests.http.byline import refused
from tests.http.conftest import StartByline
from tests.http.sending import form, rows

FORM = form(("kind", b"posts"), ("file", rows("One"), "archive.ndjson"))


@pytest.mark.parametrize(
    ("media_type", "query", "name"),
    [
        ("text/csv", "", "kind"),
        ("application/octet-stream", "?kind=posts", "format"),
        ("application/octet-stream", "?kind=posts&filename=archive.zip", "format"),
    ],
)
async def test_a_raw_file_is_not_read_where_its_query_lacks_something(
    start: StartByline, media_type: str, query: str, name: str
) -> None:
    byline = await start()
    olga = await byline.member("olga", role=Role.OPERATOR)
    read = False

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        read = True
        yield b""

    headers = {"content-type": media_type, **olga.auth}
    answer = await byline.http.post(f"/v1/imports{query}", content=body(), headers=headers)

    (wrong,) = refused(answer, 422, "validation")["errors"]
    assert (wrong["pointer"], wrong["code"]) == (f"#/{name}", "required")
    assert not read


async def test_the_file_of_a_job_that_may_be_there_is_kept(start: StartByline) -> None:
    blobs = MemoryBlobs()
    is_deaf = False

    def prepare(container: Container) -> None:
        begin = container.begin()

        @asynccontextmanager
        async def deaf(*, isolation: Isolation = Isolation.READ_COMMITTED) -> AsyncIterator[UnitOfWork]:
            """It commits, and the answer is lost."""
            async with begin(isolation=isolation) as work:
                yield work
            if is_deaf:
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
