"""Drafts and private data are in no public page, whoever read it before, whatever became of it since; and what
strangers are shown hot is what the router shows them."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.actors import Role
from infrastructure.settings import Settings
from interfaces.http.app import HttpOptions, hot
from interfaces.http.hot import HotReads
from tests.http.byline import Byline, Member, container_of, served
from tests.http.test_hot import Header, ask

AUTHORS = 3
POSTS = 5

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
    """Every secret that a stranger must not see holds the word SECRET. `drafts` holds the ids of what is one now."""

    def __init__(self, byline: Byline, operator: Member, members: list[Member]) -> None:
        self.byline = byline
        self.hot: HotReads = hot(byline.app)
        self.operator = operator
        self.members = members
        self.posts: dict[int, dict[str, Any]] = {}
        self.hidden: set[str] = set()
        self.renamed = 0

    def urls(self) -> list[str]:
        return [
            *("/v1/posts", "/v1/posts?count=none&type=all", "/v1/posts?tag=a", "/v1/posts?sort_by=views&page_size=2"),
            *("/v1/posts?published=false", "/v1/users", "/v1/users?include=posts", "/v1/users?is_active=false"),
            *(f"/v1/posts/{post[name]}" for post in self.posts.values() for name in ("id", "slug")),
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
                del self.posts[number]
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
        secret = "SECRET" if status == "draft" else "PUBLIC"
        body = {"title": f"{secret} {number}", "tags": ["a"], "status": status, "content": f"{secret} " * 500}
        created = await self._send("POST", f"/v1/users/{author.id}/posts", body)
        self.posts[number] = created | {"author": author.id}
        self._now(number, status)

    def _now(self, number: int, status: str) -> None:
        self.posts[number]["status"] = status

    async def _send(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        sent = await self.byline.http.request(method, path, json=body, headers=self.operator.auth)
        assert sent.is_success, sent.text
        return sent.json() if sent.content else {}

    def _path(self, number: int) -> str:
        return f"/v1/posts/{self.posts[number]['id']}"

    async def _read(self, viewer: str, number: int) -> None:
        """All pages, as somebody who is shown more."""
        author = self.posts.get(number, {}).get("author", self.members[0].id)
        members = {member.id: member for member in self.members}
        another = next(member for member in self.members if member.id != author)
        as_viewer = {"author": members[author], "another": another, "operator": self.operator}.get(viewer)
        headers: list[Header] = [(b"accept-encoding", b"gzip")]
        if as_viewer is not None:
            headers.append((b"authorization", as_viewer.auth["authorization"].encode()))
        for url in self.urls():
            with suppress(AssertionError):
                await ask(self.hot, url, *headers)

    async def check(self) -> None:
        drafts = {post["id"] for post in self.posts.values() if post["status"] == "draft"}
        secrets = [*drafts, *self.hidden, "@example.com"]
        for url in self.urls():
            routed = await ask(self.byline.app, url)
            for _ in range(2):
                answered = await ask(self.hot, url)
                assert answered == routed, url
            if routed.status != 200:
                continue
            shown = routed.body.decode()
            held = [secret for secret in secrets if secret in shown and not _only_as_author(secret, shown)]
            assert not held, (url, held)
            self._check_all_is_there(url, json.loads(shown))

    def _check_all_is_there(self, url: str, shown: dict[str, Any]) -> None:
        if url == "/v1/posts?count=none&type=all":
            published = {post["id"] for post in self.posts.values() if post["status"] == "published"}
            assert {post["id"] for post in shown["items"]} == published


def _only_as_author(secret: str, shown: str) -> bool:
    """A deactivated user's published posts go on naming their author."""
    return shown.count(secret) == shown.count(f'"author":{{"id":"{secret}"')


@asynccontextmanager
async def site() -> AsyncIterator[Site]:
    told = Settings.model_validate({"data_dir": Path("nowhere"), "secret_key": "k" * 40})
    async with served(container_of(told, in_memory=True), HttpOptions(count_views=False)) as byline:
        operator = await byline.member(role=Role.ADMIN)
        yield Site(byline, operator, [await byline.member() for _ in range(AUTHORS)])


@settings(max_examples=20)
@given(st.lists(steps, max_size=12))
async def test_no_public_page_holds_what_is_not_public(taken: list[tuple[Any, ...]]) -> None:
    async with site() as at:
        for step in taken:
            await at.take(step)
            await at.check()
