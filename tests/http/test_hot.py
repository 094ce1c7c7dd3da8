"""Hot reads: what is answered before the router is what the router answers, byte for byte."""

from itertools import product
from typing import Any

from starlette.types import ASGIApp, Message
from structlog.testing import capture_logs

from interfaces.http.app import HttpOptions
from interfaces.http.hot import HotReads
from tests.http.byline import Byline
from tests.http.conftest import StartByline
from tests.http.hot import Header, Place, ask, furnished, of_messages, scope_of, strange_urls


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


async def test_with_credentials_the_router_answers(byline: Byline, hot_app: HotReads, place: Place) -> None:
    draft = f"/v1/posts/{place.draft}"
    theirs = (b"authorization", place.ada.auth["authorization"].encode())

    assert (await ask(hot_app, draft, theirs)).status == 200
    assert (await ask(hot_app, draft)).status == 404
    assert (await ask(hot_app, place.urls[0], (b"authorization", b"Bearer nonsense"))).status == 401
    assert (await ask(hot_app, place.urls[0])).status == 200


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
