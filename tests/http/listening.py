"""An application behind a real server in this process, for what only shows over a connection."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import uvicorn
from starlette.types import ASGIApp

BOUND_S = 30.0


@asynccontextmanager
async def listening(app: ASGIApp) -> AsyncIterator[httpx.AsyncClient]:
    """A client of `app`, whose lifespan is not the server's business. It is not waited for what is still open."""
    config = uvicorn.Config(app, port=0, lifespan="off", ws="none", log_config=None, timeout_graceful_shutdown=0)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    try:
        await until(lambda: server.started or serving.done())
        (socket,) = server.servers[0].sockets
        url = f"http://127.0.0.1:{socket.getsockname()[1]}"
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=BOUND_S) as http:
            yield http
    finally:
        server.should_exit = True
        await serving


async def until(true: Callable[[], bool]) -> None:
    """Wait for a condition, which is looked at again and again; fail after a bound."""
    async with asyncio.timeout(BOUND_S):
        while True:
            if true():
                return
            await asyncio.sleep(0.005)
