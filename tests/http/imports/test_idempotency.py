"""A client that names its import may send it again and again: it is one job."""

import asyncio
import re
from typing import Any

import pytest

from domain.actors import Role
from infrastructure.memory.storage import MemoryBlobs
from tests.http.byline import Byline, Member, refused
from tests.http.imports.sending import FILE, KIND, Unread, form, raw, rows, sent

BODY = form(KIND, FILE)


async def number_of_jobs(byline: Byline, by: Member) -> int:
    return len((await byline.http.get("/v1/imports", headers=by.auth)).json()["items"])


async def test_a_repeated_upload_is_one_job(byline: Byline, olga: Member, blobs: MemoryBlobs) -> None:
    first = await sent(byline, olga, BODY, idempotency_key="archive 1")
    again = await sent(byline, olga, form(("file", FILE[1], "renamed.ndjson"), KIND), idempotency_key='"archive 1"')

    assert (first.status_code, again.status_code) == (202, 202)
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    assert (again.json()["id"], again.json()["state"]) == (first.json()["id"], "succeeded")
    assert (await number_of_jobs(byline, olga), len(blobs.files)) == (1, 1)


async def test_uploads_of_one_key_at_once_are_one_job(byline: Byline, olga: Member, blobs: MemoryBlobs) -> None:
    answers = await asyncio.gather(*(sent(byline, olga, BODY, idempotency_key="k") for _ in range(5)))

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("idempotency-replayed" in answer.headers for answer in answers) == 4
    assert (await number_of_jobs(byline, olga), len(blobs.files)) == (1, 1)


@pytest.mark.parametrize(
    ("body", "query"),
    [
        (form(KIND, ("file", rows("Other"), "archive.ndjson")), ""),
        (form(KIND, FILE), "?on_conflict=update"),
        (form(KIND, FILE), "?map=a=title"),
        (form(("kind", b"users"), FILE), ""),
    ],
)
async def test_a_key_stands_for_one_file_and_its_options(
    byline: Byline, olga: Member, blobs: MemoryBlobs, body: dict[str, Any], query: str
) -> None:
    await sent(byline, olga, BODY, idempotency_key="k")

    refused(await sent(byline, olga, body, query, idempotency_key="k"), 422, "idempotency-key-reused")

    assert (await number_of_jobs(byline, olga), len(blobs.files)) == (1, 1)
    assert (await sent(byline, olga, body, query, idempotency_key="k2")).status_code == 202


async def test_a_key_is_its_owners_alone(byline: Byline, olga: Member) -> None:
    other = await byline.member(role=Role.OPERATOR)

    ids = {(await sent(byline, by, BODY, idempotency_key="k")).json()["id"] for by in (olga, other)}

    assert len(ids) == 2


@pytest.mark.parametrize("key", ["", '""', "x" * 256, "caf\xe9", "a\tb"])
async def test_a_key_that_is_none_is_refused_before_the_file_is_read(byline: Byline, olga: Member, key: str) -> None:
    body = raw(Unread())
    body["headers"]["idempotency-key"] = key.encode("latin-1")

    (wrong,) = refused(await sent(byline, olga, body, "?kind=posts"), 422, "validation")["errors"]

    assert wrong["header"] == "Idempotency-Key"
    assert not body["content"].is_read


@pytest.mark.parametrize("key", ["x", "x" * 255, '"' + "x" * 255 + '"', '"', "~ !"])
async def test_a_key_may_be_long(byline: Byline, olga: Member, key: str) -> None:
    assert (await sent(byline, olga, BODY, idempotency_key=key)).status_code == 202


async def test_the_document_says_what_a_key_may_be(byline: Byline) -> None:
    operation = (await byline.http.get("/openapi.json")).json()["paths"]["/v1/imports"]["post"]
    (key,) = (each for each in operation["parameters"] if each["name"] == "Idempotency-Key")
    assert re.fullmatch(key["schema"]["pattern"], "archive 1")
