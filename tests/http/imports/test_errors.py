"""The rows that failed: as a list, and as a file that can be mended and sent again."""

import csv
import io
import json

import pytest

from tests.http.byline import Byline, Json, Member
from tests.http.imports.sending import KIND, form, imported, job_at, rows, sent

BROKEN = b'{"title": "x"}\nnot json\n' + json.dumps({"title": "=1+1", "author": "nobody", "password": "p4ss"}).encode()


@pytest.fixture
async def job(byline: Byline, olga: Member) -> Json:
    """Of four rows, the last three of which are bad."""
    done = await imported(byline, olga, rows("Good") + BROKEN)
    assert (done["state"], done["rows_read"], done["created"], done["failed"]) == ("completed_with_errors", 4, 1, 3)
    return done


def at(job: Json, part: str) -> str:
    return f"/v1/imports/{job['id']}/{part}"


async def test_bad_rows_fail_alone_and_are_listed_with_their_lines(byline: Byline, olga: Member, job: Json) -> None:
    first = await byline.http.get(at(job, "errors?page_size=2"), headers=olga.auth)

    page = first.json()
    assert [(row["line"], row["place"]) for row in page["items"]] == [(2, 2), (3, 3)]
    assert set(page["items"][0]) == {"line", "place", "field", "code", "message", "row"}
    assert (page["page"], page["total"]) == (None, None)
    following = at(job, f"errors?page_size=2&after={page['next_cursor']}")
    assert f'<{following}>; rel="next"' in first.headers["link"]
    rest = (await byline.http.get(following, headers=olga.auth)).json()
    assert ([row["line"] for row in rest["items"]], rest["next_cursor"]) == ([4], None)
    beyond = await byline.http.get(at(job, f"errors?after={2**63 - 1}"), headers=olga.auth)
    assert (beyond.status_code, beyond.json()["items"]) == (200, [])
    assert (await byline.http.get(at(job, f"errors?after={2**63}"), headers=olga.auth)).status_code == 422


async def test_they_are_a_file_with_a_name_that_no_cache_keeps(byline: Byline, olga: Member, job: Json) -> None:
    for form_name, media_type in (("csv", "text/csv; charset=utf-8"), ("ndjson", "application/x-ndjson")):
        answer = await byline.http.get(at(job, f"errors.{form_name}"), headers=olga.auth)

        assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
        name = f"import-{job['id']}-errors.{form_name}"
        assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
        assert answer.headers["cache-control"] == "no-store"
        head = await byline.http.head(at(job, f"errors.{form_name}"), headers=olga.auth)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-disposition"] == answer.headers["content-disposition"]


async def test_a_csv_tells_of_each_row_what_was_wrong(byline: Byline, olga: Member, job: Json) -> None:
    answer = await byline.http.get(at(job, "errors.csv"), headers=olga.auth)

    found = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert [row["line"] for row in found] == ["2", "3", "4"]
    assert {"line", "field", "code", "message", "row"} <= set(found[0])
    assert [row["code"] for row in found] == ["missing", "bad_json", "unknown_field"]
    assert "p4ss" not in answer.text


async def test_ndjson_tells_of_each_row_what_was_wrong(byline: Byline, olga: Member, job: Json) -> None:
    answer = await byline.http.get(at(job, "errors.ndjson"), headers=olga.auth)

    found = [json.loads(line) for line in answer.text.splitlines()]
    assert [row["line"] for row in found] == [2, 3, 4]
    assert set(found[0]) == {"line", "field", "code", "message", "row"}


@pytest.mark.parametrize("form_name", ["csv", "ndjson"])
async def test_the_file_of_an_import_without_failures_has_no_rows(byline: Byline, olga: Member, form_name: str) -> None:
    job = await imported(byline, olga, rows("One"))

    answer = await byline.http.get(at(job, f"errors.{form_name}"), headers=olga.auth)

    assert answer.status_code == 200
    assert len(answer.text.splitlines()) == (1 if form_name == "csv" else 0)


@pytest.mark.parametrize("form_name", ["csv", "ndjson"])
async def test_many_failures_are_all_in_the_file(byline: Byline, olga: Member, form_name: str) -> None:
    job = await imported(byline, olga, b"not json\n" * 450)

    answer = await byline.http.get(at(job, f"errors.{form_name}"), headers=olga.auth)

    assert len(answer.text.splitlines()) == (451 if form_name == "csv" else 450)


async def test_a_file_of_errors_once_mended_imports_clean(byline: Byline, olga: Member) -> None:
    job = await imported(byline, olga, rows("=1+1", "Two", author="nobody"))
    assert job["failed"] == 2

    for form_name in ("csv", "ndjson"):
        answer = await byline.http.get(at(job, f"errors.{form_name}"), headers=olga.auth)
        mended = answer.content.replace(b"nobody", b"olga")
        body = form(KIND, ("file", mended, f"mended.{form_name}"))
        sent_again = await sent(byline, olga, body, "?dry_run=true")
        assert sent_again.status_code == 202, sent_again.text
        done = await job_at(byline, olga, sent_again.headers["location"])
        assert (done["state"], done["created"]) == ("succeeded", 2), done
