"""`byline cache`, on memory adapters."""

import asyncio
import json
from collections.abc import Sequence
from uuid import uuid4

import pytest

from application.caching.warming import LISTS
from domain.posts import Post, PostStatus
from domain.warmings import WarmingState
from infrastructure.cache.memory import MemoryCache
from interfaces.cli import cache as command
from tests.builders import a_post, a_user
from tests.cli.memory import Byline

COMMON = len(LISTS) + 1


@pytest.fixture
def byline() -> Byline:
    return Byline({"page_ttl_s": 3600}).with_admin()  # what was warmed lasts until the next warming


@pytest.fixture
def shared(byline: Byline) -> MemoryCache:
    cache = byline.adapters.cache()
    assert isinstance(cache, MemoryCache)
    return cache


@pytest.fixture
def worker(byline: Byline, monkeypatch: pytest.MonkeyPatch) -> None:
    """That does what it is woken for."""
    monkeypatch.setattr(command, "LOOK_EVERY_S", 0.001)

    async def warm(_topic: str, _key: str) -> None:
        async with byline.use_cases() as use_cases:
            await use_cases.run_warming()

    byline.adapters.queue().on_wake(warm)


def states(byline: Byline) -> list[WarmingState]:
    return [warming.state for warming in byline.adapters.store().tables.warmings.rows.values()]


def tokens(cache: MemoryCache, tags: Sequence[str]) -> tuple[bytes, ...]:
    return asyncio.run(cache.tokens(tags))


def published(byline: Byline, slug: str) -> Post:
    """By an author of its own."""
    author = a_user()
    post = a_post(author=author.id, slug=slug, status=PostStatus.PUBLISHED)

    async def add() -> None:
        async with byline.adapters.store().begin() as work:
            await work.users.add(author)
            await work.posts.add(post)
            await work.commit()

    asyncio.run(add())
    return post


def facts(output: str) -> dict[str, str]:
    return {line[:13].strip(): line[13:].strip() for line in output.splitlines()}


@pytest.mark.usefixtures("worker")
def test_a_warming_is_asked_for_and_its_report_shown(byline: Byline) -> None:
    done = byline("cache", "warm")
    assert done.exit_code == 0, done.output
    assert facts(done.stdout) == {
        "Pages read": str(COMMON),
        "Loaded": str(COMMON),
        "Already there": "0",
        "Gone": "0",
        "Took": facts(done.stdout)["Took"],
        "Ended": "when all was read",
    }
    assert facts(byline("cache", "warm").stdout)["Already there"] == str(COMMON)


@pytest.mark.usefixtures("worker")
def test_a_warming_that_failed_is_told_with_its_reason(byline: Byline, shared: MemoryCache) -> None:
    shared.away = True
    failed = byline("cache", "warm")
    assert failed.exit_code == 1
    assert facts(failed.stdout)["Pages read"] == "0"
    assert failed.stderr == "byline: It ended early: Redis or the database was away.\n"


@pytest.mark.usefixtures("worker")
def test_a_defect_is_told(byline: Byline, shared: MemoryCache, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_limit: int) -> list[str]:
        raise RuntimeError

    monkeypatch.setattr(shared, "most_read", broken)
    failed = byline("cache", "warm")
    assert (failed.exit_code, failed.stderr.splitlines()[-1]) == (
        1,
        "byline: A defect ended the warming; see the worker's log.",
    )


def test_a_warming_may_be_left_to_the_worker(byline: Byline) -> None:
    detached = byline("cache", "warm", "--detach")
    assert detached.exit_code == 0
    (warming_id,) = byline.adapters.store().tables.warmings.rows
    assert detached.stdout == f"{warming_id}\n"
    assert detached.stderr == f"It is left to the worker. What it did: GET /v1/cache/warmings/{warming_id}\n"
    assert states(byline) == [WarmingState.QUEUED]


def test_where_no_worker_takes_it_that_is_said(byline: Byline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "LOOK_EVERY_S", 0.001)
    monkeypatch.setattr(command, "PATIENCE_S", 0.01)
    waiting = byline("cache", "warm")
    assert waiting.exit_code == 1
    assert waiting.stderr == (
        "byline: No worker has taken the warming: it waits until one runs (`byline worker`, or `byline up`).\n"
    )
    assert states(byline) == [WarmingState.QUEUED]


def test_figures_are_shown(byline: Byline, shared: MemoryCache) -> None:
    keys = asyncio.run(shared.stats())["keys"]
    shown = byline("cache", "stats")
    assert shown.exit_code == 0, shown.output
    assert dict(line.split() for line in shown.stdout.splitlines())["keys"] == str(keys)
    as_json = json.loads(byline("cache", "stats", "--json").stdout)
    assert (as_json["shared"]["adapter"], as_json["shared"]["keys"]) == ("memory", keys)

    shared.away = True
    away = byline("cache", "stats")
    assert (away.exit_code, away.stderr) == (
        0,
        "Redis is away. Reads go to the database, and all is well once it is back.\n",
    )


def test_all_is_forgotten_unless_something_is_named(byline: Byline, shared: MemoryCache) -> None:
    before = tokens(shared, ["all"])
    done = byline("cache", "forget")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "Forgotten: all\n", "")
    assert tokens(shared, ["all"]) != before


def test_what_is_named_is_forgotten_and_nothing_else(byline: Byline, shared: MemoryCache) -> None:
    (root,) = byline.adapters.store().tables.users.rows
    post, other = published(byline, "on-tides"), uuid4()
    before = tokens(shared, ["all", f"user:{other}"])
    done = byline("cache", "forget", "--post", "on-tides", "--post", str(post.id), "--user", str(root))
    assert done.exit_code == 0, done.output
    of_post = [f"post:{post.id}", "posts", f"posts:by:{post.author_id}", "slug:on-tides", "totals"]
    expected = [*of_post, f"posts:by:{root}", f"user:{root}", "users"]
    assert done.stdout.splitlines() == [f"Forgotten: {tag}" for tag in sorted(expected)]
    assert tokens(shared, ["all", f"user:{other}"]) == before


@pytest.mark.parametrize("named", ["--post", "--user"])
def test_where_what_is_named_is_gone_all_is_forgotten(byline: Byline, named: str) -> None:
    done = byline("cache", "forget", named, str(uuid4()))
    assert (done.exit_code, done.stdout) == (0, "Forgotten: all\n")
    assert "something named is not there" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--post", "No slug"), "--post takes the id or the slug of a post."),
        (("--user", "ada"), "--user takes the id of a user."),
    ],
)
def test_what_cannot_be_named_is_wrong_usage(byline: Byline, arguments: tuple[str, ...], told: str) -> None:
    wrong = byline("cache", "forget", *arguments)
    assert (wrong.exit_code, wrong.stderr) == (2, f"byline: {told}\n")


@pytest.mark.parametrize("arguments", [("warm",), ("stats",), ("forget",)])
def test_somebody_must_be_there_to_act_as(arguments: tuple[str, ...]) -> None:
    refused = Byline()("cache", *arguments)
    assert (refused.exit_code, refused.stderr) == (
        1,
        "byline: There is no administrator to act as. Make one: byline create-admin\n",
    )
