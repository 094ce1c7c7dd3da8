"""What granian's own threads answer: as much as is ready, and whatever the event loop is busy with."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from granian import _futures, asgi
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.testing import capture_logs

from interfaces.http.before_the_loop import answer_before_the_loop
from interfaces.http.hot import HotReads
from tests.cli.running import a_free_port, answers, eventually, running
from tests.http.byline import Byline
from tests.http.hot import ask, of_messages, scope_of
from tests.http.listening import BOUND_S

URL = "/v1/settings"
futures: Any = _futures
wrapped: Any = asgi._callback_wrapper


class Watcher:
    """As granian's: of one request. `heard` is what the server was told."""

    def __init__(self, scope: Scope, *, is_broken: bool = False) -> None:
        self.scope = scope
        self.proto = self
        self.heard: list[Any] = []
        self._is_broken = is_broken

    def send(self, message: Message) -> None:
        if self._is_broken:
            raise RuntimeError("It is gone.")
        self.heard.append(message)

    def done(self) -> None:
        self.heard.append("done")

    def err(self, error: BaseException) -> None:
        self.heard.append(error)


class Granian:
    """Its scheduler of an application, with `loop` in place of the event loop's thread."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.loop: list[Watcher] = []
        monkeypatch.setattr(futures, "_cbsched_aioschedule", lambda *_how: self.loop.append)

    def ask(self, app: ASGIApp, *watchers: Watcher) -> None:
        callback = futures._future_watcher_wrapper(wrapped(app, {}, {}))
        schedule = futures._cbsched_aioschedule("loop", "context", callback)
        for watcher in watchers:
            schedule(watcher)


@pytest.fixture
def granian(monkeypatch: pytest.MonkeyPatch) -> Granian:
    return Granian(monkeypatch)


@pytest.fixture
async def hot(byline: Byline) -> HotReads:
    hot = HotReads(byline.app)
    await ask(hot, URL)
    return hot


async def test_what_is_ready_is_sent_and_the_loop_hears_nothing(granian: Granian, hot: HotReads) -> None:
    answer_before_the_loop(hot)
    watcher = Watcher(scope_of(URL))
    granian.ask(hot, watcher)

    *sent, last = watcher.heard
    assert of_messages(*sent) == await ask(hot, URL)
    assert last == "done"
    assert granian.loop == []


async def test_all_else_is_handed_over(granian: Granian, hot: HotReads) -> None:
    answer_before_the_loop(hot)
    watchers = [Watcher(scope_of("/v1/posts")), Watcher({"type": "websocket"})]
    granian.ask(hot, *watchers)

    assert granian.loop == watchers
    assert all(watcher.heard == [] for watcher in watchers)


async def test_whatever_stands_before_it_is_not_passed_by(granian: Granian, hot: HotReads) -> None:
    async def gate(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise AssertionError

    answer_before_the_loop(hot)
    watcher = Watcher(scope_of(URL))
    granian.ask(gate, watcher)

    assert granian.loop == [watcher]
    assert watcher.heard == []


async def test_what_fails_is_handed_over_and_told_once(granian: Granian, hot: HotReads) -> None:
    answer_before_the_loop(hot)
    watchers = [Watcher({"type": "http"}) for _ in range(3)]
    with capture_logs() as logged:
        granian.ask(hot, *watchers)

    assert granian.loop == watchers
    assert [line["event"] for line in logged].count("hot_reads_fail") == 1


async def test_what_cannot_be_sent_is_told_to_the_server(granian: Granian, hot: HotReads) -> None:
    answer_before_the_loop(hot)
    watcher = Watcher(scope_of(URL), is_broken=True)
    granian.ask(hot, watcher)

    assert [str(error) for error in watcher.heard] == ["It is gone."]
    assert granian.loop == []


async def test_a_granian_that_is_not_known_keeps_its_way(monkeypatch: pytest.MonkeyPatch, hot: HotReads) -> None:
    unknown = ModuleType("granian._futures")
    monkeypatch.setitem(sys.modules, "granian._futures", unknown)
    before = dict(vars(unknown))
    with capture_logs() as logged:
        answer_before_the_loop(hot)
    assert [line["event"] for line in logged] == ["granian_is_unknown"]
    assert vars(unknown) == before


async def test_pages_of_which_other_hosts_may_have_changed_something_wait_for_the_loop(
    hot: HotReads, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = hot._local._host if hot._local is not None else None
    for doubtful in ({"trusted_until": 0.0}, {"epoch": -1}):
        with monkeypatch.context() as patched:
            for name, value in doubtful.items():
                patched.setattr(host, name, value)
            assert await asyncio.to_thread(hot.at_once, scope_of(URL)) is None
    assert await asyncio.to_thread(hot.at_once, scope_of(URL)) is not None


@pytest.mark.e2e
async def test_hot_reads_are_answered_while_the_event_loop_stands_still(tmp_path: Path, database_url: str) -> None:
    async with standing(tmp_path, database_url) as url, httpx.AsyncClient(base_url=url, timeout=BOUND_S) as http:
        before = await http.get(URL)
        still = asyncio.create_task(http.get("/stand-still"))
        await eventually((tmp_path / "stands").exists, "the loop stands still")

        answered = await http.get(URL, timeout=BOUND_S / 3)
        assert (answered.status_code, answered.content) == (200, before.content)
        assert not still.done()

        (tmp_path / "go-on").touch()
        assert (await still).status_code == 204


@asynccontextmanager
async def standing(folder: Path, database_url: str) -> AsyncIterator[str]:
    """The URL of `tests.http.standing`, under granian as anybody would start it."""
    port = str(a_free_port())
    argv = ("-P", "-m", "granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", port)
    own = {"BYLINE_DATABASE_URL": database_url, "BYLINE_REDIS_URL": "redis://nowhere", "BYLINE_CACHE": "none"}
    paths = {"PYTHONPATH": os.pathsep.join(sys.path), "STANDING_IN": str(folder)}
    async with running(folder, sys.executable, *argv, "tests.http.standing:app", **own, **paths) as granian:
        url = f"http://127.0.0.1:{port}"
        try:
            await eventually(partial(answers, url), "the API answers")
            yield url
        finally:
            # Its worker would outlive it otherwise.
            await granian.end(signal.SIGTERM)
