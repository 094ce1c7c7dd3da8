"""API processes on the servers of a test, and what is asked of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.cli.running import Running, a_free_port, answers, eventually, running
from tests.workers.processes import ROOT, service

BOUND_S = 60.0
ADMIN, PASSWORD = "admin", "correct horse"


@dataclass(frozen=True, slots=True)
class Api:
    url: str
    process: Running
    http: httpx.AsyncClient
    """Of a stranger."""

    async def is_ready(self) -> bool:
        assert self.process.process.returncode is None, self.process.said
        return await answers(self.url)

    async def title(self, path: str) -> str:
        """As a stranger is shown it."""
        return str((await self.http.get(path)).raise_for_status().json()["title"])

    async def titles(self, path: str) -> list[str]:
        return [item["title"] for item in (await self.http.get(path)).raise_for_status().json()["items"]]


@dataclass(frozen=True, slots=True)
class Cluster:
    """Of APIs, all on the same servers. Each has its own folder under `folder`, and is a host of its own unless told
    whose memory it shares."""

    folder: Path
    database_url: str
    redis_url: str

    @asynccontextmanager
    async def api(self, name: str, *argv: str, host: str = "", **settings: str) -> AsyncIterator[Api]:
        """`byline serve`, or another program, ready. `host`: which name's memory it shares."""
        own = self.folder / name
        await asyncio.to_thread(own.mkdir, exist_ok=True)
        port = str(a_free_port())
        environment = {
            "BYLINE_DATABASE_URL": self.database_url,
            "BYLINE_REDIS_URL": self.redis_url,
            "BYLINE_DATA_DIR": str(self.folder / "data"),
            "BYLINE_SECRET_KEY": "a key of the tests, and of nobody else",
            "BYLINE_HOST_TOKENS": str(self.folder / f"tokens-{host or name}"),
            "BYLINE_PORT": port,
            "BYLINE_LOG_FORMAT": "json",
            "PYTHONPATH": str(ROOT),
        }
        url = f"http://127.0.0.1:{port}"
        async with (
            running(own, *(argv or ("serve",)), **environment | settings) as process,
            httpx.AsyncClient(base_url=url, trust_env=False, timeout=BOUND_S) as http,
        ):
            api = Api(url, process, http)
            await eventually(api.is_ready, f"{name} is ready")
            yield api


@asynccontextmanager
async def cluster(folder: Path, database_url: str, redis_url: str) -> AsyncIterator[Cluster]:
    """With an administrator, whose password costs little to check."""
    async with service(database_url, redis_url, folder):
        pass
    yield Cluster(folder, database_url, redis_url)


async def signed_in(api: Api) -> dict[str, str]:
    """The headers of the administrator's requests, to any API."""
    granted = await api.http.post("/v1/auth/token", data={"username": ADMIN, "password": PASSWORD})
    return {"authorization": f"Bearer {granted.raise_for_status().json()['access_token']}"}


async def published(api: Api, admin: dict[str, str], title: str) -> str:
    """The path of a new post."""
    post: dict[str, Any] = {"title": title, "content": "Words. " * 20, "status": "published"}
    created = await api.http.post("/v1/posts", json=post, headers=admin)
    return f"/v1/posts/{created.raise_for_status().json()['id']}"


async def retitled(api: Api, admin: dict[str, str], path: str, title: str) -> None:
    (await api.http.patch(path, json={"title": title}, headers=admin)).raise_for_status()
