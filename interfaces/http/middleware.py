"""Around every request, as pure ASGI: an id, a time limit, a size limit, a line in the log, and an answer whatever
happens. A class based on Starlette's BaseHTTPMiddleware would cost each request a task group of its own."""

import logging
import os
import re
import secrets
from itertools import count
from time import perf_counter
from typing import NamedTuple

import structlog
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain.errors import BylineError, TooLarge
from interfaces.http import problems
from interfaces.http.deadlines import DEADLINE, Deadlines
from interfaces.http.problems import REQUEST_ID, Refusal, refusal_of
from interfaces.http.refusals import BodyTooLarge
from interfaces.http.streams import IS_HEAD

log = structlog.get_logger(__name__)

NOSNIFF = (b"x-content-type-options", b"nosniff")
REFUSED = "byline.refused"
"""In the scope: what was refused before the router, to be told as if by it."""

is_sane_id = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}").fullmatch
_CLIENT_GONE = 499
_UPLOADS = "/v1/imports"
_UNNOTED = ("/health/live", "/health/ready")


def _is_upload(scope: Scope) -> bool:
    """Uploads have an idle timeout and a limit of their own."""
    path: str = scope["path"]
    return scope["method"] == "POST" and path.endswith(_UPLOADS)


class RequestFrame:
    """Outermost, but for what is answered before the router. An incoming X-Request-ID of at most 128 plain characters
    is kept, else one is made; it is echoed, in every log line of the request, and in every problem.

    After `timeout_s` the request is cancelled and answered with 503, unless its answer has begun; one that lasts lifts
    this limit. An unexpected error is logged and answered with a 500 that tells nothing of it.
    """

    def __init__(self, app: ASGIApp, *, timeout_s: float, max_body_bytes: int) -> None:
        app = RefusedBefore(app)
        self._app = app
        self._app_with_body = HeadAsGet(BodyLimit(app, max_bytes=max_body_bytes))
        self._deadlines = Deadlines(timeout_s)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        refused: Refused | None = scope.get(REFUSED)
        method, began = scope["method"], perf_counter() if refused is None else refused.began
        request_id = scope[REQUEST_ID] = scope.get(REQUEST_ID) or _request_id(scope)
        framed = _FramedSend(send, request_id)
        bound = structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            refusal = await self._run(scope, receive, framed)
            if refusal is not None:
                await refusal.answer(scope)(scope, receive, framed)
        finally:
            route = None if refused is None else refused.route
            note(scope, method, framed.status, perf_counter() - began, route=route)
            structlog.contextvars.reset_contextvars(**bound)

    async def _run(self, scope: Scope, receive: Receive, framed: "_FramedSend") -> Refusal | None:
        """The refusal that is to be sent; None where the answer was."""
        app = self._app if scope["method"] == "GET" else self._app_with_body
        limit = scope[DEADLINE] = self._deadlines.limit()
        try:
            if _is_upload(scope):
                await app(scope, receive, framed)
            else:
                with limit:
                    await app(scope, receive, framed)
        except ClientDisconnect:
            framed.status = framed.status or _CLIENT_GONE
        except Exception as error:
            timed_out = isinstance(error, TimeoutError) and limit.expired
            if not timed_out:
                log.exception("request_failed", method=scope["method"], path=scope["path"])
            if framed.status:
                raise
            if timed_out:
                took = f"It took more than {self._deadlines.seconds:g} s."
                return Refusal(problems.TIMED_OUT, took, headers={"retry-after": "1"})
            return Refusal(problems.INTERNAL, f"It is logged under the request id {scope[REQUEST_ID]}.")
        return None


class _FramedSend:
    """`status` is 0 until the answer begins."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._headers = ((b"x-request-id", request_id.encode()), NOSNIFF)
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message["headers"], *self._headers]
        await self._send(message)


def note(scope: Scope, method: str, status: int, took_s: float, *, route: str | None = None) -> None:
    """One line a request, without its query, which may hold what is nobody else's business."""
    log.log(
        logging.DEBUG if scope["path"] in _UNNOTED else logging.INFO,
        "request",
        request_id=scope[REQUEST_ID],
        method=method,
        path=scope["path"],
        route=route or getattr(scope.get("route"), "path_format", None),
        status=status,
        duration_ms=round(took_s * 1000, 2),
    )


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and is_sane_id(value):
            return str(value, "ascii")
    return next_request_id().decode()


class _RequestIds:
    """Eight random bytes at the start of the process, and counting from there: a tenth of what new ones would cost."""

    def __init__(self) -> None:
        self.begin()
        os.register_at_fork(after_in_child=self.begin)

    def begin(self) -> None:
        self._next = count(int.from_bytes(secrets.token_bytes(8)))

    def __call__(self) -> bytes:
        return b"%016x" % (next(self._next) & 0xFFFFFFFFFFFFFFFF)


next_request_id = _RequestIds()


class Refused(NamedTuple):
    """What a component before this frame met with, on what the router calls `route`, having begun at `began`."""

    error: Exception
    route: str
    began: float


class RefusedBefore:
    """Tells what a component before this frame was refused, in the way of the router: the scope holds it. Raises what
    nobody expected."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused: Refused | None = scope.get(REFUSED)
        if refused is None:
            await self._app(scope, receive, send)
        elif isinstance(refused.error, BylineError):
            await refusal_of(refused.error).answer(scope)(scope, receive, send)
        else:
            raise refused.error


class HeadAsGet:
    """A HEAD is a GET whose body is not sent: the same status and headers, also Content-Length (RFC 9110, 9.3.2)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            if message["type"] != "http.response.body":
                await send(message)
            elif not message.get("more_body", False):
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        # In place: the frame outside reads the route from the same scope.
        scope["method"] = "GET"
        scope[IS_HEAD] = True
        await self._app(scope, receive, send_head)


class BodyLimit:
    """Refuses bodies of more than `max_bytes` with 413: by their Content-Length unread, else as they arrive."""

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if _is_upload(scope):
            await self._app(scope, receive, send)
            return

        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and int(announced[:20]) > self._max_bytes:
            await refusal_of(TooLarge("The body", limit_bytes=self._max_bytes)).answer(scope)(scope, receive, send)
            return

        arrived = 0

        async def receive_limited() -> Message:
            nonlocal arrived
            message = await receive()
            arrived += len(message.get("body", b""))
            if arrived > self._max_bytes:
                raise BodyTooLarge(self._max_bytes)
            return message

        await self._app(scope, receive_limited, send)
