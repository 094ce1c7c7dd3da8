"""After a worker died in the attempt at a chunk, it is halved until a row is alone, and one that was alone at three of
these deaths is passed over. Deaths before an attempt only tell, if there are very many, that it never comes to one."""

from dataclasses import replace
from math import log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.imports import ALONE_MAX, DEATHS_MAX, Caution


def died(caution: Caution, chunk_rows: int = 2_000) -> Caution:
    """In the attempt."""
    return caution.begun().after_death(chunk_rows)


def test_each_death_in_an_attempt_halves_the_chunk_until_a_row_is_alone() -> None:
    caution = Caution().after_death(2_000)
    cautions = [caution]
    for _ in range(5):
        caution = died(caution)
        cautions.append(caution)
    sizes = [(1000, 2000), (500, 1000), (250, 500), (125, 250), (62, 125), (31, 62)]
    assert cautions == [Caution(chunk_rows, rows) for chunk_rows, rows in sizes]


def test_deaths_in_the_attempt_are_counted_from_where_the_row_was_alone() -> None:
    caution = died(Caution(chunk_rows=2, rows=4))
    assert caution == Caution(chunk_rows=1, rows=2, deaths=0)
    for deaths in range(1, DEATHS_MAX + 1):
        assert caution.is_quarantine == (deaths > ALONE_MAX)
        assert not caution.is_hopeless
        caution = died(caution)
        assert caution == Caution(chunk_rows=1, rows=1, deaths=deaths)
    assert caution.is_hopeless


@pytest.mark.parametrize("caution", [Caution(500, 1_000), Caution(1, 2), Caution(1, 1, ALONE_MAX - 1)])
def test_a_death_before_the_attempt_blames_no_row(caution: Caution) -> None:
    for early_deaths in range(1, DEATHS_MAX + 1):
        assert not caution.is_hopeless
        blamed = caution
        caution = caution.after_death(2_000)
        assert caution == Caution(blamed.chunk_rows, blamed.rows, blamed.deaths, False, early_deaths)
        assert not caution.is_quarantine
    assert caution.is_hopeless


def test_a_death_between_two_attempts_at_a_row_blames_it_no_more_than_one_before_them() -> None:
    caution = Caution(1, 2, deaths=1).begun().paused()
    assert caution == Caution(1, 2, deaths=1)
    assert caution.after_death(2_000) == Caution(1, 2, deaths=1, early_deaths=1)


def test_early_deaths_are_counted_up_to_a_commit_or_a_death_that_counts() -> None:
    """And not to a mark: whoever dies of looking up what a row meets with has begun to judge it before."""
    caution = Caution(1, 2, deaths=1, early_deaths=98)
    assert caution.begun().paused().after_death(2_000) == replace(caution, early_deaths=99)
    assert caution.begun().after(1) == Caution(1, 1)
    assert died(caution) == Caution(1, 1, deaths=2)


def test_a_worker_that_gives_the_row_back_did_not_die_of_it() -> None:
    caution = Caution(1, 1, deaths=2).begun().paused()
    assert caution == Caution(1, 1, deaths=2)
    assert not caution.after_death(2_000).is_quarantine


def test_care_lasts_for_the_rows_of_the_chunk_that_somebody_died_on() -> None:
    caution = Caution().after_death(2_000).begun().after(1_000)
    assert caution == Caution(chunk_rows=1_000, rows=1_000)
    assert caution.begun().after(1_000) == caution.after(1_001) == Caution()


def test_a_row_that_came_in_ends_the_count_of_deaths_and_nothing_that_was_done_does_not() -> None:
    alone = Caution(chunk_rows=1, rows=4, deaths=2)
    assert alone.begun().after(1) == Caution(chunk_rows=1, rows=3)
    assert alone.begun().after(0) == alone


def test_a_job_that_is_taken_one_row_at_a_time_anyway_counts_from_the_first_mark() -> None:
    caution = Caution().after_death(1)
    assert caution == Caution(chunk_rows=1, rows=1)
    assert died(caution, 1) == Caution(chunk_rows=1, rows=1, deaths=1)


@given(chunk=st.integers(1, 5_000), data=st.data())
def test_any_row_is_found_by_halves(chunk: int, data: st.DataObject) -> None:
    """As workers go about it, which die whenever the row is in their chunk, and now and then for another reason."""
    poison = data.draw(st.integers(0, chunk - 1))
    early = data.draw(st.lists(st.booleans(), max_size=40))
    caution, at, deaths = Caution(), 0, 0
    while not caution.is_quarantine:
        size = caution.chunk_rows or chunk
        if caution.chunk_rows and early and early.pop():
            caution = caution.after_death(chunk)
        elif at <= poison < at + size:
            caution = (caution.begun() if caution.chunk_rows else caution).after_death(chunk)
            deaths += 1
        else:
            at += size
            caution = caution.begun().after(size)
    assert at == poison
    assert deaths <= log2(chunk) + 1 + ALONE_MAX


@pytest.mark.parametrize("deaths", [0, ALONE_MAX - 1])
def test_few_deaths_quarantine_nothing(deaths: int) -> None:
    assert not Caution(chunk_rows=1, rows=1, deaths=deaths).is_quarantine
