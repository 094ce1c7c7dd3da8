"""Drafts and private data are in no public page, whoever read it before, whatever became of it since; and what
strangers are shown hot is what the router shows them."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.actors import Role
from infrastructure.settings import Settings
from interfaces.http.app import HttpOptions
from interfaces.http.hot import HotReads
from tests import stage
from tests.http.byline import Byline, Member, container_of, served
from tests.http.hot import Header, Sent, ask

AUTHORS = 3
POSTS = 5
GZIP = (b"accept-encoding", b"gzip")

authors = st.integers(0, AUTHORS - 1)
numbers = st.integers(0, POSTS - 1)
viewers = st.sampled_from(["stranger", "author", "another", "operator"])
steps = st.one_of(
    st.tuples(st.just("write"), numbers, authors, st.sampled_from(["draft", "published"])),
    st.tuples(st.just("publish"), numbers),
    st.tuples(st.just("unpublish"), numbers),
    st.tuples(st.just("retag"), numbers, st.sampled_from(["a", "b"])),
    st.tuples(st.just("delete"), numbers),
    st.tuples(st.just("rename"), authors),
    st.tuples(st.just("deactivate"), authors, st.booleans()),
    st.tuples(st.just("read"), viewers, numbers),
)


class Site:
    """Every post holds a word of its own, SECRET and a number, in its title and throughout its content. Strangers must
    not see the words of posts that are drafts now, nor of those that are deleted. The word of a draft that is published
    later is no secret any more."""

    def __init__(self, byline: Byline, operator: Member, members: list[Member]) -> None:
        self.byline = byline
        self.hot: HotReads = HotReads(byline.app)
        self.operator = operator
        self.members = members
        self.posts: dict[int, dict[str, Any]] = {}
        self.deleted: list[dict[str, Any]] = []
        self.hidden: set[str] = set()
        self.written = 0
        self.renamed = 0

    def urls(self) -> list[str]:
        return [
            *("/v1/posts", "/v1/posts?count=none&type=all", "/v1/posts?tag=a", "/v1/posts?sort_by=views&page_size=2"),
            *("/v1/posts?published=false", "/v1/users", "/v1/users?include=posts", "/v1/users?is_active=false"),
            *(f"/v1/posts/{post[name]}" for post in self._all_posts() for name in ("id", "slug")),
            *(f"/v1/posts?author_id={member.id}" for member in self.members),
            *(f"/v1/users/{member.id}{tail}" for member in self.members for tail in ("", "?include=posts", "/posts")),
        ]

    async def take(self, step: tuple[Any, ...]) -> None:
        match step:
            case "write", number, author, status:
                await self._write(number, self.members[author], status)
            case ("publish" | "unpublish") as change, number if number in self.posts:
                await self._send("POST", f"{self._path(number)}/{change}")
                self._now(number, "published" if change == "publish" else "draft")
            case "retag", number, tag if number in self.posts:
                await self._send("PATCH", self._path(number), {"tags": [tag]})
            case "delete", number if number in self.posts:
                await self._send("DELETE", self._path(number))
                self.deleted.append(self.posts.pop(number))
            case "rename", author:
                self.renamed += 1
                await self._send("PATCH", f"/v1/users/{self.members[author].id}", {"username": f"name{self.renamed}"})
            case "deactivate", author, is_active:
                await self._send("PATCH", f"/v1/users/{self.members[author].id}", {"is_active": is_active})
                (self.hidden.discard if is_active else self.hidden.add)(self.members[author].id)
            case "read", viewer, number:
                await self._read(viewer, number)

    async def _write(self, number: int, author: Member, status: str) -> None:
        if number in self.posts:
            return
        self.written += 1
        word = f"SECRET{self.written:04}"
        body = {"title": f"{word} {number}", "tags": ["a"], "status": status, "content": f"{word} " * 500}
        created = await self._send("POST", f"/v1/users/{author.id}/posts", body)
        self.posts[number] = created | {"author": author.id, "word": word}
        self._now(number, status)

    def _all_posts(self) -> list[dict[str, Any]]:
        """Those that are deleted too."""
        return [*self.posts.values(), *self.deleted]

    def _now(self, number: int, status: str) -> None:
        self.posts[number]["status"] = status

    async def _send(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        sent = await self.byline.http.request(method, path, json=body, headers=self.operator.auth)
        assert sent.is_success, sent.text
        return sent.json() if sent.content else {}

    def _path(self, number: int) -> str:
        return f"/v1/posts/{self.posts[number]['id']}"

    async def _read(self, viewer: str, number: int) -> None:
        """All pages, as somebody who is shown more: what the router shows them."""
        author = self.posts.get(number, {}).get("author", self.members[0].id)
        members = {member.id: member for member in self.members}
        another = next(member for member in self.members if member.id != author)
        as_viewer = {"author": members[author], "another": another, "operator": self.operator}.get(viewer)
        headers: list[Header] = [GZIP]
        if as_viewer is not None:
            headers.append((b"authorization", as_viewer.auth["authorization"].encode()))
        for url in self.urls():
            assert await ask(self.hot, url, *headers) == await ask(self.byline.app, url, *headers), (viewer, url)

    async def check(self) -> None:
        kept = [post for post in self._all_posts() if post["status"] == "draft" or post in self.deleted]
        words, ids = {post["word"] for post in kept}, {post["id"] for post in kept}
        for url in self.urls():
            routed = await ask(self.byline.app, url)
            for _ in range(2):
                answered = await ask(self.hot, url)
                assert answered == routed, url
            assert _plain(await ask(self.hot, url, GZIP)) == routed.body, url
            shown = routed.body.decode()
            # What is not found is named as it was asked for.
            secrets = [*words, "@example.com", *([*ids, *self.hidden] if routed.status == 200 else ())]
            held = [secret for secret in secrets if secret in shown and not _only_as_author(secret, shown)]
            assert not held, (url, held)
            if routed.status == 200:
                self._check_all_is_there(url, json.loads(shown))

    def _check_all_is_there(self, url: str, shown: dict[str, Any]) -> None:
        if url == "/v1/posts?count=none&type=all":
            published = {post["id"] for post in self.posts.values() if post["status"] == "published"}
            assert {post["id"] for post in shown["items"]} == published


def _only_as_author(secret: str, shown: str) -> bool:
    """A deactivated user's published posts go on naming their author."""
    return shown.count(secret) == shown.count(f'"author":{{"id":"{secret}"')


def _plain(sent: Sent) -> bytes:
    return gzip.decompress(sent.body) if sent.header(b"content-encoding") == b"gzip" else sent.body


@asynccontextmanager
async def site(folder: Path, database_url: str | None) -> AsyncIterator[Site]:
    """On the memory adapters, unless a database is named."""
    told = Settings.model_validate({"data_dir": folder, "database_url": database_url, "secret_key": "k" * 40})
    container = container_of(told, in_memory=database_url is None)
    async with served(container, HttpOptions(count_views=False)) as byline:
        operator = await byline.member(role=Role.ADMIN)
        yield Site(byline, operator, [await byline.member() for _ in range(AUTHORS)])


async def hold(at: Site, taken: list[tuple[Any, ...]]) -> None:
    for step in taken:
        await at.take(step)
        await at.check()


@settings(max_examples=20)
@given(st.lists(steps, max_size=12))
async def test_no_public_page_holds_what_is_not_public(
    tmp_path_factory: pytest.TempPathFactory, taken: list[tuple[Any, ...]]
) -> None:
    async with site(tmp_path_factory.getbasetemp(), None) as at:
        await hold(at, taken)


@settings(max_examples=10)
@given(st.lists(steps, min_size=6, max_size=12))
async def test_nor_does_one_that_is_read_from_the_database(
    tmp_path_factory: pytest.TempPathFactory, worker_database: stage.WorkerDatabase, taken: list[tuple[Any, ...]]
) -> None:
    await asyncio.to_thread(worker_database.empty)  # in a loop of its own
    async with site(tmp_path_factory.getbasetemp(), worker_database.url) as at:
        await hold(at, taken)
