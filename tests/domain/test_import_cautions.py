"""After a worker died: the chunk is halved until a row is alone, and one that was alone three times is passed over."""

from math import log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.imports import ALONE_MAX, DEATHS_MAX, Caution


def test_each_death_halves_the_chunk_until_a_row_is_alone() -> None:
    caution = Caution()
    sizes = []
    for _ in range(6):
        caution = caution.after_death(2_000)
        sizes.append((caution.chunk_rows, caution.rows, caution.deaths))
    assert sizes == [(1000, 2000, 0), (500, 1000, 0), (250, 500, 0), (125, 250, 0), (62, 125, 0), (31, 62, 0)]


def test_deaths_are_counted_from_where_the_row_was_alone() -> None:
    caution = Caution(chunk_rows=2, rows=4).after_death(2_000)
    assert caution == Caution(chunk_rows=1, rows=2, deaths=0)
    for deaths in range(1, DEATHS_MAX + 1):
        assert caution.is_quarantine == (deaths > ALONE_MAX)
        assert not caution.is_hopeless
        caution = caution.after_death(2_000)
        assert caution == Caution(chunk_rows=1, rows=1, deaths=deaths)
    assert caution.is_hopeless


def test_care_lasts_for_the_rows_of_the_chunk_that_somebody_died_on() -> None:
    caution = Caution().after_death(2_000).after(1_000)
    assert caution == Caution(chunk_rows=1_000, rows=1_000)
    assert caution.after(1_000) == caution.after(1_001) == Caution()


def test_a_row_that_came_in_ends_the_count_of_deaths_and_nothing_that_was_done_does_not() -> None:
    alone = Caution(chunk_rows=1, rows=4, deaths=2)
    assert alone.after(1) == Caution(chunk_rows=1, rows=3)
    assert alone.after(0) == alone


def test_a_job_that_is_taken_one_row_at_a_time_anyway_counts_from_the_first_death() -> None:
    assert Caution().after_death(1) == Caution(chunk_rows=1, rows=1, deaths=1)


@given(chunk=st.integers(1, 5_000), data=st.data())
def test_any_row_is_found_by_halves(chunk: int, data: st.DataObject) -> None:
    """As a worker goes about it, which dies whenever the row is in its chunk."""
    poison = data.draw(st.integers(0, chunk - 1))
    caution, at, deaths = Caution(), 0, 0
    while not caution.is_quarantine:
        size = caution.chunk_rows or chunk
        if at <= poison < at + size:
            caution = caution.after_death(chunk)
            deaths += 1
        else:
            at += size
            caution = caution.after(size)
    assert at == poison
    assert deaths <= log2(chunk) + 1 + ALONE_MAX


@pytest.mark.parametrize("deaths", [0, ALONE_MAX - 1])
def test_few_deaths_quarantine_nothing(deaths: int) -> None:
    assert not Caution(chunk_rows=1, rows=1, deaths=deaths).is_quarantine
