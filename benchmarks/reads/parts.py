"""What is compared: a function a part, which gives the rows of the table."""

import asyncio
import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Final, TypeVar

from application.pages import POST_FIELDS, Cursor
from benchmarks.reads.answers import ask, must_be_alike
from benchmarks.reads.archive import Post
from benchmarks.reads.clients import Gets, NoAnswer
from benchmarks.reads.contest import Compared, Contestant, EntriesRead, Plan, Row, Transactions, hold
from benchmarks.reads.nginx import PATH as NGINX_PATH
from benchmarks.reads.nginx import has_nginx, nginx
from benchmarks.reads.stage import Server, Stage, unknown_settings

OURS: Final = "Byline"
READY: Final = "FastAPI, ready bytes"
READY_304: Final = "FastAPI, its own 304"
TUTORIAL: Final = "tutorial, cached"
TUTORIAL_ASYNC: Final = "tutorial, cached, async"
TUTORIAL_LIST: Final = "tutorial, count and OFFSET"
NGINX: Final = "nginx"
MINIMAL: Final = "FastAPI and asyncpg"
ORM: Final = "SQLAlchemy ORM"
FIRST_PAGE: Final = "its first page"
UNCOUNTED: Final = "without counting"

IN_TURN: Final = 500
DEPTH: Final = 150_000
DEEP_PAGES: Final = 2_000
PAGES: Final = 50_000
P99_MS: Final = 4.0

T = TypeVar("T")


def _hot_post(stage: Stage) -> Post:
    return stage.posts[len(stage.posts) // 2]


def _post_path(stage: Stage) -> str:
    return f"/v1/posts/{_hot_post(stage).slug}"


def _views_of(stage: Stage, post: Post) -> int:
    counted = asyncio.run(stage.value("SELECT views FROM post_views WHERE post_id = $1", post.id))
    return int(counted or 0)


def _ready(stage: Stage, ours: Server, path: str) -> AbstractContextManager[Server]:
    """Of what ours answers now."""
    answer = ask(ours, path)
    file = stage.folder / "ready.json"
    file.write_bytes(answer.content)
    variables = {"READY_BODY": str(file), "READY_ETAG": answer.headers["etag"]}
    return stage.python("benchmarks.reads.rivals.ready:app", "/ready", **variables)


def _list_after(post: Post) -> str:
    return f"/v1/posts?after={Cursor('published_at-desc', post.published_at, post.id)}"


def _of_posts(posts: Sequence[Post]) -> tuple[Sequence[str], Sequence[str], None]:
    """Our paths and the rivals'."""
    return [f"/v1/posts/{post.slug}" for post in posts], [f"/posts/{post.slug}" for post in posts], None


def _of_lists(posts: Sequence[Post]) -> tuple[Sequence[str], Sequence[str], str]:
    """Our paths, the rivals', and the field that is alike in their answers."""
    theirs = [f"/posts?after={post.published_at:%Y-%m-%dT%H:%M:%SZ}_{post.id.hex}" for post in posts]
    return [_list_after(post) for post in posts], theirs, "items"


def _shuffled(items: Sequence[T]) -> list[T]:
    return random.Random(1).sample(items, len(items))


def _orders_of_fields(count: int) -> Sequence[str]:
    """All fields of a post in as many orders: each names the same page anew."""
    dice = random.Random(1)
    return [",".join(dice.sample(POST_FIELDS, len(POST_FIELDS))) for _ in range(count)]


def hot(stage: Stage, plan: Plan) -> Sequence[Row]:
    with ExitStack() as stack:
        ours = stack.enter_context(stage.ours())
        path = _post_path(stage)
        ready = stack.enter_context(_ready(stage, ours, path))
        tutorial = stack.enter_context(stage.python("benchmarks.reads.rivals.tutorial:app", "/docs"))
        contestants = [
            Contestant(OURS, ours, Gets([path]), EntriesRead(stage, 0, 0.1)),
            Contestant(READY, ready, Gets(["/ready"])),
            # First the one that fills their cache.
            Contestant(TUTORIAL_ASYNC, tutorial, Gets([f"/async/{_hot_post(stage).slug}"])),
            Contestant(TUTORIAL, tutorial, Gets([f"/posts/{_hot_post(stage).slug}"])),
        ]
        if has_nginx():
            answer = ask(ours, path)
            served = stack.enter_context(nginx(stage, answer.content, answer.headers))
            contestants.append(Contestant(NGINX, served, Gets([NGINX_PATH])))
        else:
            print("There is no nginx here: without it.")
        must_be_alike(contestants)
        compared = Compared("hot post, L1", hold(stage, plan, contestants))
    wanted = {READY: 3.8, TUTORIAL: 30.0, TUTORIAL_ASYNC: None, NGINX: 0.5}
    rows = [compared.row(OURS, rival, least) for rival, least in wanted.items() if rival in compared.runs]
    return [*rows, compared.p99_row(OURS, P99_MS)]


def shared(stage: Stage, plan: Plan) -> Sequence[Row]:
    """One post, for which readers of one moment share a look into Valkey; and many, for which they hardly can."""
    path = _post_path(stage)
    many = [f"/v1/posts/{post.slug}" for post in stage.posts[:IN_TURN]]
    rows = []
    with stage.ours(BYLINE_L1_MAX_BYTES="0") as ours, _ready(stage, ours, path) as ready:
        for name, paths, least in (
            ("hot post, shared cache only", [path], 0.005),
            (f"{IN_TURN:,} hot posts, shared cache only", many, 0.99),
        ):
            for warming in paths:
                ask(ours, warming)
            contestants = [
                Contestant(OURS, ours, Gets(paths), EntriesRead(stage, least, float("inf"))),
                Contestant(READY, ready, Gets(["/ready"])),
            ]
            if paths == [path]:
                must_be_alike(contestants)
            rows.append(Compared(name, hold(stage, plan, contestants)).row(OURS, READY, 2.5))
    return rows


def not_modified(stage: Stage, plan: Plan) -> Sequence[Row]:
    path = _post_path(stage)
    with stage.ours() as ours, _ready(stage, ours, path) as ready:
        held = {"if-none-match": ask(ours, path).headers["etag"]}
        contestants = [
            Contestant(OURS, ours, Gets([path], held), EntriesRead(stage, 0, 0.1)),
            Contestant(READY_304, ready, Gets(["/conditional"], held)),
            Contestant(READY, ready, Gets(["/ready"])),
        ]
        must_be_alike(contestants[:2], status=304)
        compared = Compared("304", hold(stage, plan, contestants))
    return [compared.row(OURS, READY, 3.6), compared.row(OURS, READY_304)]


def misses(stage: Stage, plan: Plan) -> Sequence[Row]:
    """Pages that were asked for before and are out of date, as after a write; and pages that nobody has asked for."""
    posts = _shuffled(stage.posts[:-1])  # after the last one there is nothing
    rows: list[Row] = []
    with ExitStack() as stack:
        known = stack.enter_context(stage.ours(BYLINE_PAGE_TTL_S="0.001", BYLINE_L1_MAX_BYTES="0"))
        fresh = stack.enter_context(stage.ours())
        minimal = stack.enter_context(stage.python("benchmarks.reads.rivals.minimal:app", "/docs"))
        orm = stack.enter_context(stage.python("benchmarks.reads.rivals.orm:app", "/docs"))

        def compare(
            name: str, ours: Server, paths: Sequence[str], rivals_paths: Sequence[str], field: str | None
        ) -> None:
            reads = Transactions(stage)
            contestants = [
                Contestant(OURS, ours, Gets(paths), reads),
                Contestant(MINIMAL, minimal, Gets(rivals_paths), reads),
                Contestant(ORM, orm, Gets(rivals_paths), reads),
            ]
            must_be_alike(contestants, field=field)
            for contestant in contestants:
                contestant.gets.next(100)  # what was just looked at
            compared = Compared(name, hold(stage, plan, contestants))
            rows.extend([compared.row(OURS, MINIMAL, 1.0), compared.row(OURS, ORM, 4.0)])

        compare("miss, post", known, *_of_posts(posts[:IN_TURN]))
        compare("miss, list of 20", known, *_of_lists(posts[:IN_TURN]))
        compare("miss, post never asked for", fresh, *_of_posts(posts))
        compare("miss, list never asked for", fresh, *_of_lists(posts))
    return rows


def depth(stage: Stage, plan: Plan) -> Sequence[Row]:
    """Both read from the database: no page is asked for twice."""
    deep_posts = itertools.cycle(stage.posts[DEPTH : DEPTH + DEEP_PAGES])
    fields = _orders_of_fields(PAGES)
    deep = [f"{_list_after(post)}&fields={order}" for post, order in zip(deep_posts, fields, strict=False)]
    first = [f"/v1/posts?count=none&fields={order}" for order in fields]
    with stage.ours() as ours:
        reads = Transactions(stage)
        contestants = [
            Contestant(OURS, ours, Gets(deep), reads),
            Contestant(FIRST_PAGE, ours, Gets(first), reads),
        ]
        if len(ask(ours, deep.pop()).json()["items"]) != len(ask(ours, first.pop()).json()["items"]):
            raise NoAnswer("The pages differ in size.")
        compared = Compared(f"list at depth {DEPTH:,} by cursor", hold(stage, plan, contestants))
    return [compared.row(OURS, FIRST_PAGE, 1 / 1.2)]


def total(stage: Stage, plan: Plan) -> Sequence[Row]:
    """Page 1 named in ever new ways, so that it is never cached: by its fields in another order each time.

    Nearly all that the rival does, PostgreSQL does: it may use the server's core too.
    """
    paths = [f"/v1/posts?fields={order}" for order in _orders_of_fields(PAGES)]
    with stage.ours() as ours, stage.python("benchmarks.reads.rivals.orm:app", "/docs") as orm:
        reads = Transactions(stage)
        contestants = [
            Contestant(OURS, ours, Gets(paths), reads),
            Contestant(TUTORIAL_LIST, orm, Gets(["/page?page=1&page_size=20"]), reads),
        ]
        for field in ("items", "total", "total_pages"):
            must_be_alike(contestants, field=field)
        contestants[0].gets.next(100)
        stage.postgres_on(stage.cores.server | stage.cores.others)
        try:
            compared = Compared("page 1 with exact total", hold(stage, plan, contestants))
        finally:
            stage.postgres_on(stage.cores.others)
    return [compared.row(OURS, TUTORIAL_LIST, 10.0)]


def views(stage: Stage, plan: Plan) -> Sequence[Row]:
    if unknown := unknown_settings(["BYLINE_COUNT_VIEWS"]):
        print(f"This Byline has no {unknown[0]}: without the part that compares it.")
        return []
    path = _post_path(stage)
    with stage.ours(BYLINE_COUNT_VIEWS="true") as counting, stage.ours(BYLINE_COUNT_VIEWS="false") as not_counting:
        cached = EntriesRead(stage, 0, 0.1)
        contestants = [
            Contestant(OURS, counting, Gets([path]), cached),
            Contestant(UNCOUNTED, not_counting, Gets([path]), cached),
        ]
        must_be_alike(contestants)
        before = _views_of(stage, _hot_post(stage))
        compared = Compared("hot post, views counted", hold(stage, plan, contestants))
        if _views_of(stage, _hot_post(stage)) == before:
            raise NoAnswer("No views were counted.")
    return [compared.row(OURS, UNCOUNTED, 0.95)]


def uncached(stage: Stage, plan: Plan) -> Sequence[Row]:
    """What the routes themselves cost, without any cache: the ratio of CPU says more than that of requests."""
    settings = {"BYLINE_CACHE": "none", "BYLINE_HOT": "false"}
    posts = _shuffled(stage.posts[:-1])
    reads = Transactions(stage)
    rows = []
    with stage.ours(**settings) as ours, stage.python("benchmarks.reads.rivals.minimal:app", "/docs") as minimal:
        for name, paths, rivals_paths, field in (
            ("uncached post", *_of_posts(posts)),
            ("uncached list of 20", *_of_lists(posts)),
        ):
            contestants = [
                Contestant(OURS, ours, Gets(paths), reads),
                Contestant(MINIMAL, minimal, Gets(rivals_paths), reads),
            ]
            must_be_alike(contestants, field=field)
            rows.append(Compared(name, hold(stage, plan, contestants)).row(OURS, MINIMAL))
    return rows


PARTS: Final[Mapping[str, Callable[[Stage, Plan], Sequence[Row]]]] = {
    "hot": hot,
    "shared": shared,
    "304": not_modified,
    "miss": misses,
    "depth": depth,
    "total": total,
    "views": views,
    "uncached": uncached,
}
