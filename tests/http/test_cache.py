"""The cache, for operators: its figures, warming it, forgetting."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import pytest

from application.caching.warming import LISTS
from domain.actors import Role
from infrastructure.cache.memory import MemoryCache
from infrastructure.memory.queue import MemoryQueue
from tests.http.byline import Byline, Json, Member, refused

COMMON = len(LISTS) + 1
SHAPE = {"id", "reason", "state", "requested_at", "finished_at", "report"}


@pytest.fixture
def cache(byline: Byline) -> MemoryCache:
    cache = byline.container.cache()
    assert isinstance(cache, MemoryCache)
    return cache


@pytest.fixture
async def olga(byline: Byline) -> Member:
    return await byline.member("olga", role=Role.OPERATOR)


def without_a_worker(byline: Byline) -> None:
    queue = byline.container.queue()
    assert isinstance(queue, MemoryQueue)
    queue.is_reachable = False


async def warmed(byline: Byline, by: Member) -> Json:
    answer = await byline.http.post("/v1/cache/warm", headers=by.auth)
    assert answer.status_code == 202, answer.text
    shown = await byline.http.get(answer.headers["location"], headers=by.auth)
    assert shown.status_code == 200
    body: Json = shown.json()
    return body


async def reads(byline: Byline, by: Member) -> Mapping[str, int]:
    answer = await byline.http.get("/v1/cache", headers=by.auth)
    assert answer.status_code == 200, answer.text
    found: Mapping[str, int] = answer.json()["process"]["reads"]
    return found


async def test_a_warming_is_asked_for_and_followed_to_its_report(byline: Byline, olga: Member) -> None:
    without_a_worker(byline)
    answer = await byline.http.post("/v1/cache/warm", headers=olga.auth)

    assert (answer.status_code, answer.headers["cache-control"]) == (202, "no-store")
    job = answer.json()
    assert set(job) == SHAPE
    assert (job["state"], job["reason"], job["report"], job["finished_at"]) == ("queued", "request", None, None)
    assert answer.headers["location"] == f"/v1/cache/warmings/{job['id']}"
    again = await byline.http.post("/v1/cache/warm", headers=olga.auth)
    assert again.json() == job

    await byline.use_cases.run_warming()

    done = (await byline.http.get(answer.headers["location"], headers=olga.auth)).json()
    assert done["state"] == "done"
    assert done["finished_at"]
    report = done["report"]
    assert set(report) == {"asked", "loaded", "already_there", "gone", "took_s", "ended"}
    assert (report["asked"], report["loaded"], report["ended"]) == (COMMON, COMMON, "done")


async def test_what_was_warmed_is_answered_without_loading(byline: Byline, olga: Member) -> None:
    post = await byline.post(olga)
    assert (await warmed(byline, olga))["report"]["loaded"] == COMMON + 1
    before = await reads(byline, olga)

    for path in (
        "/v1/posts",
        "/v1/posts?count=none",
        "/v1/posts?page=2",
        "/v1/posts?page=3",
        "/v1/posts?sort_by=views",
        "/v1/users",
        f"/v1/posts/{post['slug']}",
    ):
        assert (await byline.http.get(path)).status_code == 200

    after = await reads(byline, olga)
    assert (after["hits"] - before["hits"], after["misses"]) == (COMMON + 1, before["misses"])


async def test_with_the_cache_away_a_warming_fails_and_says_so(
    byline: Byline, olga: Member, cache: MemoryCache
) -> None:
    cache.away = True
    failed = await warmed(byline, olga)
    assert (failed["state"], failed["report"]["ended"], failed["report"]["asked"]) == ("failed", "away", 0)
    assert (await byline.http.get("/v1/cache", headers=olga.auth)).json()["shared"]["connected"] == 0


async def test_warmings_are_listed_the_newest_first(byline: Byline, olga: Member) -> None:
    made = [(await warmed(byline, olga))["id"] for _ in range(3)]

    first = await byline.http.get("/v1/cache/warmings?page_size=2", headers=olga.auth)

    assert [job["id"] for job in first.json()["items"]] == made[:0:-1]
    assert set(first.json()["items"][0]) == SHAPE
    following = f"/v1/cache/warmings?page_size=2&after={first.json()['next_cursor']}"
    assert f'<{following}>; rel="next"' in first.headers["link"]
    rest = (await byline.http.get(following, headers=olga.auth)).json()
    assert ([job["id"] for job in rest["items"]], rest["next_cursor"]) == (made[:1], None)


@pytest.mark.parametrize("query", ["after=x", "page_size=0", "state=done", "page_size=1&page_size=2"])
async def test_a_list_that_is_asked_for_wrongly_is_refused(byline: Byline, olga: Member, query: str) -> None:
    answer = await byline.http.get(f"/v1/cache/warmings?{query}", headers=olga.auth)
    (wrong,) = refused(answer, 422, "validation")["errors"]
    assert wrong["parameter"] == query.partition("=")[0]


async def test_a_warming_that_is_not_there_is_not_found(byline: Byline, olga: Member) -> None:
    refused(await byline.http.get(f"/v1/cache/warmings/{uuid4()}", headers=olga.auth), 404, "warming-not-found")


async def test_figures_are_those_of_the_shared_cache_and_of_the_process(byline: Byline, olga: Member) -> None:
    await byline.http.get("/v1/users")
    answer = await byline.http.get("/v1/cache", headers=olga.auth)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    figures = answer.json()
    assert set(figures) == {"shared", "process"}
    assert figures["shared"]["adapter"] == "memory"
    assert figures["shared"]["connected"] == 1
    assert figures["process"]["reads"]["loads"] > 0
    assert figures["process"]["l1"]["pages"] == 1


async def forgotten(byline: Byline, by: Member, body: Any) -> list[str]:
    answer = await byline.send("POST", "/v1/cache/forget", body, by.auth)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    tags: list[str] = answer.json()["tags"]
    return tags


async def test_all_is_forgotten_unless_something_is_named(byline: Byline, olga: Member, cache: MemoryCache) -> None:
    tokens = await cache.tokens(["all"])
    bodiless = await byline.http.post("/v1/cache/forget", headers=olga.auth)
    assert bodiless.json() == {"tags": ["all"]}
    assert await cache.tokens(["all"]) != tokens
    for body in ({}, {"all": True}, None):
        assert await forgotten(byline, olga, body) == ["all"]


async def test_posts_are_forgotten_with_all_that_shows_them(byline: Byline, olga: Member, cache: MemoryCache) -> None:
    post = await byline.post(olga, tags=["sea"])
    expected = sorted(
        [
            f"post:{post['id']}",
            f"slug:{post['slug']}",
            f"posts:by:{olga.id}",
            "posts:tagged:sea",
            "posts",
            "totals",
        ]
    )
    tokens = await cache.tokens(expected)
    for ref in (post["id"], post["slug"]):
        assert await forgotten(byline, olga, {"posts": [ref]}) == expected
    changed = await cache.tokens(expected)
    assert all(old != new for old, new in zip(tokens, changed, strict=True))


async def test_what_is_named_need_not_be_there_any_more(byline: Byline, olga: Member) -> None:
    assert await forgotten(byline, olga, {"users": [olga.id]}) == sorted(
        [f"user:{olga.id}", "users", f"posts:by:{olga.id}"]
    )
    gone = str(uuid4())
    for named in ({"posts": ["deleted"], "users": [olga.id]}, {"posts": [gone]}, {"users": [olga.id, gone]}):
        assert await forgotten(byline, olga, named) == ["all"]


async def test_what_is_forgotten_is_loaded_anew(byline: Byline, olga: Member) -> None:
    post = await byline.post(olga)
    await warmed(byline, olga)
    await forgotten(byline, olga, {"posts": [post["id"]]})
    before = await reads(byline, olga)
    await byline.http.get(f"/v1/posts/{post['slug']}")
    await byline.http.get("/v1/users")
    after = await reads(byline, olga)
    assert (after["misses"] - before["misses"], after["hits"] - before["hits"]) == (1, 1)


async def test_what_cannot_be_forgotten_now_is_left_to_the_relay(
    byline: Byline, olga: Member, cache: MemoryCache
) -> None:
    cache.away = True
    assert await forgotten(byline, olga, {"all": True}) == ["all"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"posts": ["No slug"]}, "#/posts/0"),
        ({"posts": ["a\u0000b"]}, "#/posts/0"),
        ({"users": ["olga"]}, "#/users/0"),
        ({"posts": ["x"] * 101}, "#/posts"),
        ({"posts": []}, "#/posts"),
        ({"users": []}, "#/users"),
        ({"tags": ["all"]}, "#/tags"),
        ({"all": True, "posts": ["x"]}, "#/all"),
        ({"all": False}, "#/all"),
    ],
)
async def test_what_cannot_be_named_is_refused(byline: Byline, olga: Member, body: Json, pointer: str) -> None:
    answer = await byline.send("POST", "/v1/cache/forget", body, olga.auth)
    (wrong,) = refused(answer, 422, "validation")["errors"]
    assert wrong["pointer"] == pointer


async def test_the_cache_is_for_operators(byline: Byline) -> None:
    ann = await byline.member("ann")
    for method, path in (
        ("GET", "/v1/cache"),
        ("POST", "/v1/cache/warm"),
        ("POST", "/v1/cache/forget"),
        ("GET", "/v1/cache/warmings"),
        ("GET", f"/v1/cache/warmings/{uuid4()}"),
    ):
        refused(await byline.http.request(method, path), 401, "not-authenticated")
        refused(await byline.http.request(method, path, headers=ann.auth), 403, "not-allowed")
