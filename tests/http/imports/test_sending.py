"""A file is sent in every way there is, with every option, and refused for every reason."""

import gzip
import json
from typing import Any
from uuid import uuid4

import pytest
import zstandard

from infrastructure.memory.queue import MemoryQueue
from infrastructure.memory.storage import MemoryBlobs
from interfaces.http.uploads import FIELDS_MAX
from tests.http.byline import Byline, Member, refused
from tests.http.imports.sending import FILE, KIND, SHAPE, Unread, form, imported, job_at, raw, rows, sent

TWO = rows("One", "Two")
CSV = b"title,author\r\nOne,olga\r\nTwo,olga\r\n"
ARRAY = json.dumps([{"title": title, "author": "olga"} for title in ("One", "Two")]).encode()
OCTETS = "application/octet-stream"


@pytest.mark.parametrize(
    ("body", "query"),
    [
        (form(KIND, FILE), ""),
        (form(FILE, KIND), ""),
        (form(FILE), "?kind=posts"),
        (form(KIND, ("format", b"ndjson"), ("file", TWO, "archive.txt")), ""),
        (form(("file", TWO, "archive"), KIND, ("format", b"ndjson")), ""),
        (form(("file", TWO), KIND), ""),
        (form(KIND, ("file", TWO, "C:\\\\old\\\\ARCHIVE.JSONL")), ""),
        (form(KIND, ("file", CSV, "archive.csv")), ""),
        (form(KIND, ("file", ARRAY, "archive.json")), ""),
        (form(KIND, ("file", gzip.compress(CSV), "archive.csv.gz")), ""),
        (raw(TWO), "?kind=posts"),
        (raw(CSV, "text/csv"), "?kind=posts"),
        (raw(ARRAY, "application/json"), "?kind=posts"),
        (raw(gzip.compress(TWO), "application/gzip"), "?kind=posts"),
        (raw(zstandard.compress(CSV), "application/zstd"), "?kind=posts"),
        (raw(zstandard.compress(TWO)), "?kind=posts"),
        (raw(CSV, OCTETS), "?kind=posts"),
        (raw(TWO, OCTETS), "?kind=posts&filename=a.ndjson"),
        (raw(TWO, "Text/CSV; charset=utf-8"), "?kind=posts&format=ndjson"),
        (raw(TWO, "text/csv"), "?kind=posts&filename=a.ndjson"),
    ],
)
async def test_a_file_becomes_posts_whichever_way_it_is_sent(
    byline: Byline, olga: Member, body: dict[str, Any], query: str
) -> None:
    answer = await sent(byline, olga, body, query)

    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert set(job) == SHAPE
    assert (job["kind"], job["state"], job["created"], job["revision"]) == ("posts", "queued", 0, 1)
    done = await job_at(byline, olga, answer.headers["location"])
    assert (done["id"], done["state"]) == (job["id"], "succeeded")
    assert (done["rows_read"], done["created"], done["failed"], done["error"]) == (2, 2, 0, None)
    assert done["bytes_done"] == done["bytes_total"] > 0
    assert (done["seconds_left"], done["revision"] > 1) == (0.0, True)
    assert done["finished_at"]
    listed = (await byline.http.get("/v1/posts?order=asc", headers=olga.auth)).json()["items"]
    assert {post["title"] for post in listed} == {"One", "Two"}


@pytest.mark.parametrize("media_type", ["application/xml", "text/xml"])
async def test_an_archive_in_xml_holds_posts_without_saying_so(byline: Byline, olga: Member, media_type: str) -> None:
    row = '<row Id="1" PostTypeId="1" Title="One" Body="Words." CreationDate="2020-01-01T00:00:00.000"/>'
    body = raw(f'<?xml version="1.0" encoding="utf-8"?><posts>{row}</posts>'.encode(), media_type)

    answer = await sent(byline, olga, body, "?format=stackexchange&default_author=olga")

    assert answer.status_code == 202, answer.text
    assert (answer.json()["kind"], answer.json()["format"]) == ("posts", "stackexchange")
    assert (await job_at(byline, olga, answer.headers["location"]))["created"] == 1


async def test_every_option_is_kept_with_the_job_wherever_it_is_said(byline: Byline, olga: Member) -> None:
    said = [
        *(("kind", "posts"), ("format", "csv"), ("on_conflict", "update"), ("dry_run", "true")),
        *(("create_authors", "yes"), ("default_author", "OLGA@example.com"), ("max_errors", "7"), ("publish", "draft")),
        *(("map", "Head=line=title"), ("map", "Who =author"), ("start", "0")),
    ]
    fields = [(name, value.encode()) for name, value in said]
    query = "?" + "&".join(f"{name}={value}".replace(" ", "+") for name, value in said)
    half = len(said) - 3
    bodies = [
        (raw(CSV, "text/csv"), f"{query}&filename=all.csv"),
        (form(*fields, ("file", CSV, "all.csv")), ""),
        (form(("file", CSV, "all.csv"), *fields[half:]), "?" + "&".join(query[1:].split("&")[:half])),
    ]
    for body, asked in bodies:
        answer = await sent(byline, olga, body, asked)

        assert answer.status_code == 202, answer.text
        job = answer.json()
        assert (job["kind"], job["format"], job["file_name"], job["state"]) == ("posts", "csv", "all.csv", "uploaded")
        assert job["options"] == {
            "on_conflict": "update",
            "dry_run": True,
            "create_authors": True,
            "default_author": olga.id,
            "max_errors": 7,
            "publish": "draft",
            "map": {"Head=line": "title", "Who": "author"},
        }


async def test_the_query_counts_where_the_form_says_otherwise(byline: Byline, olga: Member) -> None:
    body = form(FILE, KIND, ("publish", b"draft"), ("on_conflict", b"fail"), ("map", b"x=title"))

    job = (await sent(byline, olga, body, "?publish=all&map=y=title&start=false")).json()

    assert (job["options"]["publish"], job["options"]["on_conflict"]) == ("all", "fail")
    assert job["options"]["map"] == {"y": "title"}


async def test_a_default_author_is_named_by_username_address_or_id(byline: Byline, olga: Member) -> None:
    for name in ("Olga", "olga@example.com", olga.id):
        job = await imported(byline, olga, rows("One"), default_author=name, start="false")
        assert job["options"]["default_author"] == olga.id


async def test_the_names_of_a_file_are_mapped(byline: Byline, olga: Member) -> None:
    body = raw(b"Headline;Who;Key\nOne;olga;7\n", "text/csv")

    answer = await sent(byline, olga, body, "?kind=posts&map=Headline=title&map=Who=author&map=Key=")

    job = await job_at(byline, olga, answer.headers["location"])
    assert (job["state"], job["created"]) == ("succeeded", 1), job


async def test_a_dry_run_counts_and_changes_nothing(byline: Byline, olga: Member) -> None:
    job = await imported(byline, olga, rows("One", "Two"), dry_run="true")

    assert (job["state"], job["created"], job["options"]["dry_run"]) == ("succeeded", 2, True)
    assert (await byline.http.get("/v1/posts", headers=olga.auth)).json()["total"] == 0


@pytest.mark.parametrize(
    ("body", "query", "name", "code"),
    [
        (form(FILE), "", "kind", "required"),
        (form(FILE), "?format=ndjson", "kind", "required"),
        (form(KIND), "", "file", "required"),
        (form(FILE, ("kind", b"songs")), "", "kind", "enum"),
        (form(FILE, KIND, ("color", b"red")), "", "color", "unknown_field"),
        (form(FILE, KIND, ("format", b"\xff")), "", "format", "enum"),
        (form(FILE, KIND, ("on_conflict", b"shrug")), "", "on_conflict", "enum"),
        (form(FILE, KIND, ("publish", b"some")), "", "publish", "enum"),
        (form(FILE, KIND, ("dry_run", b"perhaps")), "", "dry_run", "bool_parsing"),
        (form(FILE, KIND, ("create_authors", b"2")), "", "create_authors", "bool_parsing"),
        (form(FILE, KIND, ("start", b"")), "", "start", "bool_parsing"),
        (form(FILE, KIND, ("max_errors", b"-1")), "", "max_errors", "greater_than_equal"),
        (form(FILE, KIND, ("max_errors", b"99999999999")), "", "max_errors", "less_than"),
        (form(FILE, KIND, ("default_author", b"nobody")), "", "default_author", "unknown_author"),
        (form(FILE, KIND, ("default_author", b"")), "", "default_author", "too_short"),
        (form(FILE, KIND, ("default_author", b"\0")), "", "default_author", "bad_character"),
        (form(FILE, KIND, ("default_author", str(uuid4()).encode())), "", "default_author", "unknown_author"),
        (form(FILE, KIND, ("map", b"title")), "", "map/0", "malformed"),
        (form(FILE, KIND, ("map", b"=title")), "", "map/0", "malformed"),
        (form(FILE, KIND, ("map", b"a=title"), ("map", b"x\0=slug")), "", "map/1", "bad_character"),
        (form(FILE, KIND, ("map", b"Headline=titel")), "", "map", "unknown_field"),
        (form(FILE, KIND, ("map", b"who=details")), "", "map", "unknown_field"),
        (form(FILE, ("kind", b"users"), ("map", b"Headline=title")), "", "map", "unknown_field"),
        (form(FILE, KIND, ("map", b"a=title"), ("map", b"a=slug")), "", "map", "repeated"),
        (form(FILE, KIND, *(("map", b"x%d=title" % n) for n in range(65))), "", "map", "too_long"),
        (raw(b"x", "text/csv"), "", "kind", "required"),
        (raw(b"x", "text/csv"), "?kind=posts&map=a=b", "map", "unknown_field"),
    ],
)
async def test_what_is_not_said_or_said_wrongly_is_told_and_nothing_is_kept(
    *, byline: Byline, olga: Member, blobs: MemoryBlobs, body: dict[str, Any], query: str, name: str, code: str
) -> None:
    (wrong,) = refused(await sent(byline, olga, body, query), 422, "validation")["errors"]

    assert (wrong["pointer"], wrong["code"]) == (f"#/{name}", code)
    assert wrong["detail"]
    assert blobs.files == {}
    assert (await byline.http.get("/v1/imports", headers=olga.auth)).json()["items"] == []


@pytest.mark.parametrize(
    "content",
    [b"", b"\0\1\2\3" * 100, b"<html><body>Not found</body></html>", gzip.compress(b"\xff" * 100)],
    ids=["empty", "binary", "html", "compressed"],
)
async def test_a_file_that_is_no_known_format_is_told_and_not_kept(
    byline: Byline, olga: Member, blobs: MemoryBlobs, content: bytes
) -> None:
    refused(await sent(byline, olga, form(KIND, ("file", content, "archive.bin"))), 422, "validation")
    refused(await sent(byline, olga, raw(content, OCTETS), "?kind=posts"), 422, "validation")

    assert blobs.files == {}


@pytest.mark.parametrize(
    "query",
    [
        *("?kind=songs", "?format=xls", "?kind=posts&kind=users", "?sort=up", "?kind=posts&max_errors=few"),
        *("?kind=posts&map=title", "?kind=posts&dry_run=perhaps", "?kind=posts&start=true&start=true"),
    ],
)
async def test_a_wrong_query_is_refused_before_the_file_is_read(byline: Byline, olga: Member, query: str) -> None:
    body = Unread()

    problem = refused(await sent(byline, olga, raw(body, "text/csv"), query), 422, "validation")

    assert all("parameter" in wrong for wrong in problem["errors"])
    assert not body.is_read


async def test_only_operators_are_listened_to(byline: Byline, blobs: MemoryBlobs) -> None:
    ada = await byline.member()
    body = Unread()

    for by, status, name in ((None, 401, "not-authenticated"), (ada, 403, "not-allowed")):
        auth = by.auth if by else {}
        refused(await sent(byline, by, raw(body), "?kind=posts"), status, name)
        address = f"/v1/imports/{uuid4()}"
        for part in ("", "/events", "/errors", "/errors.csv", "/errors.ndjson"):
            refused(await byline.http.get(address + part, headers=auth), status, name)
        for part in ("/cancel", "/resume", "/retry"):
            refused(await byline.http.post(address + part, headers=auth), status, name)
        refused(await byline.http.get("/v1/imports", headers=auth), status, name)
    assert not body.is_read
    assert blobs.files == {}


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"content": form(FILE, KIND)["content"][:-10], "headers": form()["headers"]}, "cut short"),
        ({"content": form(FILE)["content"][:60], "headers": form()["headers"]}, "cut short"),
        ({"content": b"", "headers": form()["headers"]}, "cut short"),
        ({"content": b"nonsense", "headers": form()["headers"]}, "malformed"),
        (raw(b"", "multipart/form-data"), "boundary"),
        (form(FILE, FILE), "more than one 'file'"),
        (form(KIND, KIND, FILE), "more than one 'kind'"),
        (form(("kind", b"x" * 1_001), FILE), "longer than 1000"),
        (form(FILE, *((f"f{n}", b"") for n in range(FIELDS_MAX + 1))), f"more than {FIELDS_MAX}"),
        (form(FILE, *(("map", b"a=title") for n in range(FIELDS_MAX + 1))), f"more than {FIELDS_MAX}"),
    ],
)
async def test_a_malformed_form_is_refused_and_nothing_is_kept(
    byline: Byline, olga: Member, blobs: MemoryBlobs, body: dict[str, Any], detail: str
) -> None:
    answer = await sent(byline, olga, body)

    assert detail in refused(answer, 400, "malformed-request")["detail"]
    assert blobs.files == {}


async def test_a_file_of_another_type_is_unsupported(byline: Byline, olga: Member) -> None:
    answer = await sent(byline, olga, raw(b"x", "application/zip"), "?kind=posts")

    refused(answer, 415, "unsupported-media-type")
    for media_type in ("text/csv", "application/xml", "application/zstd", "multipart/form-data"):
        assert media_type in answer.headers["accept-post"]


async def test_without_the_queue_the_job_is_there_and_waits(byline: Byline, olga: Member) -> None:
    queue = byline.container.queue()
    assert isinstance(queue, MemoryQueue)
    queue.is_reachable = False

    job = await imported(byline, olga, rows("One"))

    assert (job["state"], job["started_at"], job["rows_per_s"], job["seconds_left"]) == ("queued", None, None, None)
