"""Answers that last, on their own, over a real connection."""

import asyncio
import signal
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from domain.errors import Busy, NotAuthenticated, Unavailable
from interfaces.http.middleware import RequestFrame
from interfaces.http.problems import refusal_of
from interfaces.http.streams import Download, EventStream, OpenStreams, begun, event, stopped_by_signals
from tests.http.listening import BOUND_S, listening, until

Answer = Callable[[Request], Response]


async def allowed() -> None:
    pass


class Source:
    """Pieces that come when the test says so."""

    def __init__(self) -> None:
        self.given: asyncio.Queue[bytes | Exception] = asyncio.Queue()
        self.is_begun = self.is_closed = False

    async def pieces(self) -> AsyncGenerator[bytes]:
        self.is_begun = True
        try:
            while True:
                piece = await self.given.get()
                if isinstance(piece, Exception):
                    raise piece
                if piece == b"":
                    return
                yield piece
        finally:
            self.is_closed = True


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def among() -> OpenStreams:
    return OpenStreams(1)


@asynccontextmanager
async def answering(made: Answer, *, timeout_s: float = 10.0) -> AsyncIterator[httpx.AsyncClient]:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await made(Request(scope, receive))(scope, receive, send)
        except Busy as error:
            await refusal_of(error).answer(scope)(scope, receive, send)

    framed: ASGIApp = RequestFrame(app, timeout_s=timeout_s, max_body_bytes=100)
    async with listening(framed) as http:
        yield http


def events_of(
    source: Source,
    among: OpenStreams,
    *,
    check: Callable[[], Awaitable[object]] = allowed,
    beat_s: float = 60.0,
    idle_s: float = 10.0,
) -> Answer:
    return lambda _: EventStream(source.pieces(), among, check=check, beat_s=beat_s, idle_s=idle_s)


def file_of(source: Source, *, idle_s: float = 10.0) -> Answer:
    return lambda _: Download(source.pieces(), media_type="text/csv", idle_s=idle_s, headers={"x-told": "yes"})


async def test_events_come_as_they_are_made_and_end_where_they_end(source: Source, among: OpenStreams) -> None:
    async with answering(events_of(source, among)) as http, http.stream("GET", "/") as answer:
        coming = answer.aiter_raw()
        for number in (1, 2):
            source.given.put_nowait(event("progress", b"{}", number=number))
            assert await anext(coming) == b"event: progress\nid: %d\ndata: {}\n\n" % number
        source.given.put_nowait(b"")
        assert await anext(coming, None) is None
    assert answer.headers["content-type"].partition(";")[0] == "text/event-stream"
    assert answer.headers["cache-control"] == "no-store"
    assert (source.is_closed, among.open) == (True, 0)


@pytest.mark.parametrize("kind", ["events", "file"])
async def test_the_time_limit_of_requests_does_not_end_it(source: Source, among: OpenStreams, kind: str) -> None:
    made = events_of(source, among) if kind == "events" else file_of(source)
    async with answering(made, timeout_s=0.02) as http, http.stream("GET", "/") as answer:
        coming = answer.aiter_raw()
        for _ in range(3):
            await asyncio.sleep(0.02)
            source.given.put_nowait(b"still there\n")
            assert await anext(coming) == b"still there\n"
        source.given.put_nowait(b"")
        assert await anext(coming, None) is None


@pytest.mark.parametrize("kind", ["events", "file"])
async def test_what_is_read_from_is_closed_when_the_client_leaves(
    source: Source, among: OpenStreams, kind: str
) -> None:
    made = events_of(source, among) if kind == "events" else file_of(source)
    async with answering(made) as http:
        async with http.stream("GET", "/") as answer:
            source.given.put_nowait(b"one\n")
            await anext(answer.aiter_raw())
            assert not source.is_closed
        await until(lambda: source.is_closed and among.open == 0)


async def test_no_more_events_than_may_be_are_open_at_once(source: Source, among: OpenStreams) -> None:
    async with answering(events_of(source, among)) as http:
        async with http.stream("GET", "/"):
            refused = await http.get("/")
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        await until(lambda: among.open == 0)
        async with http.stream("GET", "/") as answer:
            assert answer.status_code == 200


async def test_a_process_that_is_told_to_end_ends_events_as_a_whole_and_begins_none(
    source: Source, among: OpenStreams
) -> None:
    async with answering(events_of(source, among)) as http:
        async with http.stream("GET", "/") as answer:
            source.given.put_nowait(b"one\n\n")
            await until(lambda: source.is_begun)
            await until(source.given.empty)
            among.stop()
            assert await answer.aread() == b"one\n\n"
        assert source.is_closed
        assert (await http.get("/")).status_code == 503


async def test_while_nothing_happens_a_comment_says_so(source: Source, among: OpenStreams) -> None:
    async with answering(events_of(source, among, beat_s=0.01)) as http, http.stream("GET", "/") as answer:
        coming = answer.aiter_lines()
        for _ in range(3):
            assert (await anext(coming)).startswith(": ")
            assert await anext(coming) == ""


async def test_whoever_may_listen_no_longer_hears_no_more(source: Source, among: OpenStreams) -> None:
    asked = 0

    async def check() -> None:
        nonlocal asked
        asked += 1
        if asked > 2:
            raise NotAuthenticated

    made = events_of(source, among, check=check, beat_s=0.01)
    async with answering(made) as http, asyncio.timeout(BOUND_S):
        heard = (await http.get("/")).text
    assert (heard.count("\n\n"), source.is_closed) == (2, True)


async def test_events_that_are_refused_midway_end_as_a_whole(source: Source, among: OpenStreams) -> None:
    source.given.put_nowait(b"one\n\n")
    source.given.put_nowait(Unavailable("The database"))
    async with answering(events_of(source, among)) as http:
        assert (await http.get("/")).content == b"one\n\n"


async def test_a_file_that_fails_midway_does_not_look_whole(source: Source) -> None:
    source.given.put_nowait(b"one\n")
    source.given.put_nowait(Unavailable("The database"))
    async with answering(file_of(source)) as http:
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get("/")
    assert source.is_closed


async def test_whoever_takes_nothing_is_let_go(source: Source) -> None:
    async with answering(file_of(source, idle_s=0.05)) as http:
        with socket.create_connection((http.base_url.host, http.base_url.port or 0)) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: byline.test\r\n\r\n")
            for _ in range(100):
                source.given.put_nowait(b"x" * 1_000_000)
            await until(lambda: source.is_closed)
    assert not source.given.empty()


@pytest.mark.parametrize("kind", ["events", "file"])
async def test_for_a_head_nothing_is_made(source: Source, among: OpenStreams, kind: str) -> None:
    made = events_of(source, among) if kind == "events" else file_of(source)
    async with answering(made) as http:
        answer = await http.head("/")
    assert (answer.status_code, answer.content, source.is_begun) == (200, b"", False)


async def test_what_the_first_step_raises_can_be_answered(source: Source) -> None:
    source.given.put_nowait(Unavailable("The database"))
    with pytest.raises(Unavailable):
        await begun(source.pieces())

    for piece in (b"one", b"two", b""):
        source.given.put_nowait(piece)
    assert [piece async for piece in await begun(source.pieces())] == [b"one", b"two"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_server_that_is_told_to_end_tells_the_streams_first(number: signal.Signals) -> None:
    heard: list[str] = []
    before = signal.signal(number, lambda *_: heard.append("server"))
    server = signal.getsignal(number)
    try:
        with stopped_by_signals(lambda: heard.append("streams")):
            signal.raise_signal(number)
            await until(lambda: "streams" in heard)
            assert heard == ["server", "streams"]
        assert (heard[-1], signal.getsignal(number)) == ("streams", server)
    finally:
        signal.signal(number, before)


async def test_signals_that_no_server_handles_are_left_alone() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with stopped_by_signals(lambda: None):
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)
