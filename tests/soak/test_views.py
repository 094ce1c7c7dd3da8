"""A million reads, while the API, PostgreSQL and Valkey are restarted: each is counted, and none twice.

`BYLINE_SOAK_READS=100000 pytest -m soak tests/soak/test_views.py` for fewer.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import cycle
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGQUIT, SIGTERM, Signals
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from tests.cli.running import Running, all_gone, answers, eventually, running
from tests.embedded.trees import tree

pytestmark = [pytest.mark.soak, pytest.mark.e2e]

READS = int(os.environ.get("BYLINE_SOAK_READS", "1000000"))
POSTS = 200
CONNECTIONS = 16
RESTARTS = 12
"""Of the API, PostgreSQL and Valkey in turn."""
PAUSE_S = 0.01
BOUND_S = 3_600
EMAIL, PASSWORD = "admin@example.com", "correct horse battery staple"


class Readers:
    """Read the posts in turn, by id and by slug, every other time with the ETag they have, until `READS` reads are
    answered with 200 or 304. Which were asked for and not answered is not known to be counted."""

    def __init__(self, url: str, paths: list[str], etags: list[str]) -> None:
        self._host, self._port = urlsplit(url).hostname, urlsplit(url).port
        plain = [f"GET {path} HTTP/1.1\r\nhost: byline\r\n" for path in paths]
        known = [f"{head}if-none-match: {etag}\r\n" for head, etag in zip(plain, etags, strict=True)]
        self._requests = cycle(f"{head}\r\n".encode() for pair in zip(plain, known, strict=True) for head in pair)
        self.unanswered = 0
        self.statuses: Counter[int] = Counter()
        self._due = READS
        self._is_due = asyncio.Event()

    @property
    def answered(self) -> int:
        return self.statuses[200] + self.statuses[304]

    async def read(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(CONNECTIONS):
                group.create_task(self._read())

    async def reach(self, answered: int) -> None:
        """Wait until so many reads are answered."""
        self._due = answered
        self._is_due.clear()
        await self._is_due.wait()

    async def _read(self) -> None:
        while self.answered < READS:
            try:
                reader, writer = await asyncio.open_connection(self._host, self._port)
            except OSError:
                await asyncio.sleep(PAUSE_S)
                continue
            try:
                while self.answered < READS:
                    await self._ask(reader, writer)
            except (OSError, asyncio.IncompleteReadError):
                await asyncio.sleep(PAUSE_S)
            finally:
                writer.close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(next(self._requests))
        self.unanswered += 1
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        status = int(head[9:12])
        if status != 304:
            await reader.readexactly(int(head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]))
        self.unanswered -= 1
        self.statuses[status] += 1
        if self.answered >= self._due:
            self._is_due.set()
        if status not in (200, 304):
            await asyncio.sleep(PAUSE_S)


class Restarts:
    """One after the other while the readers go on, spread over all of their reads."""

    def __init__(self, up: Running, url: str, readers: Readers) -> None:
        self._up = up
        self._url = url
        self._readers = readers
        self.done: Counter[str] = Counter()

    async def make(self) -> None:
        hard = cycle((SIGINT, SIGKILL, SIGQUIT))
        kinds: cycle[Callable[[], Awaitable[None]]] = cycle(
            (
                lambda: self._restart("api", SIGTERM),
                lambda: self._restart("postgres", next(hard)),
                lambda: self._restart("valkey", SIGKILL),
                lambda: self._restart("postgres", next(hard)),
            )
        )
        for number, kind in zip(range(1, RESTARTS + 1), kinds, strict=False):
            await self._readers.reach(number * READS // (RESTARTS + 1))
            await kind()

    async def _restart(self, name: str, signal: Signals) -> None:
        process = self._process(name)
        process.send_signal(signal)
        await all_gone([process])
        await eventually(lambda: answers(self._url), f"the API is ready after {name} got {signal.name}")
        self.done[f"{name} {signal.name}"] += 1

    def _process(self, name: str) -> psutil.Process:
        if name == "api":
            return self._up.serving()
        return next(child for child in self._up.top.children() if child.name().startswith(name))


async def published(url: str) -> tuple[list[str], list[str]]:
    """Paths of new posts, half of them by slug, and their ETags; nobody has read them."""
    async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
        signed_in = await http.post("/v1/auth/token", data={"username": EMAIL, "password": PASSWORD})
        http.headers["authorization"] = f"Bearer {signed_in.raise_for_status().json()['access_token']}"
        paths, etags = [], []
        for number in range(POSTS):
            body = {"title": f"Post {number}", "content": "Words. " * 100, "status": "published"}
            created = (await http.post("/v1/posts", json=body)).raise_for_status()
            paths.append(f"/v1/posts/{created.json()['id' if number % 2 else 'slug']}")
            etags.append(created.headers["etag"])
        return paths, etags


async def test_every_read_is_counted_once_while_everything_is_restarted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running(
        tmp_path,
        "up",
        BYLINE_SAMPLE="false",
        BYLINE_API_PROCESSES="2",
        BYLINE_ADMIN_EMAIL=EMAIL,
        BYLINE_ADMIN_PASSWORD=PASSWORD,
    ) as up:
        url = await up.ready()
        readers = Readers(url, *await published(url))
        restarts = Restarts(up, url, readers)
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with asyncio.timeout(BOUND_S), asyncio.TaskGroup() as group:
            group.create_task(readers.read())
            group.create_task(restarts.make())
        took = loop.time() - began
        everyone = up.everyone()
        assert await up.end(SIGTERM) == 0
        await all_gone(everyone)

    async with tree(tmp_path / "data") as servers:
        total = await servers.sql("SELECT coalesce(sum(views), 0)::bigint FROM post_views")
    assert isinstance(total, int)
    with capsys.disabled():
        print(
            f"\n{readers.answered:,} reads answered in {took:.0f} s ({dict(readers.statuses)}), {readers.unanswered:,} "
            f"not answered, {total:,} views counted; restarts: {dict(restarts.done)}"
        )
    assert readers.answered <= total <= readers.answered + readers.unanswered
    assert readers.unanswered <= CONNECTIONS * RESTARTS
    assert readers.statuses.keys() <= {200, 304, 503}
    assert "views_lost" not in (tmp_path / "data/logs/api.log").read_text()
