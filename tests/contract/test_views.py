"""Views: batches are added once each, whoever adds them in whatever order."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from itertools import count
from uuid import UUID

import pytest

from application.pages import PostQuery, SortBy
from application.ports.repositories import ViewBatch
from domain.ids import PostId
from domain.posts import VIEWS_MAX, Post
from domain.users import User
from tests.builders import NOON, SECOND, CountingIds, a_post
from tests.contract.adapters import Adapters
from tests.contract.looks import Seen, decoded

_ids = CountingIds(10**9)


class Process:
    """Numbers its batches."""

    def __init__(self) -> None:
        self.id: UUID = _ids.next()
        self._numbers = count(1)

    def batch(self, counts: Mapping[Post, int] | Mapping[PostId, int]) -> ViewBatch:
        by_id = {key.id if isinstance(key, Post) else key: views for key, views in counts.items()}
        return ViewBatch(self.id, next(self._numbers), by_id)


async def added(adapters: Adapters, *batches: ViewBatch, at: datetime = NOON) -> None:
    """One transaction each."""
    for batch in batches:
        async with adapters.begin() as work:
            await work.views.add(batch, at=at)
            await work.commit()


async def forgotten(adapters: Adapters, *, before: datetime, limit: int = 100) -> int:
    async with adapters.begin() as work:
        gone = await work.views.forget_processes(before=before, limit=limit)
        await work.commit()
    return gone


async def views(adapters: Adapters, *posts: Post) -> list[int]:
    pages = [await adapters.pages.post(post.id, viewer=None) for post in posts]
    return [decoded(page.body)["views"] for page in pages]


@pytest.fixture
async def posts(adapters: Adapters, ann: User) -> list[Post]:
    """Published, in id order, without views."""
    posts = [a_post(author=ann.id, published_at=NOON) for _ in range(5)]
    await adapters.keep(*posts)
    return posts


async def test_views_add_up_post_by_post(adapters: Adapters, posts: list[Post]) -> None:
    one, other = Process(), Process()
    await added(adapters, one.batch({posts[0]: 1, posts[2]: 5}), one.batch({posts[2]: 2, posts[1]: 1}))
    await added(adapters, other.batch({posts[4]: 7, posts[0]: 1}))
    assert await views(adapters, *posts) == [2, 1, 7, 0, 7]


async def test_views_that_an_import_brought_along_are_added_to(adapters: Adapters, ann: User) -> None:
    post = a_post(author=ann.id, published_at=NOON)
    await adapters.keep(Seen(post, 1_000))
    await added(adapters, Process().batch({post: 1}))
    assert await views(adapters, post) == [1_001]


async def test_a_batch_that_comes_again_counts_nothing(adapters: Adapters, posts: list[Post]) -> None:
    process = Process()
    first, second = process.batch({posts[0]: 1}), process.batch({posts[0]: 10, posts[1]: 10})
    await added(adapters, first, first, second, second, first, second)
    assert await views(adapters, *posts[:2]) == [11, 10]


async def test_an_older_batch_counts_nothing_and_a_later_one_may_leave_some_out(
    adapters: Adapters, posts: list[Post]
) -> None:
    process = Process()
    first, second, third, fourth = (process.batch({posts[0]: 10**number}) for number in range(4))
    await added(adapters, second, first, fourth, third)
    assert await views(adapters, posts[0]) == [1_010]


async def test_a_batch_that_was_rolled_back_counts_nothing_and_may_come_again(
    adapters: Adapters, posts: list[Post]
) -> None:
    batch = Process().batch({posts[0]: 3})
    async with adapters.begin() as work:
        await work.views.add(batch, at=NOON)
    assert await views(adapters, posts[0]) == [0]
    await added(adapters, batch)
    assert await views(adapters, posts[0]) == [3]


async def test_posts_that_are_gone_or_never_were_are_passed_over(adapters: Adapters, posts: list[Post]) -> None:
    process = Process()
    await added(adapters, process.batch({posts[0]: 1, posts[1]: 1}))
    async with adapters.begin() as work:
        await work.posts.delete(posts[0].id)
        await work.posts.delete(posts[2].id)
        await work.commit()
    late = a_post(author=posts[0].author_id, published_at=NOON)
    await added(adapters, process.batch(dict.fromkeys([*posts[:3], late], 1)))
    await adapters.keep(late)
    assert await views(adapters, posts[1], late) == [2, 0]


async def test_a_batch_of_nothing_but_posts_that_are_gone_is_added_all_the_same(
    adapters: Adapters, posts: list[Post]
) -> None:
    process = Process()
    early, late = process.batch({posts[0]: 1}), process.batch({a_post().id: 1})
    await added(adapters, late, early)
    assert await views(adapters, posts[0]) == [0]


@pytest.mark.parametrize("has_views", [True, False], ids=["with views", "without views"])
@pytest.mark.parametrize("is_committed", [True, False], ids=["deleted", "kept after all"])
async def test_a_post_that_is_being_deleted_is_waited_for(
    adapters: Adapters, posts: list[Post], has_views: bool, is_committed: bool
) -> None:
    kept, deleted, last = posts[:3]
    process = Process()
    if has_views:
        await added(adapters, process.batch(dict.fromkeys(posts[:3], 1)))
    async with adapters.begin() as work:
        await work.posts.delete(deleted.id)
        adding = asyncio.create_task(added(adapters, process.batch(dict.fromkeys(posts[:3], 10))))
        for _ in range(20):
            await work.posts.slugs_taken(["any"])
        assert not adding.done()
        if is_committed:
            await work.commit()
    await adding
    before = int(has_views)
    assert await views(adapters, kept, last) == [before + 10] * 2
    if not is_committed:
        assert await views(adapters, deleted) == [before + 10]


async def test_views_stop_at_their_highest_number(adapters: Adapters, ann: User) -> None:
    full, nearly, empty = posts = [a_post(author=ann.id, published_at=NOON) for _ in range(3)]
    await adapters.keep(Seen(full, VIEWS_MAX), Seen(nearly, VIEWS_MAX - 2), empty)
    process = Process()
    await added(adapters, process.batch({full: 1, nearly: 1, empty: 2 * VIEWS_MAX}))
    assert await views(adapters, *posts) == [VIEWS_MAX, VIEWS_MAX - 1, VIEWS_MAX]
    await added(adapters, process.batch(dict.fromkeys(posts, VIEWS_MAX)))
    assert await views(adapters, *posts) == [VIEWS_MAX] * 3


async def test_processes_that_see_the_same_posts_in_opposite_order_neither_deadlock_nor_lose(
    adapters: Adapters, ann: User
) -> None:
    posts = [a_post(author=ann.id, published_at=NOON) for _ in range(60)]
    await adapters.keep(*posts)
    rounds = 15

    async def process(order: list[Post]) -> None:
        process = Process()
        for _ in range(rounds):
            # Not tried again: nothing may be refused.
            await added(adapters, process.batch(dict.fromkeys(order, 1)))

    await asyncio.gather(*(process(order) for order in (posts, posts[::-1], posts[30:] + posts[:30])))
    assert await views(adapters, *posts) == [3 * rounds] * 60


async def test_the_same_batch_at_once_counts_once(adapters: Adapters, posts: list[Post]) -> None:
    process = Process()
    for _ in range(10):
        batch = process.batch({posts[0]: 1})
        await asyncio.gather(*(added(adapters, batch) for _ in range(3)))
    assert await views(adapters, posts[0]) == [10]


async def test_lists_by_views_have_them_in_their_order(adapters: Adapters, posts: list[Post]) -> None:
    await added(adapters, Process().batch({posts[3]: 2, posts[1]: 1}))
    query = PostQuery(sort_by=SortBy.VIEWS)
    items = decoded((await adapters.pages.posts(query, viewer=None)).body)["items"]
    assert [item["id"] for item in items] == [str(posts[number].id) for number in (3, 1, 4, 2, 0)]
    assert [item["views"] for item in items] == [2, 1, 0, 0, 0]


async def test_fifty_thousand_posts_are_one_batch(adapters: Adapters, ann: User) -> None:
    posts = [a_post(author=ann.id, published_at=NOON) for _ in range(20)]
    await adapters.keep(*posts)
    counts = {**{PostId(_ids.next()): 1 for _ in range(49_980)}, **{post.id: 2 for post in posts}}
    process = Process()
    await added(adapters, process.batch(counts), process.batch(counts))
    assert await views(adapters, *posts) == [4] * 20


async def test_processes_that_were_heard_of_lately_are_not_forgotten(adapters: Adapters, posts: list[Post]) -> None:
    early, late = Process(), Process()
    batches = [process.batch({posts[0]: 1}) for process in (early, late)]
    await added(adapters, early.batch({posts[0]: 1}), at=NOON)
    await added(adapters, late.batch({posts[0]: 1}), at=NOON + SECOND)
    assert await forgotten(adapters, before=NOON) == 0
    assert await forgotten(adapters, before=NOON + SECOND) == 1
    await added(adapters, *batches, at=NOON + SECOND)
    # What came again after its process was forgotten was counted: nobody may be that late.
    assert await views(adapters, posts[0]) == [3]


async def test_processes_are_forgotten_so_many_at_a_time(adapters: Adapters, posts: list[Post]) -> None:
    for _ in range(5):
        await added(adapters, Process().batch({posts[0]: 1}))
    assert [await forgotten(adapters, before=NOON + SECOND, limit=2) for _ in range(4)] == [2, 2, 1, 0]
