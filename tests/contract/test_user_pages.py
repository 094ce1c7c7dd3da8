"""Users as a viewer is shown them: one, lists, addresses."""

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from itertools import product

import pytest

from application.pages import (
    NEWEST_POSTS_IN_A_LIST,
    NEWEST_POSTS_OF_A_USER,
    Count,
    ListPage,
    SortBy,
    UserQuery,
)
from domain.actors import Actor, Role
from domain.errors import InvalidValue, UserNotFound
from domain.posts import PostStatus, PostType
from domain.users import Profile, User
from tests.builders import NOON, SECOND, a_post, a_profile, a_user, a_writing, an_actor
from tests.contract.adapters import Adapters
from tests.contract.looks import (
    ENVELOPE,
    Json,
    Seen,
    decoded,
    post_look,
    require_post_shape,
    require_user_shape,
    user_look,
)
from tests.contract.texts import NASTY, NASTY_LINES

OPERATOR = an_actor(Role.OPERATOR)
OTHER = an_actor()


def newest(user: User, seen: list[Seen], *, viewer: Actor | None, limit: int) -> list[Json]:
    """Of every type, drafts that were never published first."""
    sees_drafts = viewer is not None and (viewer.is_operator or viewer.id == user.id)
    theirs = [one for one in seen if one.post.author_id == user.id and (sees_drafts or one.post.is_published)]
    theirs.sort(key=lambda one: one.position(SortBy.PUBLISHED_AT), reverse=True)
    return [post_look(one.post, user, one.views) for one in theirs[:limit]]


def some_posts(author: User, count: int, *, seed: int = 3) -> list[Seen]:
    chance = random.Random(seed)
    return [
        Seen(
            a_post(
                author=author.id,
                writing=a_writing(type=chance.choice(list(PostType))),
                status=chance.choice(list(PostStatus)),
                published_at=chance.choice([None, NOON, NOON + SECOND]),
            ),
            chance.choice([0, 3]),
        )
        for _ in range(count)
    ]


async def keep_posts(adapters: Adapters, seen: list[Seen]) -> None:
    await adapters.keep(*seen)


async def test_a_user_is_shown_whole(adapters: Adapters) -> None:
    user = a_user(
        "Ann.B",
        role=Role.ADMIN,
        profile=Profile(NASTY.replace("\t", ""), NASTY_LINES, "https://example.com/é", "http://[::1]/"),
    )
    await adapters.keep(user)
    page = await adapters.pages.user(user.id, include_posts=False, viewer=OTHER)
    assert decoded(page.body) == user_look(user)
    require_user_shape(decoded(page.body))
    assert not page.public


async def test_an_address_is_shown_to_its_owner_and_to_operators(adapters: Adapters) -> None:
    user, nobody = a_user(), a_user(email=None)
    await adapters.keep(user, nobody)

    async def look(of: User, viewer: Actor | None) -> Json:
        return decoded((await adapters.pages.user(of.id, include_posts=False, viewer=viewer)).body)

    for viewer in (user.actor, OPERATOR, an_actor(Role.ADMIN)):
        assert await look(user, viewer) == user_look(user, with_email=True)
        require_user_shape(await look(user, viewer))
    for stranger in (None, OTHER):
        assert await look(user, stranger) == user_look(user)
    assert await look(nobody, OPERATOR) == user_look(nobody, with_email=True)


async def test_who_was_deactivated_is_there_for_themself_and_for_operators(adapters: Adapters) -> None:
    user = a_user(is_active=False)
    await adapters.keep(user)
    for viewer in (user.actor, OPERATOR):
        page = await adapters.pages.user(user.id, include_posts=False, viewer=viewer)
        assert decoded(page.body) == user_look(user, with_email=True)
    for stranger in (None, OTHER):
        with pytest.raises(UserNotFound):
            await adapters.pages.user(user.id, include_posts=True, viewer=stranger)


async def test_an_unknown_user_is_not_found(adapters: Adapters) -> None:
    for viewer in (None, OPERATOR):
        with pytest.raises(UserNotFound):
            await adapters.pages.user(a_user().id, include_posts=True, viewer=viewer)


async def test_a_user_comes_with_the_newest_posts_that_the_viewer_may_see(adapters: Adapters) -> None:
    user, other = a_user(), a_user()
    seen = some_posts(user, 70)
    await adapters.keep(user, other)
    await keep_posts(adapters, seen + some_posts(other, 5))
    for viewer in (None, OTHER, user.actor, OPERATOR):
        page = await adapters.pages.user(user.id, include_posts=True, viewer=viewer)
        posts = newest(user, seen, viewer=viewer, limit=NEWEST_POSTS_OF_A_USER)
        assert len(posts) == NEWEST_POSTS_OF_A_USER
        assert decoded(page.body) == user_look(user, with_email=viewer in (user.actor, OPERATOR), posts=posts)
        for post in decoded(page.body)["posts"]:
            require_post_shape(post)
    page = await adapters.pages.user(other.id, include_posts=True, viewer=None)
    assert len(decoded(page.body)["posts"]) < 5


async def test_a_user_without_posts_comes_with_none(adapters: Adapters) -> None:
    user = a_user()
    await adapters.keep(user)
    page = await adapters.pages.user(user.id, include_posts=True, viewer=None)
    assert decoded(page.body) == user_look(user, posts=[])


async def test_the_etag_names_the_version_and_changes_with_what_is_shown(adapters: Adapters) -> None:
    user = a_user()
    post = a_post(author=user.id, published_at=NOON)
    await adapters.keep(user, Seen(post, 1))

    async def etag(viewer: Actor | None = None, *, include_posts: bool = False) -> str:
        return (await adapters.pages.user(user.id, include_posts=include_posts, viewer=viewer)).etag

    first = await etag()
    assert first.startswith('"1-')
    assert first == await etag(OTHER)
    assert len({first, await etag(OPERATOR), await etag(include_posts=True)}) == 3

    with_posts = await etag(include_posts=True)
    async with adapters.begin() as work:
        await work.posts.delete(post.id)
        await work.commit()
    await adapters.keep(Seen(post, 2))
    assert await etag(include_posts=True) == with_posts
    await adapters.save(replace(post, writing=a_writing("Another title")))
    assert await etag(include_posts=True) != with_posts
    assert await etag() == first

    await adapters.save(replace(user, profile=a_profile("Another name")))
    assert (await etag()).startswith('"2-')


@dataclass(frozen=True, slots=True)
class Crowd:
    users: list[User]
    seen: list[Seen]

    @property
    def viewers(self) -> dict[str, Actor | None]:
        gone = next(user for user in self.users if not user.is_active and user.role is Role.AUTHOR)
        return {
            "stranger": None,
            "a user": next(user for user in self.users if user.is_active and user.role is Role.AUTHOR).actor,
            "one deactivated": gone.actor,
            "operator": OPERATOR,
        }

    def expected(self, query: UserQuery, viewer: Actor | None) -> list[Json]:
        sees_all = viewer is not None and viewer.is_operator
        shown = [
            user
            for user in self.users
            if (user.is_active or sees_all or (viewer is not None and viewer.id == user.id))
            and query.role in (None, user.role)
            and query.is_active in (None, user.is_active)
        ]
        shown.sort(key=lambda user: (user.created_at, user.id), reverse=True)
        return [
            user_look(
                user,
                with_email=sees_all or (viewer is not None and viewer.id == user.id),
                posts=newest(user, self.seen, viewer=viewer, limit=NEWEST_POSTS_IN_A_LIST)
                if query.include_posts
                else None,
            )
            for user in shown
        ]


@pytest.fixture
async def crowd(adapters: Adapters) -> Crowd:
    chance = random.Random(5)
    users = [
        a_user(
            role=chance.choice([Role.AUTHOR, Role.AUTHOR, Role.OPERATOR, Role.ADMIN]),
            is_active=chance.random() < 0.7,
            created_at=NOON + chance.randrange(4) * SECOND,
            email=chance.choice(["", "", None]),
        )
        for _ in range(30)
    ]
    seen = [one for number, user in enumerate(users) for one in some_posts(user, chance.randrange(12), seed=number)]
    chance.shuffle(users)
    await adapters.keep(*users)
    await keep_posts(adapters, seen)
    return Crowd(users, seen)


async def pages_of_users(adapters: Adapters, query: UserQuery, viewer: Actor | None) -> AsyncIterator[ListPage]:
    number = 0
    while True:
        number += 1
        page = await adapters.pages.users(replace(query, page=number), viewer=viewer)
        yield page
        if page.next_cursor is None:
            return


async def pages_after(adapters: Adapters, query: UserQuery, viewer: Actor | None) -> AsyncIterator[ListPage]:
    page = await adapters.pages.users(query, viewer=viewer)
    yield page
    while page.next_cursor is not None:
        page = await adapters.pages.users(replace(query, after=page.next_cursor), viewer=viewer)
        yield page


@pytest.mark.parametrize("viewer", ["stranger", "a user", "one deactivated", "operator"])
@pytest.mark.parametrize("include_posts", [False, True])
async def test_walks_by_number_and_by_cursor_are_what_sorting_gives(
    adapters: Adapters, crowd: Crowd, viewer: str, include_posts: bool
) -> None:
    who = crowd.viewers[viewer]
    for role, is_active, page_size in product((None, *Role), (None, True, False), (4, 100)):
        query = UserQuery(page_size=page_size, role=role, is_active=is_active, include_posts=include_posts)
        whole = crowd.expected(query, who)
        for walk in (pages_of_users, pages_after):
            pages = [page async for page in walk(adapters, query, who)]
            found = [decoded(page.body) for page in pages]
            assert [item for page in found for item in page["items"]] == whole, query
            assert {page["total"] for page in found} == {len(whole)}, query
            assert len(pages) == max(1, -(-len(whole) // page_size)), query
            assert not any(page.public for page in pages)


async def test_the_envelope_tells_where_the_page_is(adapters: Adapters, crowd: Crowd) -> None:
    page = await adapters.pages.users(UserQuery(page=2, page_size=7), viewer=OPERATOR)
    body = decoded(page.body)
    assert tuple(body) == ENVELOPE
    assert (body["page"], body["page_size"], body["total"], body["total_pages"]) == (2, 7, 30, 5)
    assert (page.page, page.total_pages, page.next_cursor) == (2, 5, body["next_cursor"])
    for item in body["items"]:
        require_user_shape(item)

    after = decoded(
        (
            await adapters.pages.users(
                UserQuery(page_size=7, after=page.next_cursor, count=Count.NONE), viewer=OPERATOR
            )
        ).body
    )
    assert (after["page"], after["total"], after["total_pages"]) == (None, None, None)
    beyond = decoded((await adapters.pages.users(UserQuery(page=99, page_size=7), viewer=OPERATOR)).body)
    assert (beyond["items"], beyond["total"], beyond["next_cursor"]) == ([], 30, None)


async def test_a_cursor_of_posts_is_none_of_users(adapters: Adapters, crowd: Crowd) -> None:
    with pytest.raises(InvalidValue):
        await adapters.pages.users(UserQuery(after="forged"), viewer=None)
    with pytest.raises(InvalidValue):
        await adapters.pages.emails(UserQuery(after="forged"))


async def test_addresses_are_those_of_active_users_who_have_one(adapters: Adapters, crowd: Crowd) -> None:
    active = [user for user in crowd.users if user.is_active and user.email is not None]
    active.sort(key=lambda user: (user.created_at, user.id), reverse=True)
    whole = [{"id": str(user.id), "email": str(user.email)} for user in active]

    query = UserQuery(page_size=4)
    by_number = [decoded((await adapters.pages.emails(replace(query, page=n))).body) for n in range(1, 6)]
    assert [item for page in by_number for item in page["items"]] == whole[:20]
    assert {page["total"] for page in by_number} == {len(whole)}

    page = await adapters.pages.emails(query)
    found = decoded(page.body)["items"]
    while page.next_cursor is not None:
        page = await adapters.pages.emails(replace(query, after=page.next_cursor))
        found += decoded(page.body)["items"]
    assert found == whole
    assert not page.public
