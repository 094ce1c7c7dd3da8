"""Warming the cache: reading the pages that will be asked for, before anybody does."""

import asyncio
import json
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field

from application.caching.keys import PageKey, page_key, post_key, posts_key, users_key
from application.caching.pages import packed_list, packed_page, unpacked_list
from application.caching.reading import ReadThrough
from application.caching.tags import ALL
from application.pages import Count, ListPage, Pages, PostQuery, SortBy, UserQuery
from application.periodic import until_set
from application.ports.cache import SharedCache
from domain.errors import Busy, InvalidValue, NotFound, Unavailable
from domain.posts import Slug
from domain.warmings import Ending, WarmingReport

LISTS = (
    PostQuery(),
    PostQuery(count=Count.NONE),
    PostQuery(page=2),
    PostQuery(page=3),
    PostQuery(sort_by=SortBy.VIEWS),
)
"""The pages of lists that most sites ask for, beside the first one of users."""


@dataclass(frozen=True, slots=True)
class WarmCache:
    """The first pages of the common lists, then the pages that were read most lately, or, where nothing is known of
    that, the posts on those lists. What is there for another `every_s`, after which the next warming is due, is only
    looked at; what would end sooner is loaded anew.

    It gives way to traffic: at most `pages_max` pages and `max_s` seconds, `at_once` at a time, each loading for no
    more than `share` of the time; it ends where the database is busy, and where the database or the shared cache is
    away, and, with `stop` set, after the page at hand.
    """

    cache: SharedCache
    read: ReadThrough
    source: Pages
    pages_max: int = 500
    max_s: float = 30.0
    at_once: int = 2
    share: float = 0.25
    every_s: float = 0.0
    now: Callable[[], float] = time.monotonic
    rest: Callable[[asyncio.Event, float], Awaitable[None]] = until_set

    async def __call__(self, *, stop: asyncio.Event | None = None) -> WarmingReport:
        walk = _Walk(self, stop or asyncio.Event())
        try:
            await self.cache.tokens((ALL,))
            most_read = await self.cache.most_read(self.pages_max)
        except Unavailable:
            return walk.report(Ending.AWAY)
        await walk.over([*map(posts_key, LISTS), users_key(UserQuery())])
        await walk.over(list(_known(most_read)) or walk.posts_seen())
        return walk.report(Ending.DONE)


@dataclass(slots=True)
class _Walk:
    """A warming that is under way. `ended` says why before all is done."""

    warm: WarmCache
    stop: asyncio.Event
    began: float = 0.0
    ended: Ending | None = None
    asked: int = 0
    loaded: int = 0
    already_there: int = 0
    gone: int = 0
    bypassed_before: int = 0
    lists: list[ListPage] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.began = self.warm.now()
        self.bypassed_before = self.warm.read.counts.bypassed

    @property
    def left_s(self) -> float:
        return self.began + self.warm.max_s - self.warm.now()

    def report(self, ended: Ending) -> WarmingReport:
        took_s = round(self.warm.now() - self.began, 3)
        return WarmingReport(
            self.asked, self.loaded, self.already_there, self.gone, took_s, self.ended if self.ended else ended
        )

    def posts_seen(self) -> list[PageKey]:
        """Those on the lists that were read, by slug, as clients ask for them."""
        items = (item for page in self.lists for item in json.loads(page.body)["items"])
        return [post_key(Slug(item["slug"])) for item in items if "slug" in item]

    async def over(self, keys: Iterable[PageKey]) -> None:
        waiting = deque({key.text: key for key in keys if key.text not in self._seen}.values())
        self._seen.update(key.text for key in waiting)
        async with asyncio.TaskGroup() as group:
            for _ in range(self.warm.at_once):
                group.create_task(self._walk(waiting))

    async def _walk(self, waiting: deque[PageKey]) -> None:
        while waiting and self.ended is None:
            if self.stop.is_set():
                self.ended = Ending.CANCELLED
            elif self.asked >= self.warm.pages_max or self.left_s <= 0:
                self.ended = Ending.BUDGET
            else:
                await self._take(waiting.popleft())

    async def _take(self, key: PageKey) -> None:
        self.asked += 1
        began = self.warm.now()
        try:
            has_loaded = await self._read(key)
        except (NotFound, InvalidValue):
            self.gone += 1
            has_loaded = True
        except Busy:
            self.ended = Ending.BUSY
            return
        except Unavailable:
            self.ended = Ending.AWAY
            return
        else:
            self.loaded += has_loaded
            self.already_there += not has_loaded
        if self.warm.read.counts.bypassed != self.bypassed_before:
            self.ended = Ending.AWAY
        elif has_loaded:
            rest_s = (self.warm.now() - began) * (1 / self.warm.share - 1)
            await self.warm.rest(self.stop, min(rest_s, max(0.0, self.left_s)))

    async def _read(self, key: PageKey) -> bool:
        """Whether it had to be loaded."""
        has_loaded = False

        async def load() -> bytes:
            nonlocal has_loaded
            has_loaded = True
            page = await key.read(self.warm.source)
            return packed_list(page) if isinstance(page, ListPage) else packed_page(page)

        value = await self.warm.read(key.text, key.tags, load, fresh_for_s=self.warm.every_s)
        if key.text.startswith("posts?"):
            self.lists.append(unpacked_list(value))
        return has_loaded


def _known(texts: Iterable[str]) -> Iterator[PageKey]:
    """Without those that name no page: totals, and what other versions of the service noted."""
    for text in texts:
        try:
            yield page_key(text)
        except ValueError:
            continue
