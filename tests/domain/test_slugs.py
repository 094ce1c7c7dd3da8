"""Slugs: always valid, never alike to a UUID, free of one another."""

import string
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.errors import InvalidValue
from domain.ids import PostId
from domain.posts import SLUG_MAX, Slug

WORD = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=40)
HEX_WORD = st.text("0123456789abcdef", min_size=4, max_size=36)
WORDS = st.lists(WORD | HEX_WORD, max_size=8).map("-".join)
POST_IDS = st.uuids().map(PostId)
UUID_BUT_FOR_ITS_END = "01234567-0123-7123-8123"


def is_alike_to_a_uuid(slug: str) -> bool:
    """As URLs take it: with or without hyphens."""
    try:
        parsed = UUID(slug)
    except ValueError:
        return False
    return slug in (str(parsed), parsed.hex)


@given(WORDS, POST_IDS)
@example("", PostId(UUID(int=1)))
@example(UUID_BUT_FOR_ITS_END, PostId(UUID(int=1)))
@example(str(UUID(int=7)), PostId(UUID(int=1)))
@example(UUID(int=7).hex, PostId(UUID(int=1)))
@example("a" * (SLUG_MAX - 2) + "-2", PostId(UUID(int=1)))
@example("a" * (SLUG_MAX - 1) + "-tail", PostId(UUID(int=1)))
def test_candidates_of_any_title_are_valid_unique_and_no_uuids(words: str, post_id: PostId) -> None:
    candidates = [slug.value for slug in Slug.made_from(words, post_id).candidates(post_id)]

    assert len(candidates) >= 9
    assert len(candidates) == len(set(candidates))
    for candidate in candidates:
        assert Slug(candidate).value == candidate
        assert 1 <= len(candidate) <= SLUG_MAX
        assert not is_alike_to_a_uuid(candidate)


@given(WORDS, POST_IDS, POST_IDS)
def test_the_last_candidate_is_nobody_elses(words: str, one: PostId, other: PostId) -> None:
    if one.hex[-12:] == other.hex[-12:]:
        return
    last_of_one, last_of_other = (list(Slug.made_from(words, i).candidates(i))[-1] for i in (one, other))
    assert last_of_one != last_of_other


@given(WORDS, POST_IDS, st.data())
def test_the_first_free_candidate_is_chosen(words: str, post_id: PostId, data: st.DataObject) -> None:
    slug = Slug.made_from(words, post_id)
    candidates = [candidate.value for candidate in slug.candidates(post_id)]
    taken = data.draw(st.sets(st.sampled_from(candidates)))
    free = [value for value in candidates if value not in taken]

    assert slug.first_free(taken, post_id).value == (free[0] if free else candidates[-1])


def test_a_title_keeps_its_words_where_they_are_free() -> None:
    post_id = PostId(UUID(int=1))
    slug = Slug.made_from("hello-world", post_id)
    assert slug.first_free(set(), post_id).value == "hello-world"
    assert slug.first_free({"hello-world", "hello-world-2"}, post_id).value == "hello-world-3"


def test_a_title_without_words_is_named_by_its_post() -> None:
    assert Slug.made_from("", PostId(UUID(int=0xABC))).value == "post-0000000000abc"


@pytest.mark.parametrize("value", [str(UUID(int=2**127)), UUID(int=5).hex])
def test_a_uuid_is_no_slug(value: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        Slug(value)
    assert (refused.value.field, refused.value.code) == ("slug", "bad_slug")


@pytest.mark.parametrize(
    "value",
    ["", "-", "a-", "-a", "a--b", "A", "a b", "a_b", "é", "a\n", "a/b", "a.b", "x" * (SLUG_MAX + 1)],
)
def test_what_is_no_slug_is_refused(value: str) -> None:
    with pytest.raises(InvalidValue):
        Slug(value)


@pytest.mark.parametrize("value", ["a", "7", "a-b", "2026-in-review", "x" * SLUG_MAX, UUID_BUT_FOR_ITS_END])
def test_words_joined_by_hyphens_are_a_slug(value: str) -> None:
    assert Slug(value).value == value
