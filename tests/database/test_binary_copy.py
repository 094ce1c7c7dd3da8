"""COPY's binary format: what is written in Python is what PostgreSQL reads."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infrastructure.database.binary_copy import (
    BEGIN,
    END,
    count,
    instant_field,
    int4_field,
    int8_field,
    text_field,
    texts_field,
    uuid_field,
)
from tests.contract.texts import NASTY, NASTY_LINES, NASTY_TAGS

Row = tuple[UUID | None, int, int, datetime | None, str | None, list[str]]

MADE = "CREATE TEMPORARY TABLE copied (n serial, a uuid, b int, c bigint, d timestamptz, e text, f text[])"
COLUMNS = ("a", "b", "c", "d", "e", "f")

texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"))
instants = st.datetimes(min_value=datetime(1, 1, 1), max_value=datetime(9999, 12, 31, 23, 59, 59, 999_999)).map(  # noqa: DTZ001
    lambda naive: naive.replace(tzinfo=UTC)
)
rows = st.lists(
    st.tuples(
        st.none() | st.uuids(),
        st.integers(-(2**31), 2**31 - 1),
        st.integers(-(2**63), 2**63 - 1),
        st.none() | instants,
        st.none() | texts,
        st.lists(texts, max_size=5),
    ),
    max_size=20,
)


def encoded(some: list[Row]) -> bytes:
    return b"".join(
        [BEGIN]
        + [
            count(6) + uuid_field(a) + int4_field(b) + int8_field(c) + instant_field(d) + text_field(e) + texts_field(f)
            for a, b, c, d, e, f in some
        ]
        + [END]
    )


async def copied(connection: Any, some: list[Row], *, piece: int = 2**20) -> list[Row]:
    """As they are read back through SQL, sent in pieces of so many bytes."""
    whole = encoded(some)

    async def pieces() -> AsyncIterator[bytes]:
        for first in range(0, len(whole), piece):
            yield whole[first : first + piece]

    await connection.execute("TRUNCATE copied")
    await connection.copy_to_table("copied", source=pieces(), columns=COLUMNS, format="binary")
    return [tuple(row) for row in await connection.fetch("SELECT a, b, c, d, e, f FROM copied ORDER BY n")]


@pytest.fixture
async def connection(outside: Any) -> Any:
    await outside.execute(MADE)
    return outside


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some=rows)
async def test_what_is_copied_reads_back_equal(connection: Any, some: list[Row]) -> None:
    assert await copied(connection, some) == some


async def test_extremes_read_back_equal(connection: Any) -> None:
    earliest, latest = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    microsecond = timedelta(microseconds=1)
    epoch = datetime(2000, 1, 1, tzinfo=UTC)
    some: list[Row] = [
        (None, 0, 0, None, None, []),
        (UUID(int=0), -(2**31), -(2**63), earliest, "", [""]),
        (UUID(int=2**128 - 1), 2**31 - 1, 2**63 - 1, latest, NASTY_LINES, list(NASTY_TAGS)),
        (UUID(int=1), -1, -1, epoch - microsecond, NASTY, ["NULL", "", "{}", '"']),
        (UUID(int=1), 1, 1, epoch, "long " * 300_000, ["many"] * 1_000),
    ]
    assert await copied(connection, some) == some
    assert await copied(connection, []) == []


async def test_pieces_may_end_anywhere(connection: Any) -> None:
    some: list[Row] = [(UUID(int=7), 1, 2, datetime(2026, 1, 1, tzinfo=UTC), "é", ["日本", ""])] * 3
    for piece in (1, 2, 3, 7, 64):
        assert await copied(connection, some, piece=piece) == some


async def test_instants_of_other_offsets_are_the_same_instants(connection: Any) -> None:
    instant = datetime.fromisoformat("2026-07-01T12:00:00.000001+05:30")
    ((*_, read, _, _),) = await copied(connection, [(None, 0, 0, instant, None, [])])
    assert read == instant
