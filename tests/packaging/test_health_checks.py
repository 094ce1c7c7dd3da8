"""The health checks of the image and of compose, run as they stand."""

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from pydantic_core import Url

from infrastructure.queue.arq import connect
from infrastructure.settings import Settings
from tests.packaging.images import last, services
from workers.main import work

PATIENCE_S = 30.0


@contextmanager
def answering(status: int) -> Iterator[tuple[int, list[str]]]:
    """A server on a free port that answers everything alike, and the paths that it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the base class names it so
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1], asked
        finally:
            server.shutdown()
            thread.join()


def command_of_the_image() -> Sequence[str]:
    _, _, command = last("HEALTHCHECK").partition("CMD ")
    parsed: list[str] = json.loads(command)
    return parsed


def command_of(service: str) -> Sequence[str]:
    command: list[str]
    _, *command = services()[service]["healthcheck"]["test"]
    return command


def healthy(command: Sequence[str], **environment: str) -> bool:
    python, *arguments = command
    assert python == "python"
    environment["http_proxy"] = "http://127.0.0.1:9"
    return (
        subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, check=False).returncode == 0
    )


each_of_the_api = pytest.mark.parametrize(
    ("command", "path"),
    [(command_of_the_image(), "/health/live"), (command_of("api"), "/health/ready")],
    ids=["image", "compose"],
)


@each_of_the_api
def test_the_api_is_asked_itself_and_no_proxy(command: Sequence[str], path: str) -> None:
    with answering(200) as (port, asked):
        assert healthy(command, BYLINE_PORT=str(port))
    assert asked == [path]


@each_of_the_api
def test_an_api_that_cannot_answer_is_unhealthy(command: Sequence[str], path: str) -> None:
    with answering(503) as (port, asked):
        assert not healthy(command, BYLINE_PORT=str(port))
    assert asked == [path]
    assert not healthy(command, BYLINE_PORT=str(port)), "nobody listens there any more"


async def test_a_worker_is_healthy_while_it_hears_wakes(database_url: str, redis_url: str, tmp_path: Path) -> None:
    worker_is_healthy = partial(asyncio.to_thread, healthy, command_of("worker"), BYLINE_REDIS_URL=redis_url)
    assert not await worker_is_healthy()

    stop = asyncio.Event()
    urls = {"database_url": database_url, "redis_url": redis_url}
    settings = Settings.model_validate({**urls, "data_dir": tmp_path, "host_tokens": tmp_path / "host_tokens"})
    working = asyncio.create_task(work(settings, stop=stop))
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not await worker_is_healthy():
                assert not working.done()
    finally:
        stop.set()
        await working

    async with connect(Url(redis_url)) as redis:
        (sign_of_life,) = await redis.keys("byline:worker:*")
        assert 0 < await redis.pttl(sign_of_life) <= 11_000
