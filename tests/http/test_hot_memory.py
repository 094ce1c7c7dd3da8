"""Hot reads: what the process keeps of them, for how long, and what is counted."""

from dataclasses import replace
from uuid import UUID

from application.caching.keys import page_key, post_key, posts_key
from application.pages import PostQuery
from domain.actors import Role
from domain.ids import PostId
from interfaces.http.app import HttpOptions
from interfaces.http.hot import HotReads
from tests.http.byline import Byline
from tests.http.conftest import StartByline
from tests.http.hot import Place, ask, furnished, scope_of


async def test_a_change_is_seen_by_the_next_read(byline: Byline, hot_app: HotReads, place: Place) -> None:
    post = (await byline.http.get(place.urls[0])).json()
    for number in range(3):
        before = await ask(hot_app, place.urls[0])
        title = f"Title {number}"
        changed = await byline.http.patch(f"/v1/posts/{post['id']}", json={"title": title}, headers=place.ada.auth)
        assert changed.status_code == 200
        after = await ask(hot_app, place.urls[0])
        assert title.encode() in after.body
        assert title.encode() not in before.body
        assert title.encode() in (await ask(hot_app, "/v1/posts")).body


async def test_what_is_withdrawn_is_gone_at_once(byline: Byline, hot_app: HotReads, place: Place) -> None:
    url = place.urls[0]
    assert (await ask(hot_app, url)).status == 200
    await byline.http.post(f"{url}/unpublish", headers=place.ada.auth)
    assert (await ask(hot_app, url)).status == 404
    assert b"Small" not in (await ask(hot_app, "/v1/posts")).body
    await byline.http.post(f"{url}/publish", headers=place.ada.auth)
    assert (await ask(hot_app, url)).status == 200
    await byline.http.delete(url, headers=place.ada.auth)
    assert (await ask(hot_app, url)).status == 404


async def test_reads_are_answered_from_memory_until_something_changes(
    byline: Byline, hot_app: HotReads, place: Place
) -> None:
    counts = byline.container.read_through().counts
    for url in place.urls:
        await ask(hot_app, url)
    before = replace(counts)
    for url in place.urls:
        assert (await ask(hot_app, url)).status == 200
    assert counts == before


async def test_without_room_nothing_is_kept_in_the_process(start: StartByline) -> None:
    byline = await start(options=HttpOptions(l1_max_bytes=0))
    place = await furnished(byline)
    for _ in range(3):
        assert (await ask(HotReads(byline.app), place.urls[0])).status == 200
    figures = byline.app.state.local_pages.stats()
    assert (figures["pages"], figures["bytes"], figures["max_bytes"]) == (0, 0, 0)


async def test_what_is_kept_stays_within_its_bound(start: StartByline) -> None:
    bound = 20_000
    byline = await start(options=HttpOptions(l1_max_bytes=bound))
    place, small = await furnished(byline), HotReads(byline.app)
    for url in place.urls * 2:
        assert (await ask(small, url)).status in (200, 404)
        assert byline.app.state.local_pages.stats()["bytes"] <= bound
    assert byline.app.state.local_pages.stats()["pages"] > 1


async def test_what_is_read_is_told_for_the_next_warming(byline: Byline, hot_app: HotReads, place: Place) -> None:
    first, second = place.urls[0], "/v1/posts?page=2&page_size=1"
    byline.app.state.local_pages.take_reads(1)
    for url, times in ((first, 4), (second, 3), ("/v1/users", 1)):
        for _ in range(times):
            await ask(hot_app, url)
    reads = byline.app.state.local_pages.take_reads(2)

    assert list(reads.values()) == [4, 3]
    await byline.use_cases.note_reads(reads)
    most_read = await byline.container.cache().most_read(2)
    assert [page_key(text) for text in most_read] == [
        post_key(PostId(UUID(first.rpartition("/")[2]))),
        posts_key(PostQuery(page=2, page_size=1)),
    ]
    assert byline.app.state.local_pages.take_reads(10) == {}


async def test_l1_tells_how_often_it_helped(byline: Byline, hot_app: HotReads, place: Place) -> None:
    before = byline.app.state.local_pages.stats()
    for _ in range(5):
        await ask(hot_app, place.urls[0])
    byline.app.state.local_pages.take_reads(1)
    after = byline.app.state.local_pages.stats()
    assert (after["reads"] - before["reads"], after["loads"] - before["loads"], after["trusted"]) == (5, 1, 1)


async def test_every_get_of_a_post_counts_a_view_hot_or_not(byline: Byline, hot_app: HotReads, place: Place) -> None:
    url = place.urls[0]
    theirs = (b"authorization", place.ada.auth["authorization"].encode())
    await byline.use_cases.views.drain(within_s=5.0)
    counted = (await byline.http.get(url, headers=place.ada.auth)).json()["views"] + 1

    for app in (hot_app, byline.app):
        for _ in range(3):
            await ask(app, url)
        await ask(app, url, (b"if-none-match", b"*"))
        await ask(app, url, theirs)
        await ask(app, url, method="HEAD")
        await ask(app, "/v1/posts")
        await ask(app, f"/v1/posts/{place.draft}", theirs)
    await byline.use_cases.views.drain(within_s=5.0)

    assert (await byline.http.get(url, headers=place.ada.auth)).json()["views"] == counted + 10
    assert (await byline.http.get(f"/v1/posts/{place.draft}", headers=place.ada.auth)).json()["views"] == 0


async def test_a_read_is_counted_at_once_too(byline: Byline, hot_app: HotReads, place: Place) -> None:
    await byline.use_cases.views.drain(within_s=5.0)
    await ask(hot_app, place.urls[0])
    for method in ("GET", "HEAD"):
        assert hot_app.at_once(scope_of(place.urls[0], method=method)) is not None
    assert byline.use_cases.views.waiting == 2


async def test_only_what_is_ready_is_answered_at_once(hot_app: HotReads, place: Place) -> None:
    small, large = place.urls[0], place.urls[2]
    gzip = (b"accept-encoding", b"gzip")
    assert hot_app.at_once(scope_of(small)) is None  # it has not begun
    for url in (small, large):
        await ask(hot_app, url)
    assert hot_app.at_once(scope_of(small)) is not None
    assert hot_app.at_once(scope_of(small, (b"authorization", b"Bearer x"))) is None
    assert hot_app.at_once(scope_of(small, method="DELETE")) is None
    assert hot_app.at_once({"type": "websocket"}) is None
    assert hot_app.at_once(scope_of(large, gzip)) is None  # not compressed yet
    await ask(hot_app, large, gzip)
    assert hot_app.at_once(scope_of(large, gzip)) is not None


async def test_views_need_not_be_counted(start: StartByline) -> None:
    byline = await start(options=HttpOptions(count_views=False))
    ada = await byline.member(role=Role.OPERATOR)
    post = await byline.post(ada)
    for _ in range(3):
        await byline.http.get(f"/v1/posts/{post['slug']}")
    assert byline.use_cases.views.waiting == 0
