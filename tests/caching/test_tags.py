"""No public page is stale after a write: whatever it changes for strangers depends on a tag that it forgot."""

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from application.caching.tags import (
    ALL,
    MANY,
    POSTS,
    TOTALS,
    at_most_many,
    by_author_tag,
    of_post_change,
    post_tag,
    slug_tag,
    tagged_tag,
)
from domain.errors import BylineError
from domain.posts import PostStatus, Slug
from tests.builders import SECOND, a_post, a_writing
from tests.caching.shown import Shown, keys_of, shown
from tests.caching.steps import EACH_ALONE, STEPS, TAGS, Site, Step


@pytest.mark.parametrize("step", EACH_ALONE, ids=str)
async def test_each_change_is_seen_and_what_it_changes_for_strangers_is_forgotten(step: Step) -> None:
    site = Site()
    await site.open()
    before, after = await taken(step, site)
    assert before.pages != after.pages
    await site.house.close()


@given(st.lists(STEPS, min_size=1, max_size=6))
async def test_whatever_a_use_case_changes_for_strangers_is_forgotten_by_it(steps: list[Step]) -> None:
    site = Site()
    await site.open()
    for step in steps:
        with suppress(BylineError):
            await taken(step, site)
    await site.house.close()


async def taken(step: Step, site: Site) -> tuple[Shown, Shown]:
    """What is shown before and after it; none of the former is stale, whatever the step raises."""
    site.recording.clock.advance(SECOND)
    await step.prepare(site)
    keys = keys_of(site.store, TAGS)
    before = await shown(site.store, keys)
    site.recording.cache.taken()
    try:
        await step(site)
    finally:
        after = await shown(site.store, keys)
        assert before.stale_after(after, site.recording.cache.taken()) == [], step
    return before, after


def test_what_nobody_else_sees_is_nothing_to_forget() -> None:
    draft = a_post()
    assert of_post_change(None, draft) == frozenset()
    assert of_post_change(draft, replace(draft, writing=a_writing("Another"), version=2)) == frozenset()
    assert of_post_change(draft, None) == frozenset()


def test_a_post_that_changes_where_it_is_forgets_no_totals() -> None:
    post = a_post(slug="old", writing=a_writing(tags=("red",)), status=PostStatus.PUBLISHED)
    changed = replace(post, slug=Slug("new"), version=2)
    assert of_post_change(post, changed) == {
        POSTS,
        post_tag(post.id),
        slug_tag("old"),
        slug_tag("new"),
        by_author_tag(post.author_id),
        tagged_tag("red"),
    }


@pytest.mark.parametrize("gone", [True, False])
def test_a_post_that_comes_or_goes_forgets_totals(gone: bool) -> None:
    post = a_post(status=PostStatus.PUBLISHED)
    assert TOTALS in of_post_change(post if gone else None, None if gone else post)


def test_a_post_that_moves_between_lists_forgets_both_and_totals() -> None:
    post = a_post(writing=a_writing(tags=("red",)), status=PostStatus.PUBLISHED)
    changed = replace(post, writing=a_writing(tags=("blue",)), version=2)
    assert {TOTALS, tagged_tag("red"), tagged_tag("blue")} <= of_post_change(post, changed)


def test_more_than_many_are_all() -> None:
    assert at_most_many(map(str, range(MANY))) == {*map(str, range(MANY))}
    assert at_most_many(map(str, range(MANY + 1))) == {ALL}
