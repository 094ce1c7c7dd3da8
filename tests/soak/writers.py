"""Writers, each of whom has resources of their own, and notes in the history what was acknowledged to them."""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx

from tests.soak.history import History, stamp
from tests.soak.readers import Asked, Processes
from tests.soak.site import ADMIN, AUTHORS, PASSWORD, author

CHANGED, TOGGLED, REMADE, IMPORTED = 6, 2, 2, 6
"""How many posts each author has that are changed; that come and go as drafts; that are deleted and made again; and
that only imports write."""
EACH = CHANGED + TOGGLED + REMADE + IMPORTED
POSTS = range(AUTHORS * EACH)
USERS = range(len(POSTS), len(POSTS) + AUTHORS)
IMPORTS = range(AUTHORS * (CHANGED + TOGGLED + REMADE), len(POSTS))
TAG = "hot"
CONTENT = "Words that are read more often than they are written. " * 8
RENAME_SHARE = 0.004
"""Of the writes. Each makes every page be forgotten."""
PATIENCE_S = 60.0


def slug(resource: int) -> str:
    return f"post-{resource}"


def posts_of(number: int) -> list[int]:
    """Of an author: those that they write themselves, then those that are imported."""
    own = CHANGED + TOGGLED + REMADE
    imported = IMPORTS.start + number * IMPORTED
    return [*range(number * own, (number + 1) * own), *range(imported, imported + IMPORTED)]


class Writers:
    """At the address that acknowledges all writes."""

    def __init__(self, port: int, history: History, processes: Processes, is_over: Callable[[], bool]) -> None:
        self._url = f"http://127.0.0.1:{port}"
        self._history = history
        self._processes = processes
        self._is_over = is_over
        self._stack = AsyncExitStack()
        self._authors: list[httpx.AsyncClient] = []
        self._admin: httpx.AsyncClient
        self._ids: dict[int, str] = {}
        self.refused: Counter[str] = Counter()
        self.imports = 0

    async def __aenter__(self) -> "Writers":
        self._admin = await self._signed_in(ADMIN)
        self._authors = [await self._signed_in(author(number)) for number in range(AUTHORS)]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def begin(self) -> tuple[list[Asked], list[int]]:
        """Everything is made once. What there is then to read, and how often each is to be read."""
        for number, http in enumerate(self._authors):
            await self._rename(number, http)
            for resource in posts_of(number)[:-IMPORTED]:
                await self._make(resource, http)
        await self._import()
        assert self._history.written() == len(POSTS) + len(USERS), self.refused
        pages = [
            *(Asked(f"/v1/posts/{self._ids[post]}", (post,)) for post in POSTS if post in self._ids),
            *(Asked(f"/v1/posts/{slug(post)}", (post,)) for post in POSTS),
        ]
        weights = [20] * len(pages)
        lists = self._lists()
        return pages + lists, weights + [5] * len(lists)

    async def write(self, per_s: float) -> None:
        """So many writes a second together."""
        async with asyncio.TaskGroup() as group:
            for number in range(AUTHORS):
                group.create_task(self._write(number, AUTHORS / per_s))

    async def import_again_and_again(self, pause_s: float) -> None:
        while not self._is_over():
            await self._import()
            await asyncio.sleep(pause_s)

    def _lists(self) -> list[Asked]:
        everything, users = tuple(POSTS), tuple(USERS)
        lists = [
            Asked("/v1/posts?page_size=100", everything, everything),
            Asked("/v1/posts?page_size=100&count=none&fields=title", everything),
            Asked("/v1/posts?page_size=100&sort_by=created_at&order=asc&count=none&fields=title", everything),
            Asked(f"/v1/posts?tag={TAG}&page_size=100&fields=title", everything, everything),
            Asked("/v1/users?page_size=100", users),
            Asked("/v1/users?include=posts", users),
        ]
        for number, user in enumerate(USERS):
            theirs = tuple(posts_of(number))
            path = f"/v1/users/{self._ids[user]}"
            lists += [
                *[Asked(path, (user,))] * 4,
                Asked(f"{path}?include=posts", (user, *theirs)),
                Asked(f"{path}/posts?page_size=50&fields=title", theirs, theirs),
            ]
        return lists

    async def _write(self, number: int, every_s: float) -> None:
        http = self._authors[number]
        posts = posts_of(number)[:-IMPORTED]
        due = time.monotonic() + random.uniform(0, every_s)
        while not self._is_over():
            await asyncio.sleep(due - time.monotonic())
            due = max(due + every_s, time.monotonic())
            if random.random() < RENAME_SHARE:
                await self._rename(number, http)
                continue
            place = random.randrange(len(posts))
            resource = posts[place]
            if place < CHANGED:
                await self._change(resource, http)
            elif place < CHANGED + TOGGLED:
                await self._toggle(resource, http)
            elif self._history.floors[resource] % 2:
                await self._delete(resource, http)
            else:
                await self._make(resource, http)

    async def _rename(self, number: int, http: httpx.AsyncClient) -> None:
        user = USERS[number]
        state = self._history.begin(user)
        named = {"profile": {"display_name": stamp(user, state)}}
        answer = await self._acknowledged(user, state, http.patch("/v1/users/me", json=named))
        if answer is not None:
            self._ids[user] = answer["id"]

    async def _make(self, resource: int, http: httpx.AsyncClient) -> None:
        state = self._history.begin(resource)
        post = {
            "title": stamp(resource, state),
            "slug": slug(resource),
            "content": CONTENT,
            "tags": [TAG],
            "status": "published",
        }
        answer = await self._acknowledged(resource, state, http.post("/v1/posts", json=post))
        if answer is not None and resource % (CHANGED + TOGGLED + REMADE) < CHANGED + TOGGLED:
            self._ids[resource] = answer["id"]

    async def _change(self, resource: int, http: httpx.AsyncClient) -> None:
        state = self._history.begin(resource)
        path = f"/v1/posts/{random.choice((self._ids[resource], slug(resource)))}"
        await self._acknowledged(resource, state, http.patch(path, json={"title": stamp(resource, state)}))

    async def _toggle(self, resource: int, http: httpx.AsyncClient) -> None:
        path = f"/v1/posts/{self._ids[resource]}"
        if self._history.floors[resource] % 2:
            state = self._history.begin(resource, hides=True)
            await self._acknowledged(resource, state, http.post(f"{path}/unpublish"))
            return
        state = self._history.begin(resource)
        written = await self._answered(http.patch(path, json={"title": stamp(resource, state)}))
        if written is not None:
            await self._acknowledged(resource, state, http.post(f"{path}/publish"))

    async def _delete(self, resource: int, http: httpx.AsyncClient) -> None:
        state = self._history.begin(resource, hides=True)
        await self._acknowledged(resource, state, http.delete(f"/v1/posts/{slug(resource)}"))

    async def _import(self) -> None:
        """Acknowledged once the job says that it has succeeded."""
        states = {resource: self._history.begin(resource) for resource in IMPORTS}
        rows = [
            {
                "title": stamp(resource, state),
                "slug": slug(resource),
                "author": author((resource - IMPORTS.start) // IMPORTED),
                "content": CONTENT,
                "tags": [TAG],
                "source": "soak",
                "external_id": str(resource),
                "published_at": "2026-01-01T12:00:00Z",
            }
            for resource, state in states.items()
        ]
        file = "".join(json.dumps(row) + "\n" for row in rows)
        sending = self._admin.post(
            "/v1/imports?kind=posts&on_conflict=update",
            content=file,
            headers={"content-type": "application/x-ndjson"},
        )
        job = await self._answered(sending)
        while job is not None and job["finished_at"] is None:
            await asyncio.sleep(0.05)
            job = await self._answered(self._admin.get(f"/v1/imports/{job['id']}"))
        if job is None:
            return
        assert job["state"] == "succeeded", job
        self.imports += 1
        now = time.monotonic()
        for resource, state in states.items():
            self._history.acknowledge(resource, state, now, None)

    async def _acknowledged(self, resource: int, state: int, sending: Awaitable[httpx.Response]) -> Any:
        """The answer's body; None where it was refused."""
        answer = await sending
        if not answer.is_success:
            self._note(answer)
            return None
        process = self._processes.of(answer.headers["x-request-id"])
        self._history.acknowledge(resource, state, time.monotonic(), process)
        return answer.json() if answer.content else {}

    async def _answered(self, sending: Awaitable[httpx.Response]) -> Any:
        answer = await sending
        if answer.is_success:
            return answer.json()
        self._note(answer)
        return None

    def _note(self, answer: httpx.Response) -> None:
        self.refused[f"{answer.status_code} {answer.request.method} {answer.text[:200]}"] += 1

    async def _signed_in(self, name: str) -> httpx.AsyncClient:
        http = await self._stack.enter_async_context(
            httpx.AsyncClient(base_url=self._url, trust_env=False, timeout=PATIENCE_S)
        )
        answer = await http.post("/v1/auth/token", data={"username": name, "password": PASSWORD})
        http.headers["authorization"] = f"Bearer {answer.raise_for_status().json()['access_token']}"
        return http
