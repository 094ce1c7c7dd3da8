"""What is made once: a job under one Idempotency-Key, also by two requests at once, and the id of a row."""

import asyncio
from itertools import pairwise
from uuid import RFC_4122

import pytest
from hypothesis import given
from hypothesis import strategies as st

from application.importing.rows import RowIds
from application.imports import NewImport, Started, StartImport
from application.ports.formats import ReadLimits
from domain.actors import Role
from domain.errors import IdempotencyKeyReused
from domain.import_options import ImportKind, ImportOptions
from domain.users import User
from infrastructure.formats.readers import FormatReaders
from infrastructure.memory.queue import MemoryQueue
from tests.builders import NOON, a_job
from tests.imports.places import Place, whole
from tests.imports.test_posts import lines, titled


@pytest.fixture
async def operator(place: Place) -> User:
    return await place.add_user("operator", role=Role.OPERATOR)


async def started(place: Place, operator: User, content: bytes, *, key: str | None) -> Started:
    start = StartImport(
        place.begin,
        place.blobs,
        FormatReaders(),
        MemoryQueue(),
        place.clock,
        place.ids,
        ReadLimits(max_row_bytes=1_000),
    )
    blob = await place.blobs.write(f"imports/{place.ids.next()}", whole(content), limit=len(content))
    request = NewImport(blob, ImportOptions(ImportKind.POSTS), file_name="a.ndjson", idempotency_key=key)
    return await start(request, actor=operator.actor)


async def test_two_requests_at_once_make_one_job(place: Place, operator: User) -> None:
    file = lines(titled("T"))
    one, other = await asyncio.gather(*(started(place, operator, file, key="k") for _ in range(2)))
    assert one.job == other.job
    assert {one.is_replay, other.is_replay} == {True, False}
    # The file of the one that came second is gone.
    assert (await place.run_import()(one.job.id)).tally.created == 1


async def test_a_repeated_request_gets_the_job_as_it_is_by_then(place: Place, operator: User) -> None:
    file = lines(titled("T"))
    first = await started(place, operator, file, key="k")
    done = await place.run_import()(first.job.id)
    again = await started(place, operator, file, key="k")
    assert (again.is_replay, again.job) == (True, done)


async def test_another_file_under_the_same_key_is_refused(place: Place, operator: User) -> None:
    await started(place, operator, lines(titled("T")), key="k")
    with pytest.raises(IdempotencyKeyReused):
        await started(place, operator, lines(titled("Other")), key="k")


async def test_without_a_key_each_request_makes_a_job(place: Place, operator: User) -> None:
    one, other = [await started(place, operator, lines(titled("T")), key=None) for _ in range(2)]
    assert one.job.id != other.job.id


@given(st.sets(st.integers(1, 2**42 - 1), min_size=2, max_size=50).map(sorted))
def test_ids_of_rows_are_uuids_that_rise_with_their_places(places: list[int]) -> None:
    job = a_job()
    ids = [RowIds(job)(place) for place in places]
    assert ids == [RowIds(job)(place) for place in places]
    assert all(one < other for one, other in pairwise(ids))
    assert {(each.version, each.variant) for each in ids} == {(7, RFC_4122)}
    assert {each.int >> 80 for each in ids} == {int(NOON.timestamp() * 1000)}
    assert str(ids[0]) == str(type(ids[0])(int=ids[0].int))


@given(st.integers(1, 2**31), st.lists(st.integers(1, 10_000), min_size=1, max_size=50, unique=True))
def test_the_last_digits_of_a_rows_id_are_no_other_rows(first: int, steps: list[int]) -> None:
    ids = RowIds(a_job())
    ends = {ids(first + step).hex[-13:] for step in steps}
    assert len(ends) == len(steps)
