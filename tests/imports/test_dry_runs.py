"""A dry run tells what the real one would, and changes nothing."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Unavailable
from domain.import_options import ImportKind, OnConflict
from domain.imports import ImportJob, ImportState, RowError, Tally
from tests.builders import NOON, CountingIds
from tests.imports.faults import Crash, Disturbed, raising
from tests.imports.places import LEASE, MemoryPlace, Place, StoredPost, StoredUser
from tests.imports.test_posts import lines, titled
from tests.imports.test_users import PASSWORD, named

Report = tuple[ImportState, Tally, dict[str, int], list[RowError]]

TITLES = ["Hello", "Hello 2", "World", ""]
SLUGS = [None, None, None, "hello", "hello-2", "hello-3", "world", "else"]
AUTHORS = [None, "ann", "cleo", "cleo@example.org", "cleo@other.example", "cleo-2", "Cleo C", "?!"]


def row(title: str, slug: str | None, external_id: str | None, author: str | None, **values: object) -> dict[str, Any]:
    source = "old" if external_id in ("1", "2") else None
    return {"title": title, "slug": slug, "external_id": external_id, "source": source, "author": author, **values}


ROWS = st.builds(
    row,
    st.sampled_from(TITLES),
    st.sampled_from(SLUGS),
    st.sampled_from([None, None, "1", "2", "3"]),
    st.sampled_from(AUTHORS),
    content=st.sampled_from([None, "New"]),
    views=st.sampled_from([None, None, None, -1]),
)


@dataclass(frozen=True)
class Case:
    before: list[dict[str, Any]]
    rows: list[dict[str, Any]]
    on_conflict: OnConflict
    create_authors: bool
    has_default: bool


CASES = st.builds(
    Case,
    st.lists(ROWS, max_size=4),
    st.lists(ROWS, min_size=1, max_size=12),
    st.sampled_from(OnConflict),
    st.booleans(),
    st.booleans(),
)


async def report(place: Place, job: ImportJob) -> Report:
    job = await place.job(job.id)
    assert sum(job.tally.reasons.values()) == job.tally.skipped
    return job.state, job.tally, dict(job.tally.reasons), await place.errors(job.id)


async def settled(case: Case) -> tuple[MemoryPlace, dict[str, Any]]:
    """With what was here before; each time the same, ids too."""
    place = MemoryPlace()
    place.ids = CountingIds()
    for name in ("ann", "bob"):
        await place.add_user(name)
    await place.imported(lines(*case.before), create_authors=True)
    default = await place.user_id("bob") if case.has_default else None
    return place, {
        "on_conflict": case.on_conflict,
        "create_authors": case.create_authors,
        "default_author": default,
    }


async def real(case: Case, chunk_rows: int) -> tuple[Report, list[StoredPost], list[StoredUser]]:
    place, options = await settled(case)
    job = await place.imported(lines(*case.rows), chunk_rows=chunk_rows, **options)
    return await report(place, job), await place.posts(), await place.users()


async def dry(case: Case, chunk_rows: int, dies_at: int | None) -> Report:
    place, options = await settled(case)
    before = await place.everything()
    job = await place.upload(lines(*case.rows), dry_run=True, **options)
    if dies_at is not None:
        dying = Disturbed(place.begin).after("commit", raising(Crash()), number=dies_at)
        try:
            await place.run_import(begin=dying, chunk_rows=chunk_rows)(job.id)
        except Crash:
            place.clock.advance(LEASE)
    if not (await place.job(job.id)).is_finished:
        await place.run_import(chunk_rows=chunk_rows)(job.id)
    assert await place.everything() == before
    return await report(place, job)


@given(case=CASES, chunk_rows=st.integers(1, 5), dies_at=st.none() | st.integers(1, 5))
def test_whatever_the_archive_the_report_is_that_of_the_real_run(
    case: Case, chunk_rows: int, dies_at: int | None
) -> None:
    async def both() -> tuple[Report, Report]:
        return await dry(case, chunk_rows, dies_at), (await real(case, chunk_rows))[0]

    told, came = asyncio.run(both())
    assert told == came


@given(case=CASES, chunk_rows=st.integers(1, 5))
def test_whatever_the_archive_where_chunks_end_does_not_matter(case: Case, chunk_rows: int) -> None:
    async def both() -> tuple[object, object]:
        return await real(case, chunk_rows), await real(case, 100)

    in_pieces, at_once = asyncio.run(both())
    assert in_pieces == at_once


async def compared(place: Place, file: bytes, *, chunk_rows: int = 7, **options: Any) -> tuple[Report, Report]:
    """What a dry run tells, and what becomes of the real one after it."""
    before = await place.everything()
    told = await report(place, await place.imported(file, dry_run=True, chunk_rows=chunk_rows, **options))
    assert await place.everything() == before
    came = await report(place, await place.imported(file, chunk_rows=chunk_rows, **options))
    return told, came


@pytest.mark.parametrize("chunk_rows", [2, 100])
@pytest.mark.parametrize("on_conflict", OnConflict)
async def test_duplicates_slugs_and_authors_across_chunks_are_told(
    place: Place, on_conflict: OnConflict, chunk_rows: int
) -> None:
    await place.imported(lines(titled("Here", slug="here"), titled("Here", source="old", external_id="1")))
    rows = [
        titled("Hello"),
        titled("Hello"),
        titled("Named", slug="hello-2"),
        titled("Named", slug="hello-9"),
        titled("New", slug="here") | {"author": "cleo@example.org"},
        titled("New", slug="moved", source="old", external_id="1") | {"author": "cleo"},
        titled("New", slug="moved"),
        titled("New", source="old", external_id="2") | {"author": "dora"},
        titled("New", source="old", external_id="2") | {"author": "emma"},
        titled("Hello") | {"author": "dora"},
        titled("New", slug="hello-3"),
        titled("", content="x"),
        titled("Again", slug="here"),
        titled("Again", source="old", external_id="1"),
    ]
    told, came = await compared(
        place, lines(*rows), chunk_rows=chunk_rows, on_conflict=on_conflict, create_authors=True
    )
    assert told == came
    assert came[1].failed >= 4


async def test_a_slug_that_the_chunk_before_took_is_told(place: Place) -> None:
    rows = [titled("Hello 2"), titled("Hello"), titled("Hello"), titled("Named", slug="hello-3")]
    told, came = await compared(place, lines(*rows), chunk_rows=1)
    assert told == came
    assert came[1] == Tally(created=3, failed=1)


@pytest.mark.parametrize("on_conflict", OnConflict)
async def test_of_users_the_same_is_told(place: Place, on_conflict: OnConflict) -> None:
    rows = [
        named("ann", bio="New"),
        named("cleo", password=PASSWORD),
        *[named(f"user-{number}") for number in range(8)],
        named("CLEO", bio="Again"),
        named("ann", bio="Again"),
        named("dora", email="cleo@example.org"),
        named("no name"),
    ]
    told, came = await compared(place, lines(*rows), kind=ImportKind.USERS, on_conflict=on_conflict)
    assert told == came
    assert came[1].created == 9


async def test_a_dry_run_that_was_cancelled_goes_on_to_the_same_report(place: Place) -> None:
    rows = [titled("Hello", source="old", external_id=str(number % 10)) | {"author": "cleo"} for number in range(30)]
    before = await place.everything()
    job = await place.upload(lines(*rows), dry_run=True, create_authors=True)

    async def somebody_cancels() -> None:
        await place.change(job.id, lambda job: job.cancelled(at=NOON))

    begin = Disturbed(place.begin).before("hold", somebody_cancels, number=2)
    assert (await place.run_import(begin=begin)(job.id)).state is ImportState.CANCELLED
    assert await place.everything() == before
    await place.change(job.id, lambda job: job.resumed())
    told = await report(place, await place.run_import()(job.id))
    assert await place.everything() == before
    came = await report(place, await place.imported(lines(*rows), create_authors=True))
    assert told == came
    assert came[1] == Tally(created=10, failed=20, authors_created=1)


@pytest.mark.parametrize("options", [{"dry_run": True}, {"on_conflict": OnConflict.UPDATE}], ids=["dry", "update"])
async def test_lost_answers_to_commits_count_nothing_twice(place: Place, options: dict[str, Any]) -> None:
    await place.imported(lines(*(titled("Here", source="old", external_id=str(number)) for number in range(10))))
    rows = [titled("New", source="old", external_id=str(number % 15)) for number in range(20)]
    before = await place.everything()
    left = []
    for number in (None, 2, 3, 4):
        job = await place.upload(lines(*rows), **options)
        begin = Disturbed(place.begin)
        if number is not None:
            begin.after("commit", raising(Unavailable("The database")), number=number)
        left.append(await report(place, await place.run_import(begin=begin)(job.id)))
        if "dry_run" in options:
            assert await place.everything() == before
    if "dry_run" not in options:
        # Those that the first one made and changed are here when the second one comes.
        assert left[0][1] == Tally(created=5, updated=10, failed=5)
        assert left[1][1] == Tally(unchanged=15, failed=5)
        left = left[1:]
    assert all(each == left[0] for each in left)


async def test_a_dry_run_fails_where_the_real_one_would(place: Place) -> None:
    rows = [titled("" if number % 2 else "T") for number in range(30)]
    told, came = await compared(place, lines(*rows), max_errors=5)
    assert told == came
    assert came[0] is ImportState.FAILED
