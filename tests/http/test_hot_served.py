"""Hot reads through the servers that run them: what only shows over a connection, where a length that is wrong by a
byte holds up every request that comes after."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from domain.actors import Role
from infrastructure.settings import Settings
from interfaces.http.app import HttpOptions
from interfaces.http.hot import HotReads
from interfaces.http.representations import GZIP_MIN_BYTES
from tests.cli.running import a_free_port, answers, eventually, running
from tests.http.byline import Byline, Member, container_of, served
from tests.http.conftest import StartByline
from tests.http.listening import BOUND_S, listening

SECRET_KEY = "k" * 40
OPTIONS = HttpOptions(count_views=False)  # which would differ from one read to the next
GZIP = ("accept-encoding", "gzip")
OF_THE_SERVER = (b"date: ", b"server: ")


@dataclass(frozen=True, slots=True)
class Asked:
    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def raw(self) -> bytes:
        headers = (("host", "byline.test"), ("x-request-id", "asked-by-the-test"), *self.headers)
        lines = [f"{self.method} {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
        return "\r\n".join([*lines, "", ""]).encode()


class Answer(NamedTuple):
    """`head` without what is the server's own."""

    status: int
    head: tuple[bytes, ...]
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        return next((line[len(name) + 2 :] for line in self.head if line.startswith(name + b": ")), None)


class Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, *asked: Asked) -> None:
        self._writer.write(b"".join(each.raw for each in asked))

    async def answer(self, asked: Asked) -> Answer:
        """The next one, which must begin where the one before it ended."""
        async with asyncio.timeout(BOUND_S):
            head = await self._reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 "), head
            lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
            kept = tuple(line for line in lines if not line.lower().startswith(OF_THE_SERVER))
            answer = Answer(int(head[9:12]), kept, b"")
            if asked.method == "HEAD" or answer.status == 304:
                return answer
            return answer._replace(body=await self._reader.readexactly(int(answer.header(b"content-length") or -1)))

    async def rest(self) -> bytes:
        """What comes until the server ends it."""
        async with asyncio.timeout(BOUND_S):
            return await self._reader.read()


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Connection]:
    port = int(url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with closing(writer):
        yield Connection(reader, writer)


async def one_after_another(url: str, asked: Sequence[Asked]) -> list[Answer]:
    found = []
    async with connected(url) as connection:
        for each in asked:
            connection.send(each)
            found.append(await connection.answer(each))
        await _end(connection)
    return found


async def all_at_once(url: str, asked: Sequence[Asked]) -> list[Answer]:
    async with connected(url) as connection:
        connection.send(*asked)
        found = [await connection.answer(each) for each in asked]
        await _end(connection)
    return found


async def _end(connection: Connection) -> None:
    """With nothing left over."""
    last = Asked("GET", "/health/live", (("connection", "close"),))
    connection.send(last)
    assert (await connection.answer(last)).status == 200
    assert await connection.rest() == b""


@dataclass(frozen=True, slots=True)
class Conversation:
    """Each request is for a page of its own, so that the first round finds none of them in memory."""

    asked: tuple[Asked, ...]
    wanted: tuple[Answer, ...]
    """By the router."""
    operator: Member


async def conversation(byline: Byline) -> Conversation:
    ada, operator = await byline.member(), await byline.member(role=Role.OPERATOR)

    async def path(content: str) -> str:
        return f"/v1/posts/{(await byline.post(ada, content=content))['slug']}"

    small = [await path("Small.") for _ in range(3)]
    large = [await path("Byline keeps what was written. " * 200) for _ in range(6)]
    known, known_compressed, known_otherwise = small[2], large[4], large[5]
    compressed_etag, other_etag = [
        (await byline.routed.get(each, headers=dict([GZIP]))).headers["etag"]
        for each in (known_compressed, known_otherwise)
    ]
    etag = (await byline.routed.get(known, headers={"accept-encoding": "identity"})).headers["etag"]
    asked = (
        Asked("GET", small[0]),
        Asked("HEAD", small[1]),
        Asked("GET", known, (("if-none-match", etag),)),
        Asked("GET", large[0]),
        Asked("HEAD", large[1]),
        Asked("GET", "/v1/posts/nothing-here"),
        Asked("GET", large[2], (GZIP,)),
        Asked("HEAD", large[3], (GZIP,)),
        Asked("HEAD", "/v1/posts/nothing-here"),
        Asked("GET", known_compressed, (GZIP, ("if-none-match", compressed_etag))),
        Asked("HEAD", known_otherwise, (("if-none-match", other_etag),)),
        Asked("GET", "/v1/posts?page_size=2&count=none"),
    )
    async with listening(byline.app) as http:
        wanted = await one_after_another(str(http.base_url), asked)
    assert [answer.status for answer in wanted] == [200, 200, 304, 200, 200, 404, 200, 200, 404, 304, 304, 200]
    return Conversation(asked, tuple(wanted), operator)


async def check(url: str, held: Conversation) -> None:
    """Cold and hot, each request after the answer to the one before it and all at once."""
    async with httpx.AsyncClient(base_url=url, headers=held.operator.auth, trust_env=False, timeout=BOUND_S) as http:
        for talk in (one_after_another, all_at_once):
            (await http.post("/v1/cache/forget")).raise_for_status()
            before = await _loads(http)
            cold = await talk(url, held.asked)
            between = await _loads(http)
            warm = await talk(url, held.asked)
            after = await _loads(http)

            missing = sum(answer.status == 404 for answer in held.wanted)
            assert (between - before, after - between) == (len(held.asked), missing)
            for answered in (cold, warm):
                for asked, answer, wanted in zip(held.asked, answered, held.wanted, strict=True):
                    assert answer == wanted, asked
            _check_lengths(held.asked, warm)


def _check_lengths(asked: Sequence[Asked], answers: Sequence[Answer]) -> None:
    for each, answer in zip(asked, answers, strict=True):
        length = answer.header(b"content-length")
        assert (length is None) == (answer.status == 304), each
        if each.method == "HEAD" and answer.status == 200:
            assert length != b"0", each
    encodings = [answer.header(b"content-encoding") for answer in answers]
    assert encodings.count(b"gzip") == 2
    assert any(len(answer.body) > GZIP_MIN_BYTES for answer in answers)


async def _loads(http: httpx.AsyncClient) -> int:
    """How many pages this process has read from the database."""
    figures: dict[str, Any] = (await http.get("/v1/cache")).raise_for_status().json()
    return int(figures["process"]["reads"]["loads"])


async def test_over_uvicorn_hot_answers_are_the_routers_byte_for_byte(start: StartByline) -> None:
    byline = await start(options=OPTIONS)
    held = await conversation(byline)
    async with listening(HotReads(byline.app)) as http:
        await check(str(http.base_url), held)


@pytest.mark.e2e
async def test_over_granian_hot_answers_are_the_routers_byte_for_byte(tmp_path: Path, database_url: str) -> None:
    """As `byline serve` starts it, on the same database as the router that it is held against."""
    told = Settings.model_validate({"data_dir": tmp_path, "database_url": database_url, "secret_key": SECRET_KEY})
    async with served(container_of(told, in_memory=False), OPTIONS) as byline:
        held = await conversation(byline)
        port = str(a_free_port())
        url = f"http://127.0.0.1:{port}"
        own = {
            "BYLINE_DATABASE_URL": database_url,
            "BYLINE_REDIS_URL": "redis://nowhere",
            "BYLINE_CACHE": "none",
            "BYLINE_COUNT_VIEWS": "false",
            "BYLINE_SECRET_KEY": SECRET_KEY,
            "BYLINE_PORT": port,
        }
        async with running(tmp_path, "serve", **own):
            await eventually(partial(answers, url), "the API answers")
            await check(url, held)
