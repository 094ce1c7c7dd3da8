"""Byline as an ASGI server runs it, whose event loop stands still for whoever asks for it: from when the file `stands`
is in the folder that the environment names until `go-on` is."""

import os
import time
from pathlib import Path

from starlette.types import Receive, Scope, Send

from interfaces.http.main import app as byline

_FOLDER = Path(os.environ["STANDING_IN"])
_BOUND_S = 30.0


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http" and scope["path"] == "/stand-still":
        _stand_still()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})
    else:
        await byline(scope, receive, send)


def _stand_still() -> None:
    (_FOLDER / "stands").touch()
    deadline = time.monotonic() + _BOUND_S
    while not (_FOLDER / "go-on").exists() and time.monotonic() < deadline:
        time.sleep(0.005)
