"""What stands around the application, on its own."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.testing import capture_logs

from interfaces.http.middleware import RequestFrame

Ending = Callable[[], Any]


def app_that_begins_and(ends: Ending) -> ASGIApp:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await ends()

    return app


async def framed(app: ASGIApp, sent: list[Message], *, timeout_s: float = 10.0) -> None:
    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    frame = RequestFrame(app, timeout_s=timeout_s, max_body_bytes=100)
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
    await frame(scope, receive, send)


async def fail() -> None:
    raise KeyError("x")


async def last() -> None:
    await asyncio.Event().wait()


async def leave() -> None:
    raise ClientDisconnect


@pytest.mark.parametrize(("ending", "error"), [(fail, KeyError), (last, TimeoutError)])
async def test_an_answer_that_has_begun_is_broken_off_and_not_begun_again(
    ending: Ending, error: type[Exception]
) -> None:
    sent: list[Message] = []

    with capture_logs() as logs, pytest.raises(error):
        await framed(app_that_begins_and(ending), sent, timeout_s=0.01)

    assert [message["type"] for message in sent] == ["http.response.start"]
    assert logs[-1]["event"] == "request"


async def test_a_client_that_leaves_is_noted_and_no_failure() -> None:
    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        await leave()

    sent: list[Message] = []
    with capture_logs() as logs:
        await framed(app, sent)

    assert sent == []
    assert [(line["event"], line["status"]) for line in logs] == [("request", 499)]


async def test_what_is_no_request_passes_through() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope)

    async def nothing(*_: Any) -> Any:
        raise AssertionError

    scope = {"type": "lifespan"}
    await RequestFrame(app, timeout_s=1, max_body_bytes=1)(scope, nothing, nothing)
    assert seen == [scope]
