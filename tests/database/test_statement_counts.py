"""How many statements a page takes: few, and as many for a hundred items as for one."""

import pytest

from application.pages import Count, PostQuery, SortBy, UserQuery
from domain.actors import Actor, Role
from domain.posts import Slug
from infrastructure.database.actors import SqlActors
from infrastructure.database.database import Database
from infrastructure.database.pages import SqlPages
from tests.builders import a_job, a_user, an_account, an_actor
from tests.database.archive import Archive

SIZES = (1, 50, 100)


async def test_a_post_with_its_author_takes_one(archive: Archive) -> None:
    pages = SqlPages(archive.database)
    with archive.database.statements.seen() as seen:
        await pages.post(Slug("post-1"), viewer=None)
    assert len(seen) == 1


@pytest.mark.parametrize("page_size", SIZES)
@pytest.mark.parametrize("sort_by", list(SortBy))
@pytest.mark.parametrize(("count", "expected"), [(Count.NONE, 1), (Count.EXACT, 2), (Count.ESTIMATED, 2)])
async def test_a_list_of_posts_with_authors_takes_one_and_its_total_one_more(
    archive: Archive, page_size: int, sort_by: SortBy, count: Count, expected: int
) -> None:
    pages = SqlPages(archive.database)
    for query in (
        PostQuery(page_size=page_size, sort_by=sort_by, count=count),
        PostQuery(page_size=page_size, sort_by=sort_by, count=count, page=3),
        PostQuery(page_size=page_size, sort_by=sort_by, count=count, author_id=archive.author_id, tag="common"),
    ):
        with archive.database.statements.seen() as seen:
            shown = await pages.posts(query, viewer=Actor(archive.author_id, Role.AUTHOR))
        assert shown.body.count(b'"display_name"') > 0
        assert len(seen) <= expected
        assert len(seen) == expected or shown.next_cursor is None


async def test_a_last_page_needs_no_count(archive: Archive) -> None:
    with archive.database.statements.seen() as seen:
        shown = await SqlPages(archive.database).posts(PostQuery(tag="t7"), viewer=None)
    assert shown.total_pages == 1
    assert len(seen) == 1


async def test_a_user_with_posts_takes_two(archive: Archive) -> None:
    with archive.database.statements.seen() as seen:
        shown = await SqlPages(archive.database).user(archive.author_id, include_posts=True, viewer=None)
    assert shown.body.count(b'"slug"') == 20
    assert len(seen) == 2


@pytest.mark.parametrize("page_size", SIZES)
@pytest.mark.parametrize("viewer", [None, an_actor(), an_actor(Role.ADMIN)], ids=["stranger", "author", "admin"])
async def test_users_with_their_newest_posts_take_three_at_any_length(
    archive: Archive, page_size: int, viewer: Actor | None
) -> None:
    query = UserQuery(page_size=page_size, include_posts=True)
    with archive.database.statements.seen() as seen:
        await SqlPages(archive.database).users(query, viewer=viewer)
    assert len(seen) == 3


async def test_addresses_are_read_alone(archive: Archive) -> None:
    with archive.database.statements.seen() as seen:
        await SqlPages(archive.database).emails(UserQuery(page_size=100, count=Count.NONE))
    assert len(seen) == 1
    assert "username" not in seen[0]
    assert "password" not in seen[0]


async def test_who_asks_is_looked_up_with_one(archive: Archive) -> None:
    with archive.database.statements.seen() as seen:
        assert await SqlActors(archive.database).find(archive.author_id) == Actor(archive.author_id, Role.AUTHOR)
    assert len(seen) == 1


async def test_statements_of_units_of_work_are_seen_too(database: Database) -> None:
    user = a_user()
    with database.statements.seen() as seen:
        async with database.begin() as work:
            await work.users.add_many([user], [an_account(user)], origin=a_job().id)
            await work.users.get(user.id)
            await work.commit()
    assert [statement.split()[0] for statement in seen] == ["SELECT", "COPY", "COPY", "COPY", "SELECT"]
