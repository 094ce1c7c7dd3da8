"""The least that a FastAPI route can do: it returns bytes that are ready, those of the file READY_BODY.

The second route also knows that the client has them already.
"""

import os
from pathlib import Path

from fastapi import FastAPI, Request, Response

BODY = Path(os.environ["READY_BODY"]).read_bytes()
ETAG = os.environ["READY_ETAG"]

app = FastAPI()


@app.get("/ready")
async def ready() -> Response:
    return Response(BODY, media_type="application/json")


@app.get("/conditional")
async def conditional(request: Request) -> Response:
    headers = {"etag": ETAG}
    if request.headers.get("if-none-match") == ETAG:
        return Response(status_code=304, headers=headers)
    return Response(BODY, media_type="application/json", headers=headers)
