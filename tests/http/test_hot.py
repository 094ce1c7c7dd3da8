"""Hot reads: what is answered before the router is what the router answers, byte for byte."""

import asyncio
import gzip
from dataclasses import dataclass, replace
from itertools import product
from typing import Any
from uuid import UUID

import pytest
from starlette.types import ASGIApp, Message, Scope
from structlog.testing import capture_logs

from application.caching.keys import page_key, post_key, posts_key
from application.pages import PostQuery
from domain.actors import Role
from domain.ids import PostId
from interfaces.http.app import HttpOptions
from interfaces.http.hot import HotReads
from interfaces.http.representations import (
    AT_ONCE_BYTES,
    GZIP_MIN_BYTES,
    Compressed,
    accepts_gzip,
)
from tests.http.byline import Byline, Member
from tests.http.conftest import StartByline

Header = tuple[bytes, bytes]
REQUEST_ID = (b"x-request-id", b"asked-by-the-test")


@dataclass(frozen=True, slots=True)
class Sent:
    """What an application sent: all of it, in its order."""

    status: int
    headers: tuple[Header, ...]
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        return dict(self.headers).get(name)


def scope_of(url: str, *headers: Header, method: str = "GET") -> Scope:
    """As a server's: with the path as it was sent and as it reads."""
    path, _, query = url.partition("?")
    return {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path.replace("%2D", "-").replace("%2F", "/"),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(b"host", b"byline.test"), REQUEST_ID, *headers],
        "client": ("127.0.0.1", 1),
        "server": ("byline.test", 80),
    }


async def ask(app: ASGIApp, url: str, *headers: Header, method: str = "GET") -> Sent:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope_of(url, *headers, method=method), receive, send)
    return of_messages(*sent)


def of_messages(start: Message, *bodies: Message) -> Sent:
    assert start["type"] == "http.response.start"
    assert not bodies[-1].get("more_body", False)
    return Sent(start["status"], tuple(start["headers"]), b"".join(body["body"] for body in bodies))


@pytest.fixture
def hot_app(byline: Byline) -> HotReads:
    return HotReads(byline.app)


@dataclass(frozen=True, slots=True)
class Place:
    ada: Member
    urls: tuple[str, ...]
    draft: str


@pytest.fixture
async def place(byline: Byline) -> Place:
    return await furnished(byline)


async def furnished(byline: Byline) -> Place:
    """A post, a draft, a page and a post of a size that is compressed; addresses of all kinds."""
    ada = await byline.member()
    large = await byline.post(ada, title="Large", content="Byline keeps what was written. " * 200, tags=["a"])
    post = await byline.post(ada, title="Small", tags=["a", "b c"])
    draft = await byline.post(ada, status="draft")
    await byline.post(ada, type="page")
    listed = (await byline.http.get("/v1/posts?page_size=1")).json()
    return Place(
        ada,
        (
            *(f"/v1/posts/{post['id']}", f"/v1/posts/{post['slug']}", f"/v1/posts/{large['slug']}"),
            *("/v1/posts", "/v1/posts?page=2&page_size=1", f"/v1/posts?page_size=1&after={listed['next_cursor']}"),
            *("/v1/posts?tag=a&count=none", "/v1/posts?tag=b%20c", "/v1/posts?sort_by=views&order=asc&type=all"),
            *("/v1/posts?fields=id,title", "/v1/posts?count=estimated", "/v1/posts?published=true"),
            *(f"/v1/posts?author_id={ada.id}", f"/v1/users/{ada.id}/posts", f"/v1/users/{ada.id}/posts?page_size=1"),
            *(f"/v1/users/{ada.id}", f"/v1/users/{ada.id}?include=posts", "/v1/users", "/v1/users?include=posts"),
            *("/v1/users?role=admin&is_active=true", "/v1/settings"),
        ),
        draft["id"],
    )


def strange_urls(place: Place) -> tuple[str, ...]:
    """Refused, not found, or written in an unusual way."""
    nobody = "0190e2f0-0000-7000-8000-000000000000"
    return (
        *(f"/v1/posts/{place.draft}", f"/v1/posts/{nobody}", "/v1/posts/No%20Slug", "/v1/posts/no-such-slug"),
        *("/v1/posts/", "/v1/posts/a/b", "/v1/posts%2F1", "/v1/posts/no%2Dsuch%2Dslug", "/v1/Posts"),
        *(f"/v1/posts?author_id={nobody}", "/v1/posts?page=0", "/v1/posts?page=1&page=1", "/v1/posts?unknown=1"),
        *("/v1/posts?after=nonsense", "/v1/posts?fields=nonsense", "/v1/posts?published=false", "/v1/posts?tag=%00"),
        *(f"/v1/posts/{nobody}?x=1", f"/v1/users/{nobody}", f"/v1/users/{nobody}/posts", "/v1/users/me"),
        *(f"/v1/users/{place.ada.id.upper()}", f"/v1/users/{place.ada.id}?include=nonsense", "/v1/users/emails"),
        *(f"/v1/users/{place.ada.id}?include=posts&include=posts", "/v1/users?page_size=1000", "/nothing"),
        *("/v1/settings?x=1", "/v1/settings/", "/health/live"),
    )


async def test_hot_and_routed_answers_are_the_same_bytes(start: StartByline) -> None:
    options = HttpOptions(count_views=False)  # which would differ from one read to the next
    byline = await start(options=options)
    hot_app, place = HotReads(byline.app), await furnished(byline)
    statuses: set[int] = set()
    for url in (*place.urls, *strange_urls(place)):
        etags = {
            (await ask(byline.app, url, *coding)).header(b"etag") for coding in ((), ((b"accept-encoding", b"gzip"),))
        }
        conditions = [(), *(((b"if-none-match", tag),) for tag in _conditions(etags))]
        encodings: list[tuple[Header, ...]] = [
            (),
            ((b"accept-encoding", b"gzip, deflate, br"),),
            ((b"accept-encoding", b"br"), (b"accept-encoding", b"gzip;q=0.5")),
            ((b"accept-encoding", b"gzip;q=0"),),
        ]
        each = product(("GET", "HEAD"), conditions, encodings)
        asked = list(each) if url in place.urls else [("GET", (), ()), ("HEAD", (), encodings[1])]
        for method, condition, encoding in asked:
            routed = await ask(byline.app, url, *condition, *encoding, method=method)
            for answered in [await ask(hot_app, url, *condition, *encoding, method=method) for _ in range(2)]:
                assert answered == routed, (method, url, condition, encoding)
            at_once = hot_app.at_once(scope_of(url, *condition, *encoding, method=method))
            if at_once is None:
                assert url not in place.urls or routed.status == 400, (method, url, condition, encoding)
            else:
                assert of_messages(*at_once) == routed, (method, url, condition, encoding)
            statuses.add(routed.status)
    assert statuses == {200, 304, 400, 401, 404, 422}


def _conditions(etags: set[bytes | None]) -> list[bytes]:
    known = sorted(tag for tag in etags if tag)
    return [*known, *(b"W/" + tag for tag in known), b", ".join([b'"x"', *known]), b'"x"', b"*", b"nonsense"]


async def test_several_lines_of_a_condition_are_one(byline: Byline, hot_app: HotReads, place: Place) -> None:
    url = place.urls[0]
    tag = (await ask(hot_app, url)).header(b"etag")
    assert tag is not None
    for app in (byline.app, hot_app, hot_app):
        answered = await ask(app, url, (b"if-none-match", b'"x"'), (b"if-none-match", tag))
        assert (answered.status, answered.body) == (304, b"")


async def test_a_head_has_the_length_of_the_body_that_it_leaves_out(hot_app: HotReads, place: Place) -> None:
    for _ in range(2):
        whole, head = await ask(hot_app, place.urls[2]), await ask(hot_app, place.urls[2], method="HEAD")
        assert head.body == b""
        assert head.headers == whole.headers
        assert head.header(b"content-length") == b"%d" % len(whole.body)


async def test_a_304_never_has_a_length(hot_app: HotReads, place: Place) -> None:
    for _ in range(2):
        answered = await ask(hot_app, place.urls[0], (b"if-none-match", b"*"))
        assert answered.status == 304
        assert answered.header(b"content-length") is None


async def test_large_pages_are_compressed_for_those_who_like_that(hot_app: HotReads, place: Place) -> None:
    small, large = place.urls[0], place.urls[2]
    plain = await ask(hot_app, large)
    compressed = await ask(hot_app, large, (b"accept-encoding", b"gzip"))

    assert len(plain.body) > GZIP_MIN_BYTES
    assert compressed.header(b"content-encoding") == b"gzip"
    assert gzip.decompress(compressed.body) == plain.body
    assert compressed.header(b"content-length") == b"%d" % len(compressed.body)
    assert compressed.header(b"etag") == (plain.header(b"etag") or b"")[:-1] + b'-gzip"'
    assert (await ask(hot_app, small, (b"accept-encoding", b"gzip"))).header(b"content-encoding") is None


async def test_whoever_has_it_in_another_encoding_has_it(byline: Byline, hot_app: HotReads, place: Place) -> None:
    large = place.urls[2]
    tags = [(await ask(hot_app, large, *coding)).header(b"etag") for coding in ((), ((b"accept-encoding", b"gzip"),))]
    apps: tuple[ASGIApp, ASGIApp] = (byline.app, hot_app)
    for tag, app, coding in product(tags, apps, ((), ((b"accept-encoding", b"gzip"),))):
        assert tag is not None
        answered = await ask(app, large, (b"if-none-match", tag), *coding)
        assert (answered.status, answered.header(b"etag")) == (304, tag)


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        (b"gzip", True),
        (b"GZIP", True),
        (b"x-gzip", True),
        (b"br, gzip;q=0.8", True),
        (b"*", True),
        (b"*;q=0.1, gzip;q=0", False),
        (b"identity, gzip;q=0.5", False),
        (b"gzip;q=nonsense", False),
        (b"", False),
        (b"deflate, br", False),
        (b"gzip;q=0.000", False),
    ],
)
def test_who_accepts_gzip(header: bytes, accepted: bool) -> None:
    assert accepts_gzip(header) is accepted


async def test_with_credentials_the_router_answers(byline: Byline, hot_app: HotReads, place: Place) -> None:
    draft = f"/v1/posts/{place.draft}"
    theirs = (b"authorization", place.ada.auth["authorization"].encode())

    assert (await ask(hot_app, draft, theirs)).status == 200
    assert (await ask(hot_app, draft)).status == 404
    assert (await ask(hot_app, place.urls[0], (b"authorization", b"Bearer nonsense"))).status == 401
    assert (await ask(hot_app, place.urls[0])).status == 200


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


async def test_a_request_gets_an_id_of_its_own_unless_it_brings_a_sane_one(hot_app: HotReads, place: Place) -> None:
    async def id_of(*headers: Header) -> bytes | None:
        sent = await _ask_without_id(hot_app, place.urls[0], headers)
        return dict(sent["headers"]).get(b"x-request-id")

    ids = [await id_of() for _ in range(5)]
    assert len(set(ids)) == 5
    assert await id_of((b"x-request-id", b"mine")) == b"mine"
    assert await id_of((b"x-request-id", b"not sane"), (b"x-request-id", b"second")) == b"second"
    assert await id_of((b"x-request-id", b"not sane")) not in (b"not sane", None)


async def _ask_without_id(app: ASGIApp, path: str, headers: tuple[Header, ...]) -> Any:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b""}
    await app({**scope, "root_path": "", "headers": list(headers)}, receive, send)
    return sent[0]


async def test_what_is_refused_before_the_router_is_logged_as_by_it(byline: Byline, hot_app: HotReads) -> None:
    nobody = "/v1/posts/0190e2f0-0000-7000-8000-000000000000"
    lines = []
    apps: tuple[ASGIApp, ASGIApp] = (byline.app, hot_app)
    for app in apps:
        with capture_logs() as logs:
            assert (await ask(app, nobody)).status == 404
        (line,) = logs
        assert line.pop("duration_ms") > 0
        lines.append(line)
    assert lines[0] == lines[1]
    assert lines[0]["route"] == "/v1/posts/{ref}"


async def test_a_head_that_announces_a_body_too_large_is_refused_hot_or_not(
    byline: Byline, hot_app: HotReads, place: Place
) -> None:
    announced = (b"content-length", b"99999999")
    apps: tuple[ASGIApp, ASGIApp] = (byline.app, hot_app)
    for app in apps:
        assert (await ask(app, place.urls[0], announced, method="HEAD")).status == 413


async def test_readers_of_one_moment_share_the_work_of_compressing(
    hot_app: HotReads, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def counted(body: bytes, level: int, *, mtime: int) -> bytes:
        made.append(len(body))
        return real(body, level, mtime=mtime)

    real = gzip.compress
    monkeypatch.setattr(gzip, "compress", counted)
    url = f"{place.urls[2]}"
    asked = [ask(hot_app, url, (b"accept-encoding", b"gzip")) for _ in range(20)]
    answers = await asyncio.gather(*asked)

    assert {answer.header(b"content-encoding") for answer in answers} == {b"gzip"}
    assert len(made) == 1


async def test_large_bodies_are_compressed_once_in_a_thread() -> None:
    compress = Compressed(10 * AT_ONCE_BYTES)
    bodies = [bytes([number]) * (2 * AT_ONCE_BYTES) for number in range(8)]
    for body in bodies:
        first, second = await asyncio.gather(compress(body), compress(body))
        assert gzip.decompress(first) == body
        assert first is second
    assert compress.kept_bytes <= 10 * AT_ONCE_BYTES
