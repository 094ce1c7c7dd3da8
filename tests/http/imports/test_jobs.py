"""Jobs: listed, shown, cancelled, resumed, and their failed rows tried again."""

from uuid import uuid4

import pytest

from domain.actors import Role
from domain.imports import Tally
from infrastructure.memory.storage import MemoryBlobs
from tests.http.byline import Byline, Json, Member, refused
from tests.http.imports.sending import SHAPE, advanced, claimed, imported, job_at, rows, without_a_worker

BAD = b"not json\n"
JSON = {"content-type": "application/json"}


def at(job: Json, part: str = "") -> str:
    return f"/v1/imports/{job['id']}{part}"


async def uploaded(byline: Byline, by: Member) -> Json:
    return await imported(byline, by, rows("One", "Two"), start="false")


async def test_imports_are_listed_the_newest_first(byline: Byline, olga: Member) -> None:
    made = [(await imported(byline, olga, rows(str(number))))["id"] for number in range(3)]

    first = await byline.http.get("/v1/imports?page_size=2", headers=olga.auth)

    assert [job["id"] for job in first.json()["items"]] == made[:0:-1]
    assert set(first.json()["items"][0]) == SHAPE
    following = f"/v1/imports?page_size=2&after={first.json()['next_cursor']}"
    assert f'<{following}>; rel="next"' in first.headers["link"]
    rest = (await byline.http.get(following, headers=olga.auth)).json()
    assert ([job["id"] for job in rest["items"]], rest["next_cursor"]) == (made[:1], None)


async def test_imports_are_listed_by_what_they_are(byline: Byline, olga: Member) -> None:
    bad = await imported(byline, olga, BAD)
    good = await imported(byline, olga, rows("One"))
    users = await imported(byline, olga, b"", kind="users", format="ndjson", start="false")
    again = (await byline.http.post(at(bad, "/retry"), headers=olga.auth)).json()

    for query, expected in (
        ("state=succeeded", [good]),
        ("state=completed_with_errors", [again, bad]),
        ("state=uploaded", [users]),
        ("kind=posts", [again, good, bad]),
        ("kind=users&state=uploaded", [users]),
        ("kind=users&state=succeeded", []),
        (f"parent_id={bad['id']}", [again]),
        (f"parent_id={uuid4()}", []),
        (f"kind=posts&after={again['id']}&page_size=1", [good]),
    ):
        found = (await byline.http.get(f"/v1/imports?{query}", headers=olga.auth)).json()["items"]
        assert [job["id"] for job in found] == [job["id"] for job in expected], query

    page = await byline.http.get("/v1/imports?kind=posts&page_size=1", headers=olga.auth)
    assert f"<{page.links['next']['url']}" == f"</v1/imports?kind=posts&page_size=1&after={again['id']}"


@pytest.mark.parametrize(
    "query", ["state=done", "kind=songs", "parent_id=x", "after=x", "page_size=0", "color=red", "kind=posts&kind=posts"]
)
async def test_a_list_that_is_asked_for_wrongly_is_refused(byline: Byline, olga: Member, query: str) -> None:
    (wrong,) = refused(await byline.http.get(f"/v1/imports?{query}", headers=olga.auth), 422, "validation")["errors"]

    assert wrong["parameter"] == query.partition("=")[0]


async def test_progress_is_told_with_its_rate_and_the_time_left(byline: Byline, olga: Member) -> None:
    job = await uploaded(byline, olga)
    assert (job["rows_per_s"], job["seconds_left"], job["bytes_done"]) == (None, None, 0)
    await byline.http.post(at(job, "/cancel"), headers=olga.auth)
    without_a_worker(byline)
    await byline.http.post(at(job, "/resume"), headers=olga.auth)

    tally = Tally(created=3, skipped=3, failed=1, authors_created=2, reasons={"attachment": 1, "exists": 2})
    await advanced(byline, await claimed(byline, job), tally, bytes_read=job["bytes_total"] // 4)

    shown = await job_at(byline, olga, at(job))
    assert (shown["state"], shown["rows_read"], shown["rows_per_s"]) == ("running", 7, 2.3)
    assert shown["seconds_left"] == pytest.approx(9, abs=0.6)
    assert shown["bytes_done"] == job["bytes_total"] // 4
    assert shown["skipped_because"] == {"attachment": 1, "exists": 2}
    assert (shown["authors_created"], shown["failed"]) == (2, 1)
    assert shown["revision"] > job["revision"]


async def test_an_import_that_waits_is_cancelled_at_once_and_resumed(byline: Byline, olga: Member) -> None:
    job = await uploaded(byline, olga)

    cancelled = await byline.http.post(at(job, "/cancel"), headers=olga.auth)
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    assert cancelled.json()["finished_at"]
    again = await byline.http.post(at(job, "/cancel"), headers=olga.auth)
    assert (again.status_code, again.json()["state"]) == (200, "cancelled")

    resumed = await byline.http.post(at(job, "/resume"), headers=olga.auth)
    assert (resumed.status_code, resumed.json()["state"], set(resumed.json())) == (202, "queued", SHAPE)
    done = await job_at(byline, olga, at(job))
    assert (done["state"], done["created"]) == ("succeeded", 2)


async def test_an_import_at_work_is_cancelling_until_its_worker_is_done_with_the_chunk(
    byline: Byline, olga: Member
) -> None:
    job = await uploaded(byline, olga)
    without_a_worker(byline)
    await byline.http.post(at(job, "/resume"), headers=olga.auth)
    await claimed(byline, job)

    for _ in range(2):
        answer = await byline.http.post(at(job, "/cancel"), headers=olga.auth)
        assert (answer.status_code, answer.json()["state"]) == (200, "cancelling")


async def test_what_has_succeeded_is_neither_cancelled_nor_resumed_nor_tried_again(
    byline: Byline, olga: Member
) -> None:
    job = await imported(byline, olga, rows("One"))

    for part in ("/cancel", "/resume", "/retry"):
        assert refused(await byline.http.post(at(job, part), headers=olga.auth), 409, "wrong-state")["detail"]
    assert await job_at(byline, olga, at(job)) == job


async def test_what_still_waits_is_not_tried_again(byline: Byline, olga: Member) -> None:
    job = await uploaded(byline, olga)

    refused(await byline.http.post(at(job, "/retry"), headers=olga.auth), 409, "wrong-state")


async def test_failed_rows_alone_are_tried_again_as_a_job_of_their_own(byline: Byline, olga: Member) -> None:
    job = await imported(byline, olga, rows("One") + rows("Two", author="ada"), max_errors="5")
    assert (job["created"], job["failed"]) == (1, 1)
    await byline.member("ada")

    answer = await byline.http.post(at(job, "/retry"), headers=olga.auth)

    assert answer.status_code == 202
    queued = answer.json()
    assert (queued["parent_id"], queued["state"], queued["options"]) == (job["id"], "queued", job["options"])
    done = await job_at(byline, olga, answer.headers["location"])
    assert (done["id"], done["state"], done["rows_read"], done["created"]) == (queued["id"], "succeeded", 1, 1)


async def test_rows_are_tried_again_otherwise_where_one_says_so(byline: Byline, olga: Member) -> None:
    job = await imported(byline, olga, rows("One", author="nobody"), on_conflict="fail", max_errors="3")
    said = {
        "on_conflict": "update",
        "dry_run": True,
        "create_authors": True,
        "default_author": "OLGA",
        "publish": "draft",
    }

    answer = await byline.send("POST", at(job, "/retry"), said, olga.auth)

    assert answer.json()["options"] == {**said, "default_author": olga.id, "max_errors": 3, "map": {}}
    one = await byline.send("POST", at(job, "/retry"), {"dry_run": True, "publish": None}, olga.auth)
    assert one.json()["options"] == {**job["options"], "dry_run": True}
    for body in ("{}", "null"):
        plain = await byline.http.post(at(job, "/retry"), content=body, headers={**olga.auth, **JSON})
        assert plain.json()["options"] == job["options"]


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"on_conflict": "shrug"}, "#/on_conflict", "enum"),
        ({"dry_run": "perhaps"}, "#/dry_run", "bool_parsing"),
        ({"publish": "some"}, "#/publish", "enum"),
        ({"default_author": "nobody"}, "#/default_author", "unknown_author"),
        ({"default_author": ""}, "#/default_author", "too_short"),
        ({"default_author": "\ud800"}, "#/default_author", "bad_character"),
        ({"kind": "users"}, "#/kind", "unknown_field"),
    ],
)
async def test_what_is_said_wrongly_of_a_retry_is_told(
    byline: Byline, olga: Member, body: Json, pointer: str, code: str
) -> None:
    job = await imported(byline, olga, BAD)

    problem = refused(await byline.send("POST", at(job, "/retry"), body, olga.auth), 422, "validation")

    assert [(wrong["pointer"], wrong["code"]) for wrong in problem["errors"]] == [(pointer, code)]
    listed = await byline.http.get(f"/v1/imports?parent_id={job['id']}", headers=olga.auth)
    assert listed.json()["items"] == []


async def test_rows_of_a_file_that_is_gone_are_not_tried_again(
    byline: Byline, olga: Member, blobs: MemoryBlobs
) -> None:
    job = await imported(byline, olga, BAD)
    blobs.files.clear()

    refused(await byline.http.post(at(job, "/retry"), headers=olga.auth), 404, "file-not-found")


async def test_there_is_no_unknown_import(byline: Byline, olga: Member) -> None:
    unknown = f"/v1/imports/{uuid4()}"
    for part in ("", "/events", "/errors", "/errors.csv", "/errors.ndjson"):
        refused(await byline.http.get(unknown + part, headers=olga.auth), 404, "import-not-found")
    for part in ("/cancel", "/resume", "/retry"):
        refused(await byline.http.post(unknown + part, headers=olga.auth), 404, "import-not-found")
    for path in ("/v1/imports/x", f"{unknown}/errors.xls"):
        refused(await byline.http.get(path, headers=olga.auth), 404, "no-such-path")


async def test_every_operator_sees_every_import(byline: Byline, olga: Member) -> None:
    job = await uploaded(byline, olga)
    other = await byline.member(role=Role.ADMIN)

    assert await job_at(byline, other, at(job)) == job
    assert (await byline.http.post(at(job, "/cancel"), headers=other.auth)).status_code == 200
