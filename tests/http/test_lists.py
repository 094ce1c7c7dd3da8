"""Lists: pages, cursors, totals, filters, orders, chosen fields, links."""

import base64
import json
from typing import Any

import pytest

from domain.actors import Role
from tests.http.byline import Byline, Json, refused

LISTS = ("/v1/posts", "/v1/users", "/v1/users/emails", "/v1/users/{id}/posts")


def links(header: str) -> dict[str, str]:
    """By relation (RFC 8288)."""
    found = {}
    for link in header.split(", "):
        target, _, relation = link.partition("; rel=")
        found[relation.strip('"')] = target.strip("<>")
    return found


def titles(answer: Json) -> list[str]:
    return [post["title"] for post in answer["items"]]


async def test_a_page_is_told_with_its_total_and_linked_to_those_around_it(byline: Byline) -> None:
    ada = await byline.member()
    for number in range(5):
        await byline.post(ada, title=f"{number}", tags=["a"])

    answer = await byline.http.get("/v1/posts?tag=a&page=2&page_size=2")

    body = answer.json()
    assert list(body) == ["items", "page", "page_size", "total", "total_pages", "next_cursor"]
    assert titles(body) == ["2", "1"]
    assert (body["page"], body["page_size"], body["total"], body["total_pages"]) == (2, 2, 5, 3)
    assert body["next_cursor"]
    around = links(answer.headers["link"])
    assert around == {
        "first": "/v1/posts?tag=a&page_size=2&page=1",
        "prev": "/v1/posts?tag=a&page_size=2&page=1",
        "next": "/v1/posts?tag=a&page_size=2&page=3",
        "last": "/v1/posts?tag=a&page_size=2&page=3",
    }
    last = await byline.http.get(around["last"])
    assert (titles(last.json()), last.json()["next_cursor"]) == (["0"], None)
    assert "next" not in links(last.headers["link"])


async def test_a_page_past_the_end_is_empty_and_leads_back(byline: Byline) -> None:
    ada = await byline.member()
    await byline.post(ada)

    answer = await byline.http.get("/v1/posts?page=9")

    assert (answer.json()["items"], answer.json()["total"]) == ([], 1)
    assert links(answer.headers["link"]) == dict.fromkeys(("first", "prev", "last"), "/v1/posts?page=1")


async def test_an_empty_list_has_no_pages(byline: Byline) -> None:
    answer = await byline.http.get("/v1/posts")

    expected = {"items": [], "page": 1, "page_size": 20, "total": 0, "total_pages": 0, "next_cursor": None}
    assert answer.json() == expected
    assert links(answer.headers["link"]) == {"first": "/v1/posts?page=1", "last": "/v1/posts?page=1"}


async def test_a_walk_by_cursor_counts_only_if_asked(byline: Byline) -> None:
    ada = await byline.member()
    for number in range(3):
        await byline.post(ada, title=f"{number}")
    first = await byline.http.get("/v1/posts?page_size=1&sort_by=created_at&order=asc")
    cursor = first.json()["next_cursor"]
    path = f"/v1/posts?page_size=1&sort_by=created_at&order=asc&after={cursor}"

    second = await byline.http.get(path)

    body = second.json()
    assert (titles(body), body["page"], body["total"], body["total_pages"]) == (["1"], None, None, None)
    around = links(second.headers["link"])
    assert around["first"] == "/v1/posts?page_size=1&sort_by=created_at&order=asc"
    assert titles((await byline.http.get(around["next"])).json()) == ["2"]
    assert set(around) == {"first", "next"}
    counted = (await byline.http.get(f"{path}&count=exact")).json()
    assert (counted["total"], counted["total_pages"]) == (3, 3)


@pytest.mark.parametrize("path", LISTS)
async def test_without_a_count_next_is_known_all_the_same(byline: Byline, path: str) -> None:
    operator = await byline.member(role=Role.OPERATOR)
    await byline.member()
    for _ in range(2):
        await byline.post(operator)

    path = path.format(id=operator.id)
    answer = await byline.http.get(f"{path}?page_size=1&count=none", headers=operator.auth)

    assert (answer.json()["total"], answer.json()["total_pages"]) == (None, None)
    assert set(links(answer.headers["link"])) == {"first", "next"}


WRONG_PARAMETERS = [
    ("page=0", "page", "greater_than_equal"),
    ("page=1000001", "page", "less_than_equal"),
    ("page=1e309", "page", "int_parsing"),
    ("page=" + "9" * 5_000, "page", "int_parsing_size"),
    ("page_size=0", "page_size", "greater_than_equal"),
    ("page_size=101", "page_size", "less_than_equal"),
    ("page_size=-1", "page_size", "greater_than_equal"),
    ("page_size=", "page_size", "int_parsing"),
    ("count=maybe", "count", "enum"),
    ("after=nonsense", "after", "bad_cursor"),
    ("after=%00", "after", "bad_cursor"),
    ("after=" + "x" * 301, "after", "string_too_long"),
    ("page=2&after=x", "page", "conflict"),
    ("page=1&page=2", "page", "repeated"),
    ("pagesize=2", "pagesize", "unknown_field"),
    ("%00=2", "\0", "unknown_field"),
]


async def test_a_wrong_parameter_is_named(byline: Byline) -> None:
    operator = await byline.member(role=Role.OPERATOR)

    for path in LISTS:
        for query, parameter, code in WRONG_PARAMETERS:
            answer = await byline.http.get(f"{path.format(id=operator.id)}?{query}", headers=operator.auth)
            (wrong,) = refused(answer, 422, "validation")["errors"]
            assert (wrong["parameter"], wrong["code"]) == (parameter, code), query


WRONG_FILTERS = [
    ("published=perhaps", "published", "bool_parsing"),
    ("author_id=ada", "author_id", "uuid_parsing"),
    ("tag=" + "x" * 61, "tag", "too_long"),
    ("tag=%00", "tag", "bad_character"),
    ("type=poem", "type", "enum"),
    ("sort_by=title", "sort_by", "enum"),
    ("order=up", "order", "enum"),
    ("fields=id,secret", "fields", "unknown_field"),
    ("fields=%00", "fields", "unknown_field"),
]


async def test_a_wrong_filter_is_named(byline: Byline) -> None:
    for query, parameter, code in WRONG_FILTERS:
        (wrong,) = refused(await byline.http.get(f"/v1/posts?{query}"), 422, "validation")["errors"]
        assert (wrong["parameter"], wrong["code"]) == (parameter, code), query


def forged(*cursor: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(cursor).encode()).decode().rstrip("=")


FORGED = [
    forged("views-desc", 1, "0" * 32),
    forged("published_at-desc", 7, "0" * 32),
    forged("published_at-desc", "0001-01-01T00:00:00+23:59", "0" * 32),
    forged("published_at-desc", "9999-12-31T23:59:59-23:59", "0" * 32),
    forged("published_at-desc", True, "0" * 32),
    forged("published_at-desc", "2026-01-01T00:00:00Z", "no id"),
    forged("published_at-desc", "2026-01-01T00:00:00Z"),
    forged(),
]


async def test_a_cursor_of_nowhere_is_refused(byline: Byline) -> None:
    for cursor in FORGED:
        (wrong,) = refused(await byline.http.get(f"/v1/posts?after={cursor}"), 422, "validation")["errors"]
        assert (wrong["parameter"], wrong["code"]) == ("after", "bad_cursor"), cursor


async def test_posts_are_filtered(byline: Byline) -> None:
    ada, other = await byline.member(), await byline.member()
    await byline.post(ada, title="post", tags=["a", "b"])
    await byline.post(ada, title="draft", status="draft", tags=["a"])
    await byline.post(ada, title="page", type="page")
    await byline.post(other, title="other", tags=["b"])

    for query, expected in (
        ("", ["other", "draft", "post"]),
        ("published=true", ["other", "post"]),
        ("published=false", ["draft"]),
        (f"author_id={other.id}", ["other"]),
        ("tag=b", ["other", "post"]),
        ("tag=a&published=true", ["post"]),
        ("tag=none", []),
        ("type=page", ["page"]),
        ("type=all", ["page", "other", "draft", "post"]),
        ("type=all&order=asc&sort_by=created_at", ["post", "draft", "page", "other"]),
    ):
        answer = (await byline.http.get(f"/v1/posts?{query}", headers=ada.auth)).json()
        assert (sorted(titles(answer)), answer["total"]) == (sorted(expected), len(expected)), query
    created = await byline.http.get("/v1/posts?type=all&sort_by=created_at&order=asc", headers=ada.auth)
    assert titles(created.json()) == ["post", "draft", "page", "other"]


async def test_users_are_filtered(byline: Byline) -> None:
    ada, operator = await byline.member("ada"), await byline.member("olga", role=Role.OPERATOR)
    await byline.http.patch("/v1/users/me", json={"is_active": False}, headers=ada.auth)

    for query, auth, expected in (
        ("", None, ["olga"]),
        ("", operator.auth, ["olga", "ada"]),
        ("is_active=false", operator.auth, ["ada"]),
        ("is_active=false", None, []),
        ("role=operator", None, ["olga"]),
        ("role=admin", operator.auth, []),
    ):
        answer = (await byline.http.get(f"/v1/users?{query}", headers=auth)).json()
        assert [user["username"] for user in answer["items"]] == expected, query


async def test_only_the_fields_that_were_asked_for_are_answered(byline: Byline) -> None:
    ada = await byline.member()
    await byline.post(ada, title="x")

    for query, expected in (("id,title", {"id", "title"}), ("author", {"author"}), ("title,,title", {"title"})):
        (item,) = (await byline.http.get(f"/v1/posts?fields={query}")).json()["items"]
        assert set(item) == expected
    (item,) = (await byline.http.get("/v1/posts?fields=")).json()["items"]
    assert "content" in item


async def test_a_query_that_was_refused_is_refused_again(byline: Byline) -> None:
    """What queries mean is remembered."""
    for _ in range(2):
        refused(await byline.http.get("/v1/posts?page=0"), 422, "validation")
        assert (await byline.http.get("/v1/posts?page_size=7")).json()["page_size"] == 7
        assert (await byline.http.get("/v1/users?page_size=7")).json()["page_size"] == 7
