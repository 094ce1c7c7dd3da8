"""What the database refuses, in the domain's terms, whether SQLAlchemy or asyncpg itself raised it."""

import asyncpg  # type: ignore[import-untyped]  # it has no types of its own
import pytest
from sqlalchemy import ForeignKeyConstraint, UniqueConstraint, text
from sqlalchemy.exc import ProgrammingError

from domain.errors import Busy, BylineError, SlugTaken, Unavailable, UserNotFound
from infrastructure.database.database import Database
from infrastructure.database.errors import REFUSALS, domain_error
from infrastructure.database.tables import metadata
from tests.builders import a_post, a_user
from tests.database.inside import transaction_of

# Rows that only Byline itself writes, together with what they refer to.
OURS_ALONE = {"fk_profiles_user_id", "fk_entries_account_id"}

STATES = [
    ("40001", Busy),
    ("40P01", Busy),
    ("55P03", Busy),
    ("57014", Busy),
    ("25P03", Busy),
    ("25P04", Busy),
    ("53300", Busy),
    ("08006", Unavailable),
    ("28P01", Unavailable),
    ("3D000", Unavailable),
    ("42P01", Unavailable),
    ("25006", Unavailable),
    ("53100", Unavailable),
    ("57P01", Unavailable),
    ("57P03", Unavailable),
    ("58030", Unavailable),
]


def test_every_reference_and_every_unique_index_has_its_error() -> None:
    named = set()
    for table in metadata.tables.values():
        named |= {c.name for c in table.constraints if isinstance(c, ForeignKeyConstraint | UniqueConstraint)}
        named |= {index.name for index in table.indexes if index.unique}
    assert {str(name) for name in named} - OURS_ALONE == set(REFUSALS)


@pytest.mark.parametrize(("state", "expected"), STATES)
async def test_sqlstates_mean_the_same_through_either_pool(
    database: Database, state: str, expected: type[BylineError]
) -> None:
    raising = f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END $$"
    with pytest.raises(expected):
        async with database.reading() as reading:
            await reading.fetch(raising)
    with pytest.raises(expected):
        async with database.begin() as work:
            await transaction_of(work).execute(text(raising))
    assert database.checked_out() == 0


async def test_what_is_a_mistake_of_ours_stays_what_it_is(database: Database) -> None:
    with pytest.raises(asyncpg.UndefinedColumnError):
        async with database.reading() as reading:
            await reading.fetch("SELECT nothing_of_that_name")
    assert domain_error(asyncpg.InterfaceError("cannot perform operation: another operation is in progress")) is None
    assert domain_error(LookupError()) is None


@pytest.mark.parametrize(
    "error",
    [OSError(), TimeoutError(), ConnectionResetError(), asyncpg.InterfaceError("connection is closed")],
    ids=lambda error: type(error).__name__,
)
def test_what_never_reached_the_database_is_unavailable(error: Exception) -> None:
    assert isinstance(domain_error(error), Unavailable)


async def test_errors_name_the_value_that_was_refused(database: Database) -> None:
    user = a_user()
    taken = a_post(slug="taken", author=user.id)
    async with database.begin() as work:
        await work.users.add(user)
        await work.posts.add(taken)
        await work.commit()
    stranger = a_post()
    with pytest.raises(SlugTaken, match="taken"):
        async with database.begin() as work:
            await work.posts.add(a_post(slug="taken", author=user.id))
    with pytest.raises(UserNotFound, match=str(stranger.author_id)):
        async with database.begin() as work:
            await work.posts.add(stranger)


async def test_mistakes_of_ours_show_no_values(database: Database) -> None:
    async with database.begin() as work:
        with pytest.raises(ProgrammingError, match="hidden") as raised:
            await transaction_of(work).execute(text("SELECT :value, nothing"), {"value": "secret"})
    assert "secret" not in str(raised.value)
