"""A whole Byline in the process, reached through its HTTP interface."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from itertools import count
from typing import Any
from uuid import UUID

from argon2 import PasswordHasher as Argon2
from dependency_injector import providers
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response

from application.outbox import START_IMPORT
from application.use_cases import UseCases
from application.users import Registration
from application.warmings import WARM_CACHE
from domain.actors import Role
from domain.ids import ImportId
from infrastructure.cache.host import LocalHostTokens
from infrastructure.cache.memory import MemoryCache
from infrastructure.container import Container, MemoryAdapters, running
from infrastructure.memory.queue import MemoryQueue
from infrastructure.security.passwords import Argon2Hasher
from infrastructure.settings import Settings
from interfaces.http.app import HttpOptions, create_app
from interfaces.http.hot import HotReads

PASSWORD = "correct horse battery staple"
_numbers = count(1)
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Member:
    """A user who has signed in. `auth` is for `headers=`."""

    id: str
    username: str
    tokens: Json

    @property
    def auth(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.tokens['access_token']}"}


@dataclass(frozen=True, slots=True)
class Byline:
    """`http` goes through the hot component, `routed` past it."""

    app: FastAPI
    http: AsyncClient
    routed: AsyncClient
    use_cases: UseCases
    container: Container

    async def member(self, username: str | None = None, *, role: Role = Role.AUTHOR) -> Member:
        name = username or f"user-{next(_numbers)}"
        user = await self.use_cases.register_user.register(
            Registration(name, f"{name}@example.com", PASSWORD, role=role)
        )
        return Member(str(user.id), name, asdict(await self.use_cases.sign_in(name, PASSWORD)))

    async def send(self, method: str, path: str, body: Any, auth: dict[str, str] | None = None) -> Response:
        """As JSON in ASCII, which may hold half of a surrogate pair; httpx's own cannot."""
        headers = {"content-type": "application/json", **(auth or {})}
        return await self.http.request(method, path, content=json.dumps(body), headers=headers)

    async def post(self, author: Member, **fields: Any) -> Json:
        """Published, unless its status is named."""
        body = {"title": f"Post {next(_numbers)}", "status": "published", **fields}
        created = await self.http.post("/v1/posts", json=body, headers=author.auth)
        assert created.status_code == 201, created.text
        answered: Json = created.json()
        return answered


def refused(response: Response, status: int, name: str) -> Json:
    """That it is a problem of this type, as every problem must be; its body."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: Json = response.json()
    assert problem["type"] == f"/problems/{name}", problem
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert problem["request_id"] == response.headers["x-request-id"]
    return problem


def container_of(settings: Settings, *, in_memory: bool) -> Container:
    """With cheap password hashes. Imports run at once, within the request that wakes the worker."""
    container = Container(settings=settings)
    if in_memory:
        container.override(MemoryAdapters())
    else:
        container.queue.override(providers.Singleton(MemoryQueue))
        container.opened.override(providers.List(container.database, container.import_database))
        container.host_tokens.override(providers.Singleton(LocalHostTokens))
        container.cache.override(providers.Singleton(MemoryCache))
    argon2 = Argon2(time_cost=1, memory_cost=8, parallelism=1)
    container.hasher.override(providers.Singleton(Argon2Hasher, threads=2, waiting=64, argon2=argon2))
    return container


@asynccontextmanager
async def served(container: Container, options: HttpOptions) -> AsyncIterator[Byline]:
    app = create_app(lambda: running(container), options)
    async with app.router.lifespan_context(app):
        use_cases: UseCases = app.state.use_cases

        async def run_import(topic: str, key: str) -> None:
            if topic == WARM_CACHE:
                await use_cases.run_warming()
                return
            assert topic == START_IMPORT
            await use_cases.run_import(ImportId(UUID(key)))

        queue = container.queue()
        assert isinstance(queue, MemoryQueue)
        queue.on_wake(run_import)
        async with (
            AsyncClient(transport=ASGITransport(HotReads(app)), base_url="http://byline.test") as http,
            AsyncClient(transport=ASGITransport(app), base_url="http://byline.test") as routed,
        ):
            yield Byline(app, http, routed, use_cases, container)
