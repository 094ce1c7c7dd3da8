"""What PostgreSQL does for each list: it walks an index in the order asked for, and reads no table from end to end.

docs/decisions/0001-post-indexes.md has the same for an archive of 200,000 posts, with times.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from application.pages import Order, PostQuery, SortBy, Types, UserQuery
from domain.actors import Actor, Role
from infrastructure.database.database import Database, import_database, service_database
from infrastructure.database.pages import SqlPages
from infrastructure.database.pages.lists import Asked
from infrastructure.database.pages.posts import asked_posts
from infrastructure.database.pages.users import asked_addresses, asked_users
from infrastructure.database.posts import _BY_EXTERNAL_ID, _BY_SLUG, _BY_SOURCE_AND_EXTERNAL_ID
from infrastructure.database.users import _BY_LOGIN
from infrastructure.settings import Settings
from tests.builders import an_actor
from tests.database.archive import POSTS, USERS, Archive
from tests.database.inside import transaction_of

Plan = dict[str, Any]

BY_TIME = (SortBy.PUBLISHED_AT, SortBy.CREATED_AT)
VIEWERS = {"stranger": None, "author": an_actor(), "operator": an_actor(Role.OPERATOR)}
FILTERS: dict[str, dict[str, Any]] = {
    "none": {},
    "published": {"published": True},
    "drafts": {"published": False},
    "pages": {"type": Types.PAGE},
    "every type": {"type": Types.ALL},
}
TAGS = {"everywhere": "common", "rare": "t7", "nowhere": "nothing"}
PAGE = 20


async def explained(database: Database, asked: Asked | None) -> list[Plan]:
    """Every node of the plan of the page's statement, with what it did."""
    assert asked is not None
    async with database.reading() as reading:
        answer = await reading.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {asked.listing.page}", *asked.of_page())
    return list(nodes(json.loads(answer)[0]["Plan"]))


def nodes(plan: Plan) -> Iterator[Plan]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def walked(plan: list[Plan]) -> set[str]:
    """What is done until enough is found. What the page's few rows are joined to afterwards matters little."""
    return {node["Node Type"] for top in plan if top["Node Type"] == "Limit" for node in nodes(top)}


def read_whole(plan: list[Plan]) -> set[str]:
    """The tables that are read from end to end."""
    return {node["Relation Name"] for node in plan if node["Node Type"] == "Seq Scan"}


def rows_read(plan: list[Plan]) -> float:
    """Of posts, also those that no condition let pass."""
    scans = [node for node in plan if node["Node Type"].endswith("Scan") and node.get("Relation Name") == "posts"]
    return float(sum((n["Actual Rows"] + n.get("Rows Removed by Filter", 0)) * n["Actual Loops"] for n in scans))


async def positions(database: Database, query: PostQuery, viewer: Actor | None) -> list[PostQuery]:
    """The first page, the second by cursor, and the second by number; the first alone where there is no other."""
    shown = await SqlPages(database).posts(query, viewer=viewer)
    if shown.next_cursor is None:
        return [query]
    return [query, replace(query, after=shown.next_cursor), replace(query, page=2)]


@pytest.mark.parametrize("viewer", VIEWERS.values(), ids=VIEWERS)
@pytest.mark.parametrize("of_an_author", [False, True], ids=["", "of an author"])
@pytest.mark.parametrize("filters", FILTERS.values(), ids=FILTERS)
async def test_lists_by_time_are_walks_of_an_index_in_order(
    archive: Archive, filters: dict[str, Any], of_an_author: bool, viewer: Actor | None
) -> None:
    for sort_by in BY_TIME:
        for order in Order:
            query = PostQuery(
                sort_by=sort_by, order=order, author_id=archive.author_id if of_an_author else None, **filters
            )
            if asked_posts(query, viewer) is None:
                continue
            for position in await positions(archive.database, query, viewer):
                plan = await explained(archive.database, asked_posts(position, viewer))
                assert "Limit" in walked(plan)
                assert not walked(plan) & {"Sort", "Incremental Sort", "Bitmap Heap Scan"}
                assert "posts" not in read_whole(plan)


@pytest.mark.parametrize("viewer", VIEWERS.values(), ids=VIEWERS)
@pytest.mark.parametrize("tag", TAGS.values(), ids=TAGS)
async def test_lists_of_a_tag_never_read_all_posts(archive: Archive, tag: str, viewer: Actor | None) -> None:
    for sort_by in SortBy:
        for order in Order:
            query = PostQuery(sort_by=sort_by, order=order, tag=tag)
            for position in await positions(archive.database, query, viewer):
                plan = await explained(archive.database, asked_posts(position, viewer))
                assert "posts" not in read_whole(plan)
                assert rows_read(plan) < POSTS / 2


@pytest.mark.parametrize("viewer", VIEWERS.values(), ids=VIEWERS)
async def test_lists_by_views_walk_their_index_and_stop_when_the_page_is_full(
    archive: Archive, viewer: Actor | None
) -> None:
    for position in await positions(archive.database, PostQuery(sort_by=SortBy.VIEWS), viewer):
        plan = await explained(archive.database, asked_posts(position, viewer))
        assert "ix_post_views_views" in {node.get("Index Name") for node in plan}
        assert "posts" not in read_whole(plan)
        assert rows_read(plan) < 15 * PAGE


@pytest.mark.parametrize("sort_by", BY_TIME)
async def test_a_page_deep_in_the_list_costs_what_the_first_one_costs(archive: Archive, sort_by: SortBy) -> None:
    first = PostQuery(sort_by=sort_by)
    before = await SqlPages(archive.database).posts(replace(first, page=POSTS // 2 // PAGE), viewer=None)
    deep = replace(first, after=before.next_cursor)
    costs = [rows_read(await explained(archive.database, asked_posts(query, None))) for query in (first, deep)]
    assert costs[1] <= costs[0] + PAGE


@pytest.mark.parametrize("viewer", [None, an_actor(Role.OPERATOR)], ids=["stranger", "operator"])
async def test_lists_of_users_are_walks_of_an_index(archive: Archive, viewer: Actor | None) -> None:
    for role in (None, *Role):
        for active in (None, True):
            query = UserQuery(role=role, is_active=active, page_size=5)
            plan = await explained(archive.database, asked_users(query, viewer))
            assert "Limit" in walked(plan)
            assert not walked(plan) & {"Sort", "Incremental Sort"}
            assert "users" not in read_whole(plan)
    plan = await explained(archive.database, asked_addresses(UserQuery(page_size=5)))
    assert "users" not in read_whole(plan)


async def test_plans_are_kept_but_those_of_tags(archive: Archive) -> None:
    """A plan made anew takes longer than the reading itself; a kept one knows nothing of how common a tag is."""
    database = service_database(Settings.model_validate({"database_url": archive.url, "db_read_pool_size": 1}))
    pages = SqlPages(database)
    for _ in range(8):
        shown = await pages.posts(PostQuery(), viewer=None)
        await pages.posts(PostQuery(after=shown.next_cursor), viewer=None)
        await pages.posts(PostQuery(author_id=archive.author_id), viewer=None)
        await pages.posts(PostQuery(tag="common"), viewer=None)
        await pages.user(archive.author_id, include_posts=True, viewer=None)
    async with database.reading() as reading:
        rows = await reading.fetch("SELECT statement, generic_plans, custom_plans FROM pg_prepared_statements")
    await database.close()
    pages_read = [row for row in rows if "p.content" in row["statement"]]
    others = [row for row in pages_read if "tags @>" not in row["statement"]]
    of_tags = [row for row in pages_read if "tags @>" in row["statement"]]
    assert len(others) == 4
    assert all(row["generic_plans"] > 0 for row in others)
    assert all((row["generic_plans"], row["custom_plans"]) == (0, 1) for row in of_tags)


async def test_what_an_import_looks_up_is_found_by_index(archive: Archive) -> None:
    """Also with a plan that is kept, which knows not how much is asked for."""
    slugs = [f"post-{number}" for number in range(0, 2 * POSTS, 100)]
    names = [f"user{number}" for number in range(0, 2 * USERS, 100)]
    asked: list[tuple[str, list[object]]] = [
        (_BY_SLUG, ["\n".join(slugs)]),
        (_BY_EXTERNAL_ID, ["blog", "\n".join(slugs)]),
        (_BY_SOURCE_AND_EXTERNAL_ID, [slugs, slugs]),
        (_BY_LOGIN, [names, [f"{name}@example.com" for name in names]]),
    ]
    async with archive.database.reading() as reading:
        for mode in ("force_custom_plan", "force_generic_plan"):
            await reading.fetchval("SELECT set_config('plan_cache_mode', $1, false)", mode)
            for statement, values in asked:
                answer = await reading.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", *values)
                assert read_whole(list(nodes(json.loads(answer)[0]["Plan"]))) == set()
        await reading.fetchval("SELECT set_config('plan_cache_mode', 'auto', false)")


async def test_imports_plan_anew(archive: Archive) -> None:
    """A plan that was made while a table was small, and kept, would read all of it once it has grown."""
    database = import_database(Settings.model_validate({"database_url": archive.url, "db_import_pool_size": 1}))
    slugs = [f"post-{number}" for number in range(500)]
    async with database.begin() as work:
        for _ in range(8):
            await work.posts.stored_by_slug(slugs)
        kept = "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement = $1"
        plans = await transaction_of(work).fetch(kept, _BY_SLUG)
    await database.close()
    assert [tuple(row) for row in plans] == [(0, 8)]
