"""No public page is stale after an import: whatever it changes for strangers depends on a tag that a chunk forgot."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from application.caching.tags import ALL, POSTS, TOTALS, USERS, by_author_tag, tagged_tag
from domain.import_options import ImportKind, OnConflict, Publish
from domain.imports import ImportJob
from infrastructure.memory.store import MemoryStore
from tests.builders import SECOND
from tests.caching.recording import Recording
from tests.caching.shown import Shown, keys_of, shown
from tests.imports.places import MemoryPlace
from tests.imports.test_posts import lines, titled

TAGS = ("red", "blue")
LINES = (
    titled("One", source="s", external_id="1", tags=["red"], status="published"),
    titled("Two", source="s", external_id="2", slug="two", author="bob", status="published"),
    titled("Three", source="s", external_id="3", author="bob"),
    titled("Four", slug="four", tags=["blue"], author="cat", type="page", status="published"),
)
USERS_FILE = (
    {"username": "ann", "email": "ann@example.com", "display_name": "Ann"},
    {"username": "bob", "email": "bob@example.com"},
)

Row = dict[str, Any]


class Place(MemoryPlace):
    """With users and posts that archives of before have brought."""

    async def open(self) -> None:
        self.recording = Recording(clock=self.clock)
        self.store = MemoryStore(self.recording.forgetting)
        await self.load(ImportKind.USERS, USERS_FILE)
        await self.load(ImportKind.POSTS, LINES, create_authors=True)

    async def load(self, kind: ImportKind, rows: Any, **options: Any) -> ImportJob:
        self.clock.advance(SECOND)
        return await self.imported(lines(*rows), kind=kind, chunk_rows=2, **options)

    async def loaded(self, kind: ImportKind, rows: Any, **options: Any) -> tuple[Shown, Shown, frozenset[str]]:
        """What is shown before and after it, and what it forgot; nothing of the former is stale."""
        keys = keys_of(self.store, TAGS)
        before = await shown(self.store, keys)
        self.recording.cache.taken()
        await self.load(kind, rows, **options)
        after, forgotten = await shown(self.store, keys), self.recording.cache.taken()
        assert before.stale_after(after, forgotten) == []
        return before, after, forgotten


def _some(**values: st.SearchStrategy[Any]) -> st.SearchStrategy[Row]:
    return st.fixed_dictionaries({}, optional=values)


KNOWN = st.sampled_from(({"source": "s", "external_id": "1"}, {"source": "s", "external_id": "2"}, {"slug": "four"}))
NEW = st.sampled_from(({"source": "s", "external_id": "9"}, {"slug": "nine"}, {}))
POSTS_ROWS = st.builds(
    lambda identity, title, values: {**values, **identity, "title": title},
    KNOWN | KNOWN | NEW | st.just({"source": "s", "external_id": "3"}),
    st.sampled_from(("One", "Two", "Another")),
    _some(
        author=st.sampled_from(("ann", "bob", "dan")),
        tags=st.lists(st.sampled_from(TAGS), max_size=2, unique=True),
        status=st.sampled_from(("draft", "published")),
        slug=st.sampled_from(("two", "other")),
        type=st.sampled_from(("post", "page")),
        content=st.just("Other words."),
        views=st.just(7),
        published_at=st.just("2020-01-01T00:00:00Z"),
    ),
)
USER_ROWS = st.builds(
    lambda name, values: {"username": name, "email": f"{name}@example.com", **values},
    st.sampled_from(("ann", "bob", "dan")),
    _some(
        display_name=st.sampled_from(("Ann", "Another")),
        bio=st.just("Writes."),
        website=st.just("https://example.com"),
    ),
)


@given(st.lists(POSTS_ROWS, min_size=1, max_size=5), st.sampled_from(Publish), st.sampled_from(OnConflict))
async def test_whatever_posts_an_import_changes_for_strangers_is_forgotten(
    rows: list[Row], publish: Publish, on_conflict: OnConflict
) -> None:
    place = Place()
    await place.open()
    author = await place.user_id("bob")
    await place.loaded(
        ImportKind.POSTS,
        rows,
        publish=publish,
        on_conflict=on_conflict,
        create_authors=True,
        default_author=author,
    )


@given(st.lists(USER_ROWS, min_size=1, max_size=4))
async def test_whatever_users_an_import_changes_for_strangers_is_forgotten(rows: list[Row]) -> None:
    place = Place()
    await place.open()
    await place.loaded(ImportKind.USERS, rows, on_conflict=OnConflict.UPDATE)


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        (ImportKind.POSTS, titled("New", author="eve", status="published")),
        (ImportKind.POSTS, titled("Changed", source="s", external_id="1")),
        (ImportKind.POSTS, titled("One", source="s", external_id="1", slug="moved")),
        (ImportKind.POSTS, titled("One", source="s", external_id="1", author="bob")),
        (ImportKind.POSTS, titled("One", source="s", external_id="1", status="draft")),
        (ImportKind.POSTS, titled("Three", source="s", external_id="3", status="published")),
        (ImportKind.USERS, {"username": "eve", "email": "eve@example.com"}),
        (ImportKind.USERS, {"username": "ann", "email": "ann@example.com", "bio": "Writes."}),
        (ImportKind.USERS, {"username": "ann", "email": "ann@example.com", "display_name": "Another"}),
    ],
    ids=json.dumps,
)
async def test_each_change_by_a_row_is_seen_and_forgotten_and_a_dry_run_forgets_nothing(
    kind: ImportKind, row: Row
) -> None:
    place = Place()
    await place.open()
    options = {"on_conflict": OnConflict.UPDATE, "create_authors": kind is ImportKind.POSTS}
    before, after, forgotten = await place.loaded(kind, [row], dry_run=True, **options)
    assert (before, forgotten) == (after, frozenset())
    before, after, forgotten = await place.loaded(kind, [row], **options)
    assert before.pages != after.pages


async def test_new_posts_forget_the_lists_that_they_are_in_and_no_more_and_drafts_nothing() -> None:
    place = Place()
    await place.open()
    ann = await place.user_id("ann")
    rows = [titled("New", tags=["red"], status="published"), titled("Hidden", author="bob", tags=["blue"])]
    *_, forgotten = await place.loaded(ImportKind.POSTS, rows)
    assert forgotten == {POSTS, TOTALS, by_author_tag(ann), tagged_tag("red")}
    *_, forgotten = await place.loaded(ImportKind.POSTS, [titled("Also hidden")])
    assert forgotten == frozenset()


async def test_new_users_forget_the_lists_of_users_alone() -> None:
    place = Place()
    await place.open()
    *_, forgotten = await place.loaded(ImportKind.USERS, [{"username": "eve", "email": "eve@example.com"}])
    assert forgotten == {USERS}


async def test_each_chunk_forgets_once_and_many_tags_are_all() -> None:
    place = Place()
    await place.open()
    rows = [titled(f"Post {number}", tags=[f"tag {number}"], status="published") for number in range(1_200)]
    place.recording.cache.taken()
    await place.imported(lines(*rows), chunk_rows=600)
    assert place.recording.cache.forgotten == [{ALL}, {ALL}]
