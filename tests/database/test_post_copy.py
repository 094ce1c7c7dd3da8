"""Posts of an import: copied without the triggers of foreign keys where that is allowed, and checked all the same."""

from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from application.ports.work import UnitOfWork
from domain.errors import BylineError, SlugTaken, UserNotFound
from domain.posts import Post
from domain.users import User
from infrastructure.database.database import Database
from tests.builders import a_post, a_user, a_writing, imported
from tests.contract.adapters import packed
from tests.database.conftest import MakeDatabase
from tests.database.inside import transaction_of

NO_LONGER = "SET LOCAL session_replication_role = origin"
"""Said where it was `replica` until then, and only there."""


@pytest.fixture
async def ann(database: Database) -> User:
    user = a_user("ann")
    async with database.begin() as work:
        await work.users.add(user)
        await work.commit()
    return user


@pytest.fixture
async def privileged(outside: Any) -> None:
    """A server that was named for the tests need not let them skip triggers; Byline's own does."""
    if not await outside.fetchval("SELECT has_parameter_privilege('session_replication_role', 'SET')"):
        pytest.skip("Nobody granted SET ON PARAMETER session_replication_role.")


async def add(work: UnitOfWork, *posts: Post) -> None:
    await work.posts.add_many(packed([imported(post, 3) for post in posts]))


async def shown(work: UnitOfWork, setting: str) -> str:
    return str((await transaction_of(work).execute(text(f"SHOW {setting}"))).scalar_one())


async def allow_no_skipping(work: UnitOfWork) -> None:
    """The transaction goes on, until it is rolled back, as a role that has all rights to the tables and none else."""
    await transaction_of(work).run(
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO pg_database_owner; SET LOCAL ROLE pg_database_owner"
    )


async def test_there_is_no_trigger_to_be_skipped_but_those_of_foreign_keys(outside: Any) -> None:
    """Whoever adds one to these tables must look at `SqlPosts.add_many` first."""
    found = await outside.fetch(
        """
        SELECT tgname FROM pg_trigger t LEFT JOIN pg_constraint c ON c.oid = t.tgconstraint
        WHERE tgrelid IN ('posts'::regclass, 'post_views'::regclass) AND contype IS DISTINCT FROM 'f'
        UNION ALL SELECT rulename FROM pg_rules WHERE tablename IN ('posts', 'post_views')
        """
    )
    assert found == []
    keys = await outside.fetch(
        """
        SELECT conname FROM pg_constraint
        WHERE contype = 'f' AND conrelid IN ('posts'::regclass, 'post_views'::regclass) ORDER BY 1
        """
    )
    assert [key[0] for key in keys] == ["fk_post_views_post_id", "fk_posts_author_id"]


async def test_triggers_are_skipped_for_the_copies_alone(database: Database, ann: User, privileged: None) -> None:
    with database.statements.seen() as seen:
        async with database.begin() as work:
            await add(work, a_post(author=ann.id))
            assert await shown(work, "session_replication_role") == "origin"
            await work.commit()
    copies = [statement for statement in seen if statement.startswith(("COPY", "SET"))]
    assert copies == ["COPY posts FROM STDIN", "COPY post_views FROM STDIN", NO_LONGER]


@pytest.mark.parametrize("is_rehearsed", [False, True])
async def test_triggers_are_skipped_no_longer_after_a_refusal(
    make_database: MakeDatabase, ann: User, is_rehearsed: bool
) -> None:
    database = await make_database(db_pool_size=1, db_pool_overflow=0)
    twice = a_post(author=ann.id, slug="twice"), a_post(author=ann.id, slug="twice")
    async with database.begin() as work:
        with suppress(SlugTaken):
            async with work.rehearsal() if is_rehearsed else nullcontext():
                await add(work, *twice)
        if is_rehearsed:
            assert await shown(work, "session_replication_role") == "origin"
    async with database.begin() as work:
        assert await shown(work, "session_replication_role") == "origin"


@pytest.mark.parametrize("may", [True, False])
async def test_who_may_not_skip_triggers_has_them(database: Database, ann: User, privileged: None, may: bool) -> None:
    post = a_post(author=ann.id)
    with database.statements.seen() as seen:
        async with database.begin() as work:
            if not may:
                await allow_no_skipping(work)
            await add(work, post)
            assert await work.posts.get(post.id) == post
            with pytest.raises(UserNotFound):
                await add(work, a_post(author=ann.id), a_post())
    assert seen.count(NO_LONGER) == (1 if may else 0)


@pytest.mark.parametrize("may", [True, False])
async def test_refusals_are_the_same_with_triggers_and_without(
    database: Database, ann: User, privileged: None, may: bool
) -> None:
    nobody = a_user()
    refused: list[tuple[type[BylineError], str]] = []
    for posts in (
        [a_post(author=nobody.id)],
        [a_post(author=ann.id), a_post(author=nobody.id)],
        [a_post(author=nobody.id, slug="twice"), a_post(author=ann.id, slug="twice")],
    ):
        async with database.begin() as work:
            if not may:
                await allow_no_skipping(work)
            try:
                await add(work, *posts)
            except BylineError as error:
                refused.append((type(error), str(error)))
    unknown = (UserNotFound, f"There is no user {nobody.id}.")
    assert refused == [unknown, unknown, (SlugTaken, "The slug twice belongs to another post.")]


async def test_codes_that_no_table_allows_are_not_copied(database: Database, ann: User) -> None:
    """Checks are no triggers."""
    row = replace(imported(a_post(author=ann.id)), status="secret")  # type: ignore[arg-type]  # on purpose
    async with database.begin() as work:
        with pytest.raises(Exception, match="ck_posts_status"):
            await work.posts.add_many(packed([row]))


async def test_long_posts_go_in_pieces_and_none_goes_as_nothing(database: Database, ann: User) -> None:
    posts = [
        a_post(author=ann.id, writing=a_writing(content="é" * 400_000, tags=tuple(f"tag-{n}" for n in range(50))))
        for _ in range(5)
    ]
    async with database.begin() as work:
        await add(work)
        await add(work, *posts)
        assert await work.posts.lock_many([post.id for post in posts]) == posts
