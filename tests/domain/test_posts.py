"""Posts: their tags and texts, publishing, and who may change them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.actors import Actor, Role
from domain.errors import InvalidValue, NotAllowed, VersionMismatch
from domain.posts import (
    CONTENT_MAX,
    EARLIEST,
    EXCERPT_MAX,
    LATEST,
    TAG_MAX,
    TAGS_MAX,
    TITLE_MAX,
    VIEWS_MAX,
    Post,
    PostStatus,
    Slug,
    checked_instant,
    checked_tags,
    checked_views,
)
from tests.builders import NOON, SECOND, a_post, a_writing, an_actor

ANN = an_actor()
LATER = NOON + SECOND
MUCH_LATER = LATER + timedelta(days=1)


@given(st.lists(st.text(st.characters(categories=["L", "N", "Zs"]), max_size=TAG_MAX)))
def test_tags_are_trimmed_and_kept_once_in_the_order_given(tags: list[str]) -> None:
    try:
        kept = checked_tags(tags)
    except InvalidValue:
        assert len({tag.strip() for tag in tags} - {""}) > TAGS_MAX
        return
    assert list(kept) == list(dict.fromkeys(tag.strip() for tag in tags if tag.strip()))
    assert checked_tags(kept) == kept


def test_fifty_tags_are_allowed_and_one_more_is_not() -> None:
    tags = [f"tag {n}" for n in range(TAGS_MAX)]
    assert checked_tags([*tags, *tags]) == tuple(tags)
    with pytest.raises(InvalidValue) as refused:
        checked_tags([*tags, "one more"])
    assert (refused.value.field, refused.value.code) == ("tags", "too_many")


def test_a_tag_is_a_short_line() -> None:
    for tag in ("x" * (TAG_MAX + 1), "two\nlines", "nul\x00"):
        with pytest.raises(InvalidValue):
            checked_tags([tag])


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"title": ""}, "title"),
        ({"title": "   "}, "title"),
        ({"title": "x" * (TITLE_MAX + 1)}, "title"),
        ({"title": "two\nlines"}, "title"),
        ({"content": "x" * (CONTENT_MAX + 1)}, "content"),
        ({"content": "nul\x00"}, "content"),
        ({"excerpt": "x" * (EXCERPT_MAX + 1)}, "excerpt"),
        ({"excerpt": "\ud800"}, "excerpt"),
    ],
)
def test_a_refused_writing_names_the_field(fields: dict[str, str], named: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        a_writing(**fields)  # type: ignore[arg-type]  # only texts are among them
    assert refused.value.field == named


def test_content_keeps_its_lines_and_spaces() -> None:
    assert a_writing("  Title ", content=" a\n\n\tb ").content == " a\n\n\tb "
    assert a_writing(" T ").title == "T"


def test_publishing_marks_the_time_and_unpublishing_keeps_it() -> None:
    draft = a_post(author=ANN.id)
    published = draft.publish(by=ANN, at=LATER)
    withdrawn = published.unpublish(by=ANN, at=MUCH_LATER)
    again = withdrawn.publish(by=ANN, at=MUCH_LATER)

    assert (draft.is_published, draft.published_at) == (False, None)
    assert (published.is_published, published.published_at, published.updated_at) == (True, LATER, LATER)
    assert (withdrawn.is_published, withdrawn.published_at, withdrawn.updated_at) == (False, LATER, MUCH_LATER)
    assert (again.is_published, again.published_at) == (True, LATER)


@given(st.lists(st.sampled_from(["publish", "unpublish"]), min_size=1))
def test_whatever_happens_a_post_keeps_its_first_publication(steps: list[str]) -> None:
    post = a_post(author=ANN.id)
    first: datetime | None = None
    for number, step in enumerate(steps):
        at = NOON + number * SECOND
        if step == "publish":
            post, first = post.publish(by=ANN, at=at), first or at
        else:
            post = post.unpublish(by=ANN, at=at)
        assert post.published_at == first
        assert post.is_published is (step == "publish")


def test_publishing_twice_changes_nothing() -> None:
    published = a_post(author=ANN.id).publish(by=ANN, at=LATER)
    assert published.publish(by=ANN, at=MUCH_LATER) is published
    draft = a_post(author=ANN.id)
    assert draft.unpublish(by=ANN, at=LATER) is draft


def test_a_post_rewritten_keeps_its_slug_unless_another_is_named() -> None:
    post = a_post("Old", author=ANN.id, slug="old")
    assert post.rewritten(a_writing("New"), by=ANN, at=LATER).slug == Slug("old")
    assert post.rewritten(a_writing("New"), by=ANN, at=LATER, slug=Slug("new")).slug == Slug("new")


CHANGES: dict[str, Callable[[Post, Actor], Post]] = {
    "change": lambda post, by: post.require_changeable(by=by),
    "rewrite": lambda post, by: post.rewritten(a_writing("New"), by=by, at=LATER),
    "publish": lambda post, by: post.publish(by=by, at=LATER),
    "unpublish": lambda post, by: post.unpublish(by=by, at=LATER),
}


@pytest.mark.parametrize(("change", "status"), list(product(CHANGES, PostStatus)))
def test_a_post_is_changed_by_its_author_and_by_operators(change: str, status: PostStatus) -> None:
    post = a_post(author=ANN.id, status=status)
    for by in (ANN, an_actor(Role.OPERATOR), an_actor(Role.ADMIN)):
        assert CHANGES[change](post, by).id == post.id
    with pytest.raises(NotAllowed):
        CHANGES[change](post, an_actor(Role.AUTHOR))


FIRST = datetime(1, 1, 1)  # noqa: DTZ001 -- hypothesis asks for bounds without an offset
ZONES = st.timezones() | st.just(timezone(timedelta(hours=14)))


@given(st.datetimes(FIRST) | st.datetimes(FIRST, timezones=ZONES))
def test_an_accepted_instant_is_the_same_moment_in_utc(value: datetime) -> None:
    try:
        instant = checked_instant(value, "published_at")
    except InvalidValue:
        return
    assert instant.utcoffset() == timedelta(0)
    assert EARLIEST <= instant < LATEST
    # As timestamps: of two zones, an hour that comes twice never compares equal.
    assert instant.timestamp() == (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()


@pytest.mark.parametrize("value", [EARLIEST, LATEST - timedelta(microseconds=1)])
def test_the_first_and_the_last_instant_are_accepted(value: datetime) -> None:
    assert checked_instant(value, "published_at") == value


@pytest.mark.parametrize(
    "value",
    [
        EARLIEST - timedelta(microseconds=1),
        LATEST,
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5))),
        datetime.max.replace(tzinfo=timezone(-timedelta(hours=5))),
    ],
)
def test_instants_that_a_database_may_not_keep_are_refused(value: datetime) -> None:
    with pytest.raises(InvalidValue):
        checked_instant(value, "published_at")


def test_views_are_counted_from_none_to_very_many() -> None:
    assert (checked_views(0), checked_views(VIEWS_MAX)) == (0, VIEWS_MAX)
    for views in (-1, VIEWS_MAX + 1):
        with pytest.raises(InvalidValue):
            checked_views(views)


def test_a_change_to_another_version_is_refused_with_the_current_one() -> None:
    post = a_post()
    assert post.require_version(None) is post
    assert post.require_version(1) is post
    with pytest.raises(VersionMismatch) as refused:
        post.require_version(7)
    assert refused.value.current == 1


def test_status_and_publication_agree() -> None:
    assert a_post().status is PostStatus.DRAFT
    assert a_post(published_at=NOON).is_published
