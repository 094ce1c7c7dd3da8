"""CPU of an uncached read: Byline's route against a minimal FastAPI + raw asyncpg route of the same statement.

Both under granian with one worker, on one database of 20,000 posts, in turns within one run. CPU is the user and system
time of the server per request, so that what else the machine does counts little; PostgreSQL's is not in it.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.request import urlopen

import asyncpg  # type: ignore[import-untyped]  # it has no types of its own
from uuid_utils.compat import uuid7

from benchmarks.load import Spread, cpu_seconds, get_many
from infrastructure.database import schema
from infrastructure.embedded.ports import free_port
from tests.servers import start_for_tests

HOST = "127.0.0.1"
ROUNDS = 9
REQUESTS = 3_000
CONNECTIONS = 16
POSTS = 20_000
AUTHORS = 50
STARTUP_S = 30.0


@dataclass(frozen=True, slots=True)
class Server:
    pid: int
    port: int

    def cpu_per_request(self, paths: list[str]) -> float:
        """In microseconds."""
        before = cpu_seconds(self.pid)
        asyncio.run(get_many(HOST, self.port, paths, requests=REQUESTS, connections=CONNECTIONS))
        return (cpu_seconds(self.pid) - before) / REQUESTS * 1e6


async def fill(url: str) -> list[str]:
    """20,000 published posts of about 1 kB by 50 authors; their slugs."""
    connection = await asyncpg.connect(url)
    start = datetime(2016, 1, 1, tzinfo=UTC)
    authors = [uuid7() for _ in range(AUTHORS)]
    await connection.copy_records_to_table(
        "users",
        columns=["id", "username", "role", "is_active", "created_at", "updated_at", "version"],
        records=[(a, f"author{n}", "author", True, start, start, 1) for n, a in enumerate(authors)],
    )
    await connection.copy_records_to_table(
        "profiles",
        columns=["user_id", "display_name", "bio"],
        records=[(a, f"Author {n}", "") for n, a in enumerate(authors)],
    )
    slugs = [f"post-number-{n}" for n in range(POSTS)]
    content = "Byline keeps what was written. " * 30
    times = [start + timedelta(hours=4 * n) for n in range(POSTS)]
    await connection.copy_records_to_table(
        "posts",
        columns=[
            *("id", "author_id", "slug", "title", "content", "content_format", "excerpt", "tags", "type", "status"),
            *("published_at", "created_at", "updated_at", "version"),
        ],
        records=[
            (
                *(
                    uuid7(),
                    authors[n % AUTHORS],
                    slug,
                    f"Post number {n}",
                    content,
                    "markdown",
                    "In short.",
                    ["a", "b"],
                ),
                *("post", "published", at, at, at, 1),
            )
            for n, (slug, at) in enumerate(zip(slugs, times, strict=True))
        ],
    )
    await connection.execute("ANALYZE")
    await connection.close()
    return slugs


@contextmanager
def served(app: str, url: str, ready_path: str) -> Iterator[Server]:
    port = free_port(0, HOST)
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--workers", "1", "--no-access-log"]
    environment = os.environ | {"BYLINE_DATABASE_URL": url, "BYLINE_LOG_LEVEL": "warning"}
    process = subprocess.Popen(
        [*command, "--host", HOST, "--port", str(port), "--log-level", "warning", app], env=environment
    )
    try:
        _wait_for(f"http://{HOST}:{port}{ready_path}", process)
        yield Server(process.pid, port)
    finally:
        process.terminate()
        process.wait(timeout=STARTUP_S)


def _wait_for(url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + STARTUP_S
    while True:
        try:
            with urlopen(url, timeout=1):
                return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def compare(name: str, ours: Server, our_paths: list[str], rival: Server, rival_paths: list[str]) -> None:
    ours.cpu_per_request(our_paths)
    rival.cpu_per_request(rival_paths)
    mine, theirs = [], []
    for _ in range(ROUNDS):
        mine.append(ours.cpu_per_request(our_paths))
        theirs.append(rival.cpu_per_request(rival_paths))
    ratio = Spread.of([a / b for a, b in zip(mine, theirs, strict=True)])
    print(f"{name:<12} {Spread.of(mine).median:>6.0f} µs  rival {Spread.of(theirs).median:>6.0f} µs  ratio {ratio}")


def main() -> None:
    with ExitStack() as stack:
        servers = start_for_tests()
        stack.callback(servers.stop)
        asyncio.run(schema.upgrade(servers.database_url))
        slugs = asyncio.run(fill(servers.database_url))
        url = servers.database_url
        ours = stack.enter_context(served("interfaces.http.main:app", url, "/health/live"))
        rival = stack.enter_context(served("benchmarks.minimal:app", url, f"/posts/{slugs[0]}"))
        print(f"CPU of one uncached read, median of {ROUNDS} rounds of {REQUESTS} requests; ratio with least and most")
        picked = slugs[::7]
        compare("one post", ours, [f"/v1/posts/{s}" for s in picked], rival, [f"/posts/{s}" for s in picked])
        compare("page of 20", ours, ["/v1/posts?count=none"], rival, ["/posts"])


if __name__ == "__main__":
    main()
