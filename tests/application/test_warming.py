"""Warming the cache: which pages, how many, how it gives way, and what it reports."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import pytest

from application.caching.keys import page_key, post_key, posts_key, user_key, users_key
from application.caching.pages import CachedPages
from application.caching.reading import ReadThrough
from application.caching.warming import LISTS, WarmCache
from application.pages import ListPage, Page, Pages, PostQuery, SortBy, UserQuery
from application.periodic import until_set
from domain.actors import Actor
from domain.errors import Busy, Unavailable
from domain.ids import PostId, UserId
from domain.posts import PostStatus, Slug
from domain.users import User
from domain.warmings import Ending, WarmingReport
from infrastructure.cache.memory import MemoryCache
from infrastructure.cache.none import NoCache
from infrastructure.memory.pages import MemoryPages
from tests.application.house import House
from tests.builders import a_post

COMMON = len(LISTS) + 1


@dataclass
class Source:
    """The pages where they are kept. `before` each reading by a stranger, which may refuse it or wait."""

    pages: Pages
    before: Callable[[], Awaitable[None]] | None = None
    asked: list[object] = field(default_factory=list)

    async def post(self, ref: PostId | Slug, *, viewer: Actor | None) -> Page:
        await self._ask(ref)
        return await self.pages.post(ref, viewer=viewer)

    async def posts(self, query: PostQuery, *, viewer: Actor | None) -> ListPage:
        await self._ask(query)
        return await self.pages.posts(query, viewer=viewer)

    async def user(self, user_id: UserId, *, include_posts: bool, viewer: Actor | None) -> Page:
        await self._ask(user_id)
        return await self.pages.user(user_id, include_posts=include_posts, viewer=viewer)

    async def users(self, query: UserQuery, *, viewer: Actor | None) -> ListPage:
        await self._ask(query)
        return await self.pages.users(query, viewer=viewer)

    async def emails(self, query: UserQuery) -> ListPage:
        return await self.pages.emails(query)

    async def _ask(self, what: object) -> None:
        self.asked.append(what)
        if self.before is not None:
            await self.before()


class Stove:
    """A warming, and all that it stands on."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.cache = MemoryCache()
        self.read = ReadThrough(self.cache, ttl_s=60)
        self.source = Source(MemoryPages(house.store))
        self.clock = 0.0
        self.rests: list[float] = []
        self.warm = WarmCache(
            self.cache, self.read, self.source, share=0.25, at_once=1, now=lambda: self.clock, rest=self._rest
        )

    async def _rest(self, _: asyncio.Event, seconds: float) -> None:
        self.rests.append(seconds)
        self.clock += seconds

    def loading_takes(self, seconds: float) -> None:
        async def take() -> None:
            self.clock += seconds

        self.source.before = take

    def fails(self, error: Exception, *, at: int) -> None:
        async def fail() -> None:
            if len(self.source.asked) == at:
                raise error

        self.source.before = fail

    def pages(self) -> CachedPages:
        return CachedPages(self.source, self.read)


@pytest.fixture
def stove(house: House) -> Stove:
    return Stove(house)


@pytest.fixture
async def ann(house: House) -> User:
    return await house.a_member("ann")


async def published(house: House, author: User, *slugs: str) -> None:
    async with house.store.begin() as work:
        for slug in slugs:
            await work.posts.add(a_post(author=author.id, slug=slug, status=PostStatus.PUBLISHED))
        await work.commit()


def slugs(stove: Stove) -> set[str]:
    return {asked.value for asked in stove.source.asked if isinstance(asked, Slug)}


async def test_the_first_pages_of_common_lists_are_read_and_are_there_for_who_comes_next(
    stove: Stove, house: House, ann: User
) -> None:
    report = await stove.warm()
    assert replace(report, took_s=0) == WarmingReport(COMMON, COMMON, 0, 0, 0, Ending.DONE)
    loaded = len(stove.source.asked)
    for query in LISTS:
        await stove.pages().posts(query, viewer=None)
    await stove.pages().users(UserQuery(), viewer=None)
    await stove.pages().posts(PostQuery(sort_by=SortBy.VIEWS), viewer=None)
    assert len(stove.source.asked) == loaded


async def test_where_nobody_read_lately_the_posts_on_those_lists_are_read_by_slug(
    stove: Stove, house: House, ann: User
) -> None:
    await published(house, ann, *(f"post-{number}" for number in range(70)))
    report = await stove.warm()
    assert len(slugs(stove)) >= 60  # three pages of twenty
    assert (report.asked, report.loaded) == (COMMON + len(slugs(stove)), COMMON + len(slugs(stove)))


async def test_the_pages_that_were_read_most_are_read_and_no_posts_that_were_not(
    stove: Stove, house: House, ann: User
) -> None:
    await published(house, ann, "hot", "cold")
    keys = (post_key(Slug("hot")), user_key(ann.id, True), posts_key(PostQuery(tag="x")))
    # A common list is asked for once, however often it was read.
    await stove.cache.note_reads({key.text: 3 for key in (*keys, posts_key(PostQuery()))})
    report = await stove.warm()
    assert (report.asked, report.loaded, report.ended) == (COMMON + 3, COMMON + 3, Ending.DONE)
    assert slugs(stove) == {"hot"}
    await stove.pages().post(Slug("hot"), viewer=None)
    await stove.pages().user(ann.id, include_posts=True, viewer=None)
    assert len(stove.source.asked) == report.loaded


async def test_what_is_there_is_not_loaded_again(stove: Stove, house: House, ann: User) -> None:
    await published(house, ann, "hot")
    await stove.warm()
    again = await stove.warm()
    assert (again.asked, again.loaded, again.already_there) == (COMMON + 1, 0, COMMON + 1)
    await stove.cache.forget(users_key(UserQuery()).tags[:1])
    assert (await stove.warm()).loaded == 1


async def test_what_would_end_before_the_next_warming_is_loaded_anew_so_that_nothing_is_ever_cold(
    stove: Stove, house: House, ann: User
) -> None:
    await published(house, ann, "hot")
    cache = MemoryCache(now=lambda: stove.clock)
    stove.read = ReadThrough(cache, ttl_s=60, now=lambda: stove.clock)
    warm = replace(stove.warm, cache=cache, read=stove.read, every_s=40)
    assert (await warm()).loaded == COMMON + 1
    stove.clock += 10  # 44 s are left at least
    assert replace(await warm(), took_s=0) == WarmingReport(COMMON + 1, 0, COMMON + 1, 0, 0, Ending.DONE)
    stove.clock += 40  # none would last another 40 s
    assert replace(await warm(), took_s=0) == WarmingReport(COMMON + 1, COMMON + 1, 0, 0, 0, Ending.DONE)
    stove.clock += 40
    loaded = len(stove.source.asked)
    for query in LISTS:
        await stove.pages().posts(query, viewer=None)
    await stove.pages().users(UserQuery(), viewer=None)
    await stove.pages().post(Slug("hot"), viewer=None)
    assert len(stove.source.asked) == loaded


async def test_without_a_schedule_what_is_there_is_left_alone_however_soon_it_ends(stove: Stove) -> None:
    cache = MemoryCache(now=lambda: stove.clock)
    read = ReadThrough(cache, ttl_s=60, now=lambda: stove.clock)
    warm = replace(stove.warm, cache=cache, read=read)
    await warm()
    stove.clock += 53  # 1 s is left at least
    assert (await warm()).already_there == COMMON


async def test_texts_that_name_no_page_are_passed_over_and_pages_that_are_gone_are_told(stove: Stove) -> None:
    bad_cursor = posts_key(PostQuery(after="nonsense")).text
    for text in ("total/posts", "from another version", "post/It is none"):
        with pytest.raises(ValueError, match="names no page"):
            page_key(text)
    await stove.cache.note_reads({"total/posts": 9, "from another version": 8, "post/gone": 7, bad_cursor: 6})
    report = await stove.warm()
    assert (report.asked, report.loaded, report.gone, report.ended) == (COMMON + 2, COMMON, 2, Ending.DONE)


async def test_no_more_pages_are_asked_for_than_may(stove: Stove, house: House, ann: User) -> None:
    await published(house, ann, *(f"post-{number}" for number in range(9)))
    report = await replace(stove.warm, pages_max=COMMON + 2)()
    assert (report.asked, report.loaded, report.ended) == (COMMON + 2, COMMON + 2, Ending.BUDGET)
    assert (await replace(stove.warm, pages_max=COMMON + 9)()).ended is Ending.DONE


async def test_it_loads_for_its_share_of_the_time_and_rests_for_the_others(stove: Stove) -> None:
    stove.loading_takes(0.5)
    report = await stove.warm()
    assert stove.rests == [1.5] * COMMON
    assert report.took_s == 2.0 * COMMON
    stove.rests.clear()
    assert (await stove.warm()).took_s == 0
    assert stove.rests == []


async def test_it_ends_when_its_time_is_up(stove: Stove) -> None:
    stove.loading_takes(1.0)
    report = await replace(stove.warm, max_s=6.0)()
    assert stove.rests == [3.0, 1.0]
    assert (report.asked, report.took_s, report.ended) == (2, 6.0, Ending.BUDGET)


@pytest.mark.parametrize(("error", "ended"), [(Busy(), Ending.BUSY), (Unavailable("It"), Ending.AWAY)])
async def test_it_gives_way_where_the_database_is_busy_or_away(stove: Stove, error: Exception, ended: Ending) -> None:
    stove.fails(error, at=3)
    report = await stove.warm()
    assert (report.asked, report.loaded, report.ended) == (3, 2, ended)


@pytest.mark.parametrize("at_once", [1, 2, 3])
async def test_so_many_pages_are_loaded_at_a_time(stove: Stove, at_once: int) -> None:
    under_way = most = 0

    async def before() -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(9):
            await asyncio.sleep(0)
        under_way -= 1

    stove.source.before = before
    report = await replace(stove.warm, at_once=at_once)()
    assert (most, report.loaded) == (at_once, COMMON)


async def test_with_the_shared_cache_away_nothing_is_loaded(stove: Stove) -> None:
    stove.cache.away = True
    assert await stove.warm() == WarmingReport(0, 0, 0, 0, 0, Ending.AWAY)
    nothing = NoCache()
    without = replace(stove.warm, cache=nothing, read=ReadThrough(nothing, ttl_s=60))
    assert (await without()).ended is Ending.AWAY
    assert stove.source.asked == []


async def test_it_ends_when_the_shared_cache_goes_away_meanwhile(stove: Stove) -> None:
    async def lose() -> None:
        stove.cache.away = len(stove.source.asked) == 2

    stove.source.before = lose
    report = await stove.warm()
    # The third is loaded before anybody knows; and nobody has it.
    assert (report.asked, report.ended) == (3, Ending.AWAY)


async def test_it_stops_after_the_page_at_hand(stove: Stove) -> None:
    stop = asyncio.Event()

    async def told() -> None:
        if len(stove.source.asked) == 2:
            stop.set()

    stove.source.before = told
    report = await replace(stove.warm, rest=until_set)(stop=stop)
    assert (report.asked, report.loaded, report.ended) == (2, 2, Ending.CANCELLED)
