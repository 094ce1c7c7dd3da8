"""Byline as an ASGI server runs it, with an address that holds up the event loop: from when the file `stands` is in the
folder that the environment names until `go-on` is."""

import os
import time
from pathlib import Path
from typing import cast

from interfaces.http import main
from interfaces.http.hot import HotReads

_FOLDER = Path(os.environ["STANDING_IN"])
_BOUND_S = 30.0


async def stand_still() -> None:
    (_FOLDER / "stands").touch()
    deadline = time.monotonic() + _BOUND_S
    while not (_FOLDER / "go-on").exists() and time.monotonic() < deadline:
        time.sleep(0.005)  # noqa: ASYNC251 -- that is what it is for


app = cast("HotReads", main.app)
app.app.add_api_route("/stand-still", stand_still, status_code=204)
