"""Imports beside other writers: those who come between its look and its writing, and rows that the database refuses."""

import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from application.importing.writing import Writing
from application.ports.formats import PostRow
from domain.errors import SlugTaken
from domain.import_options import ImportKind
from domain.imports import ImportJob, Tally
from tests.builders import a_post
from tests.imports.faults import Disturbed
from tests.imports.places import Place
from tests.imports.readings import Given
from tests.imports.test_posts import lines, titled
from tests.imports.test_users import named


def adding(place: Place, **values: Any) -> Callable[[], Awaitable[None]]:
    async def step() -> None:
        async with place.begin() as work:
            author = (await work.users.stored_by_login({"bob"}))["bob"].id
            await work.posts.add(a_post("Quicker", author=author, **values))
            await work.commit()

    return step


async def test_a_slug_that_is_taken_meanwhile_gives_way_to_the_next(place: Place) -> None:
    job = await place.upload(lines(titled("Hello"), titled("Other")))
    quicker = Disturbed(place.begin).before("add_many", adding(place, slug="hello"))
    assert (await place.run_import(begin=quicker)(job.id)).tally == Tally(created=2)
    assert {(post.slug, post.title) for post in await place.posts()} == {
        ("hello", "Quicker"),
        ("hello-2", "Hello"),
        ("other", "Other"),
    }


@pytest.mark.parametrize(
    ("row", "same"),
    [
        (titled("Hello", slug="named"), {"slug": "named"}),
        (titled("Hello", source="old", external_id="1"), {"slug": "else", "source": "old", "external_id": "1"}),
    ],
)
async def test_a_row_that_another_brings_meanwhile_is_skipped(
    place: Place, row: dict[str, object], same: dict[str, str]
) -> None:
    job = await place.upload(lines(row, titled("Other")))
    quicker = Disturbed(place.begin).before("add_many", adding(place, **same))
    assert (await place.run_import(begin=quicker)(job.id)).tally == Tally(created=1, skipped=1)


async def test_what_was_planned_after_a_row_that_another_brought_is_planned_anew(place: Place) -> None:
    row = titled("Hello", source="old", external_id="1")
    job = await place.upload(lines(row, titled("Other"), row, titled("More")))
    quicker = Disturbed(place.begin).before("add_many", adding(place, slug="else", source="old", external_id="1"))
    assert (await place.run_import(begin=quicker, chunk_rows=2)(job.id)).tally == Tally(created=2, skipped=2)


@pytest.mark.parametrize("read", ["before it is refused", "before it is tried again", "once it has failed"])
async def test_a_key_of_a_row_that_is_refused_in_the_end_is_the_next_ones(
    place: Place, read: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the next chunk was told that it would be made, whenever that was read."""
    rows = [
        PostRow("First", "ann"),
        PostRow("Refused", "ann", slug="taken", source="old", external_id="1"),
        PostRow("Made", "ann", source="old", external_id="1"),
    ]
    come = threading.Event()

    def wait(number: int) -> None:
        assert number < len(rows) or come.wait(10)

    async def let_it_come() -> None:
        come.set()

    def tell(job: ImportJob) -> None:
        if job.tally.failed:
            come.set()

    if read == "before it is refused":
        come.set()
    quicker = Disturbed(place.begin).before("add_many", adding(place, slug="taken"), number=2)
    if read == "before it is tried again":
        quicker.before("hold", let_it_come, number=3)
    job = await place.upload(b"123")
    with ThreadPoolExecutor(2) as threads:
        monkeypatch.setattr("application.importing.runs.Writing", partial(Writing, thread=threads))
        run = replace(place.run_import(begin=quicker, chunk_rows=1), formats=Given(rows, wait))
        assert (await run(job.id, tell)).tally == Tally(created=2, failed=1)


async def test_rows_of_an_author_who_is_deleted_meanwhile_fail(place: Place) -> None:
    job = await place.upload(lines(titled("Hello"), titled("Other") | {"author": "bob"}))

    async def bob_leaves() -> None:
        async with place.begin() as work:
            bob = (await work.users.stored_by_login({"bob"}))["bob"].id
            await work.accounts.delete_of(bob)
            await work.users.delete(bob)
            await work.commit()

    run = place.run_import(begin=Disturbed(place.begin).before("add_many", bob_leaves))
    assert (await run(job.id)).tally == Tally(created=1, failed=1)
    assert await place.refusals(job.id) == [(2, "author", "unknown_author")]


async def test_what_stands_in_the_way_within_a_chunk_is_seen_before_it_is_written(place: Place) -> None:
    rows = [
        *[titled("Hello")] * 12,
        titled("Hello 2"),
        titled("Named", slug="hello-3"),
        titled("Named", slug="world"),
        titled("Again", slug="world"),
        titled("A", external_id="1"),
        titled("B", external_id="1"),
    ]
    posts = await place.upload(lines(*rows))
    users = await place.upload(lines(named("cleo"), named("CLEO"), named("dora")), kind=ImportKind.USERS)
    for job in (posts, users):
        watched = Disturbed(place.begin)
        await place.run_import(begin=watched, chunk_rows=100)(job.id)
        assert watched.calls.count("add_many") == 1
    assert [(await place.job(job.id)).tally.failed for job in (posts, users)] == [3, 1]


class Refusing(Disturbed):
    """As a database would that has a rule which nobody told the domain."""

    async def call(self, name: str, method: Callable[..., Awaitable[Any]], *args: Any, **options: Any) -> Any:
        if name == "add_many" and any("poison" in post.title for post in args[0].posts):
            self.calls.append("refused")
            raise SlugTaken
        return await super().call(name, method, *args, **options)


@pytest.mark.parametrize("poisoned", [{0}, {31}, {13, 14}, set(range(32))])
async def test_rows_that_the_database_refuses_fail_alone(place: Place, poisoned: set[int]) -> None:
    rows = [titled(f"{'poison' if number in poisoned else 'Good'} {number}") for number in range(32)]
    rows[5] = {"title": "", "author": "ann"}
    poisoned = poisoned - {5}
    job = await place.upload(lines(*rows))
    refusing = Refusing(place.begin)
    job = await place.run_import(begin=refusing, chunk_rows=100)(job.id)
    assert job.tally == Tally(created=31 - len(poisoned), failed=1 + len(poisoned))
    assert sorted(await place.refusals(job.id)) == sorted(
        [(6, "title", "too_short"), *((number + 1, None, "refused") for number in poisoned)]
    )
    assert len(await place.posts()) == job.tally.created
    if len(poisoned) == 1:
        assert refusing.calls.count("refused") <= 4 * 6
