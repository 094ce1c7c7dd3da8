"""What a client may ask of a list: cursors that come back as they went, and nothing forged."""

import base64
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from application.pages import POST_FIELDS, Cursor, Order, PostQuery, SortBy, UserQuery, etag, total_pages
from domain.errors import InvalidValue
from tests.builders import NOON, a_post

INSTANTS = st.datetimes(datetime(1000, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 -- bounds have no offset there
KEYS = {
    SortBy.PUBLISHED_AT: st.none() | INSTANTS,
    SortBy.CREATED_AT: INSTANTS,
    SortBy.VIEWS: st.integers(0, 2**63 - 1),
}
SORTS = st.sampled_from(SortBy).flatmap(
    lambda by: st.tuples(st.sampled_from(Order).map(lambda order: f"{by}-{order}"), KEYS[by])
)
POST_ID = a_post().id


def packed(*parts: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


@given(SORTS, st.uuids())
def test_a_cursor_comes_back_as_it_went_and_needs_no_escaping(
    sort: tuple[str, datetime | int | None], item: object
) -> None:
    cursor = Cursor(sort[0], sort[1], item)  # type: ignore[arg-type]  # `uuids` is a strategy of UUIDs
    text = str(cursor)
    assert Cursor.parse(text, sort=sort[0]) == cursor
    assert text.replace("-", "").replace("_", "").isalnum()


@given(st.text())
def test_what_is_no_cursor_is_refused_and_nothing_else_happens(text: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        Cursor.parse(text, sort="published_at-desc")
    assert (refused.value.field, refused.value.code) == ("after", "bad_cursor")


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5)


@given(st.lists(JSON | st.just("views-desc") | st.just(POST_ID.hex) | st.just(NOON.isoformat()), max_size=4))
def test_a_forged_cursor_is_refused_or_of_the_right_kind(parts: list[object]) -> None:
    try:
        cursor = Cursor.parse(packed(*parts), sort="views-desc")
    except InvalidValue:
        return
    assert cursor.sort == "views-desc"
    assert type(cursor.key) is int


@pytest.mark.parametrize(
    "parts",
    [
        ["views-desc", NOON.isoformat(), POST_ID.hex],
        ["views-desc", None, POST_ID.hex],
        ["views-desc", -1, POST_ID.hex],
        ["views-desc", 2**63, POST_ID.hex],
        ["views-desc", True, POST_ID.hex],
        ["views-desc", 1.0, POST_ID.hex],
        ["published_at-desc", 5, POST_ID.hex],
        ["created_at-desc", None, POST_ID.hex],
        ["created_at-desc", "0001-01-01T00:00:00+23:59", POST_ID.hex],
        ["created_at-desc", "yesterday", POST_ID.hex],
        ["created_at-desc", NOON.isoformat(), "no id"],
        ["created_at-desc", NOON.isoformat(), 7],
        ["created_at-desc", NOON.isoformat()],
        [["created_at-desc"], NOON.isoformat(), POST_ID.hex],
    ],
)
def test_a_key_that_no_list_of_its_sort_has_is_refused(parts: list[object]) -> None:
    sort = parts[0] if isinstance(parts[0], str) else "created_at-desc"
    with pytest.raises(InvalidValue):
        Cursor.parse(packed(*parts), sort=sort)


def test_a_cursor_nested_without_end_is_refused() -> None:
    text = base64.urlsafe_b64encode(b"[" * 100_000).decode()
    with pytest.raises(InvalidValue):
        Cursor.parse(text, sort="views-desc")


def test_a_cursor_of_another_order_is_refused_and_told_so() -> None:
    cursor = str(Cursor("published_at-desc", None, POST_ID))
    for query in (PostQuery(after=cursor, order=Order.ASC), PostQuery(after=cursor, sort_by=SortBy.VIEWS)):
        with pytest.raises(InvalidValue, match="another order"):
            _ = query.cursor
    with pytest.raises(InvalidValue, match="another order"):
        _ = UserQuery(after=cursor).cursor
    assert PostQuery(after=cursor).cursor == Cursor("published_at-desc", None, POST_ID)


def test_fields_are_those_of_a_post() -> None:
    assert PostQuery(fields=POST_FIELDS).fields == POST_FIELDS
    with pytest.raises(InvalidValue) as refused:
        PostQuery(fields=("title", "password_hash"))
    assert (refused.value.field, refused.value.code) == ("fields", "unknown_field")


def test_an_etag_tells_version_and_representation() -> None:
    assert etag(3, b"one") == etag(3, b"one")
    assert len({etag(3, b"one"), etag(4, b"one"), etag(3, b"other")}) == 3
    assert etag(3, b"one").startswith('"3-')
    assert etag(3, b"one").endswith('"')


@pytest.mark.parametrize(("total", "pages"), [(0, 0), (1, 1), (20, 1), (21, 2), (40, 2), (41, 3)])
def test_the_last_page_may_be_short(total: int, pages: int) -> None:
    assert total_pages(total, 20) == pages
