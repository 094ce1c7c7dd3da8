"""The counter of views: nothing lost, nothing counted twice, whatever becomes of the database."""

import asyncio
import logging
import time
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from enum import Enum

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from application.ports.work import Isolation, UnitOfWork
from application.views import SweepViewBatches, ViewCounter, flush_views
from domain.errors import Busy, Unavailable
from domain.ids import PostId
from domain.posts import Post
from infrastructure.memory.store import MemoryStore
from tests.builders import CountingIds, FixedClock, a_post, a_user

DAY = timedelta(days=1)


class When(Enum):
    BEFORE = "before anything was done"
    AFTER = "after the commit"


class Line:
    """To the store. It breaks as often as `faults` say, each time at the next unit of work; `open` lets units begin."""

    def __init__(self, store: MemoryStore) -> None:
        self._begin = store.begin
        self.faults: deque[tuple[When, Exception]] = deque()
        self.open = asyncio.Event()
        self.open.set()
        self.begun = 0
        self.has_begun = asyncio.Event()

    def breaks(self, when: When, error: Exception | None = None, *, times: int = 1) -> None:
        self.faults.extend([(when, error or Unavailable("The database"))] * times)

    @asynccontextmanager
    async def begin(self, *, isolation: Isolation = Isolation.READ_COMMITTED) -> AsyncIterator[UnitOfWork]:
        self.begun += 1
        self.has_begun.set()
        await self.open.wait()
        when, error = self.faults.popleft() if self.faults else (None, None)
        if error is not None and when is When.BEFORE:
            raise error
        async with self._begin(isolation=isolation) as work:
            yield work
        if error is not None:
            raise error


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def line(store: MemoryStore) -> Line:
    return Line(store)


@pytest.fixture
def counter(line: Line) -> ViewCounter:
    return ViewCounter(line.begin, FixedClock(), CountingIds(), tries=3)


@pytest.fixture
async def posts(store: MemoryStore) -> list[Post]:
    return await posts_in(store)


async def posts_in(store: MemoryStore) -> list[Post]:
    ann = a_user()
    posts = [a_post(author=ann.id) for _ in range(4)]
    async with store.begin() as work:
        await work.users.add(ann)
        for post in posts:
            await work.posts.add(post)
        await work.commit()
    return posts


def views(store: MemoryStore, *posts: Post) -> list[int]:
    return [store.tables.views.rows.get(post.id, 0) for post in posts]


async def test_what_was_counted_is_added_by_one_flush(
    store: MemoryStore, line: Line, counter: ViewCounter, posts: list[Post]
) -> None:
    for number in (0, 1, 0, 0):
        counter.count(posts[number].id)
    assert counter.waiting == 4
    assert await counter.flush() is False
    assert views(store, *posts) == [3, 1, 0, 0]
    assert (counter.waiting, line.begun) == (0, 1)


async def test_nothing_read_is_nothing_written(line: Line, counter: ViewCounter) -> None:
    assert await counter.flush() is False
    assert line.begun == 0


@pytest.mark.parametrize("when", When)
@pytest.mark.parametrize("error", [Busy(), Unavailable("The database")], ids=["busy", "unavailable"])
async def test_a_batch_that_failed_comes_again_as_it_was_and_what_came_since_comes_after_it(
    store: MemoryStore, line: Line, counter: ViewCounter, posts: list[Post], when: When, error: Exception
) -> None:
    line.breaks(when, error, times=5)
    for _ in range(5):
        counter.count(posts[0].id)
        counter.count(posts[1].id)
        with pytest.raises(type(error)):
            await counter.flush()
    assert counter.failures == 5
    counter.count(posts[0].id)
    await counter.flush()
    assert views(store, *posts[:2]) == [1, 1]
    await counter.flush()
    assert views(store, *posts[:2]) == [6, 5]
    assert (counter.waiting, counter.failures) == (0, 0)


async def test_what_is_counted_during_a_flush_is_in_the_next(
    store: MemoryStore, line: Line, counter: ViewCounter, posts: list[Post]
) -> None:
    counter.count(posts[0].id)
    line.open.clear()
    flushing = asyncio.create_task(counter.flush())
    await asyncio.wait_for(line.has_begun.wait(), 10)
    counter.count(posts[0].id)
    assert counter.waiting == 2
    line.open.set()
    await flushing
    assert (views(store, posts[0]), counter.waiting) == ([1], 1)
    await counter.flush()
    assert views(store, posts[0]) == [2]


async def test_flushes_at_once_are_made_one_after_the_other(
    store: MemoryStore, line: Line, counter: ViewCounter, posts: list[Post]
) -> None:
    line.breaks(When.AFTER)

    async def read_and_flush() -> None:
        for _ in range(10):
            counter.count(posts[0].id)
            with suppress(Unavailable):
                await counter.flush()

    line.open.clear()
    reading = asyncio.gather(*(read_and_flush() for _ in range(5)))
    await asyncio.wait_for(line.has_begun.wait(), 10)
    await asyncio.sleep(0)
    assert line.begun == 1
    line.open.set()
    await reading
    assert await counter.drain(within_s=10)
    assert views(store, posts[0]) == [50]


async def test_a_flush_that_is_cancelled_loses_nothing(
    store: MemoryStore, line: Line, counter: ViewCounter, posts: list[Post]
) -> None:
    counter.count(posts[0].id)
    line.open.clear()
    flushing = asyncio.create_task(counter.flush())
    await asyncio.wait_for(line.has_begun.wait(), 10)
    flushing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await flushing
    line.open.set()
    await counter.flush()
    assert views(store, posts[0]) == [1]


async def test_views_of_posts_that_are_gone_hold_up_no_others(
    store: MemoryStore, counter: ViewCounter, posts: list[Post]
) -> None:
    for post in posts:
        counter.count(post.id)
    async with store.begin() as work:
        await work.posts.delete(posts[0].id)
        await work.commit()
    await counter.flush()
    assert (views(store, *posts), counter.waiting) == ([0, 1, 1, 1], 0)


async def test_what_gathered_for_long_comes_in_batches_of_bounded_size(
    store: MemoryStore, line: Line, posts: list[Post]
) -> None:
    counter = ViewCounter(line.begin, FixedClock(), CountingIds(), batch_posts=3)
    for post in posts * 2:
        counter.count(post.id)
    for _ in range(7):
        counter.count(PostId(a_post().id))
    assert [await counter.flush() for _ in range(4)] == [True, True, False, False]
    assert (views(store, *posts), counter.waiting) == ([2] * 4, 0)


async def test_a_defect_is_given_up_in_the_end_and_said_aloud(
    store: MemoryStore, line: Line, counter: ViewCounter, posts: list[Post], caplog: pytest.LogCaptureFixture
) -> None:
    line.breaks(When.BEFORE, ZeroDivisionError(), times=3)
    for _ in range(3):
        counter.count(posts[0].id)
        counter.count(posts[1].id)
        assert counter.lost == 0
        with pytest.raises(ZeroDivisionError):
            await counter.flush()
    assert counter.lost == 2
    [record] = [record for record in caplog.records if record.message == "views_lost"]
    assert record.levelno == logging.ERROR
    assert record.__dict__["posts"] == {str(posts[0].id): 1, str(posts[1].id): 1}
    assert record.exc_info
    await counter.flush()
    assert views(store, *posts) == [2, 2, 0, 0]


async def test_a_defect_that_passes_loses_nothing(
    store: MemoryStore, line: Line, counter: ViewCounter, posts: list[Post]
) -> None:
    line.breaks(When.BEFORE, ZeroDivisionError(), times=1)
    line.breaks(When.AFTER, ZeroDivisionError(), times=1)
    counter.count(posts[0].id)
    assert await counter.drain(within_s=10, pause_s=0)
    assert (views(store, posts[0]), counter.lost) == ([1], 0)


async def test_a_drain_waits_for_the_database(
    store: MemoryStore, line: Line, counter: ViewCounter, posts: list[Post]
) -> None:
    line.breaks(When.AFTER)
    line.breaks(When.BEFORE, times=20)
    counter.count(posts[0].id)
    with suppress(Unavailable):
        await counter.flush()
    counter.count(posts[1].id)
    assert await counter.drain(within_s=10, pause_s=0)
    assert (views(store, *posts), counter.waiting, line.begun) == ([1, 1, 0, 0], 0, 23)


async def test_a_drain_ends_in_its_time_and_says_what_is_lost(
    line: Line, counter: ViewCounter, posts: list[Post], caplog: pytest.LogCaptureFixture
) -> None:
    line.open.clear()
    counter.count(posts[0].id)
    assert not await counter.drain(within_s=0.01)
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert (record.message, record.__dict__["views"]) == ("views_lost", 1)


async def test_a_drain_of_nothing_asks_nobody(line: Line, counter: ViewCounter) -> None:
    assert await counter.drain(within_s=0.01)
    assert line.begun == 0


class Interrupted(defaultdict[bytes, int]):
    """Whoever has read a number lets the others go first."""

    def __setitem__(self, key: bytes, value: int) -> None:
        time.sleep(0)
        super().__setitem__(key, value)


async def test_any_thread_counts(
    store: MemoryStore, line: Line, posts: list[Post], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("application.views.defaultdict", Interrupted)
    counter = ViewCounter(line.begin, FixedClock(), CountingIds(), batch_posts=2)
    threads, reads = 4, 5_000

    def count() -> None:
        for number in range(reads):
            counter.count(posts[number % len(posts)].id)

    counting = [asyncio.create_task(asyncio.to_thread(count)) for _ in range(threads)]
    while not all(task.done() for task in counting):
        await counter.flush()
        await asyncio.sleep(0)
    await asyncio.gather(*counting)
    await counter.drain(within_s=5.0)
    assert views(store, *posts) == [threads * reads // len(posts)] * len(posts)


async def test_processes_that_count_at_once_are_told_apart(store: MemoryStore, line: Line, posts: list[Post]) -> None:
    ids = CountingIds()
    counters = [ViewCounter(line.begin, FixedClock(), ids) for _ in range(3)]
    for counter in counters:
        counter.count(posts[0].id)
    await asyncio.gather(*(counter.flush() for counter in counters))
    assert views(store, posts[0]) == [3]


async def test_an_outage_is_logged_when_it_begins_and_when_it_ends(
    line: Line, counter: ViewCounter, posts: list[Post], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    line.breaks(When.BEFORE, times=3)
    counter.count(posts[0].id)
    assert [await flush_views(counter) for _ in range(5)] == [False] * 5
    assert [record.message for record in caplog.records] == ["views_wait", "views_added_again"]
    assert counter.waiting == 0


async def test_processes_not_heard_of_for_a_day_are_swept(store: MemoryStore, posts: list[Post]) -> None:
    clock, ids = FixedClock(), CountingIds()
    counters = [ViewCounter(store.begin, clock, ids) for _ in range(5)]
    sweep = SweepViewBatches(store.begin, clock, batch=2)
    for counter in counters:
        counter.count(posts[0].id)
        await counter.flush()
    clock.advance(DAY)
    assert await sweep() == 0
    counters[0].count(posts[0].id)
    await counters[0].flush()
    clock.advance(timedelta(seconds=1))
    assert await sweep() == 4
    assert len(store.tables.view_batches.rows) == 1
    # Who was silent for that long, and lives, goes on where it was.
    for counter in counters:
        counter.count(posts[0].id)
        await counter.flush()
    assert views(store, posts[0]) == [11]


class Reads(RuleBasedStateMachine):
    """Two processes that read, flush, restart and are killed, against plain sums."""

    @initialize()
    def begin(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.store = MemoryStore()
        self.line = Line(self.store)
        self.ids = CountingIds()
        self.posts = self.loop.run_until_complete(posts_in(self.store))
        self.read: Counter[PostId] = Counter()
        self.may_be_lost: Counter[PostId] = Counter()
        self.unflushed: list[Counter[PostId]] = [Counter(), Counter()]
        self.counters = [self._counter(), self._counter()]

    def _counter(self) -> ViewCounter:
        return ViewCounter(self.line.begin, FixedClock(), self.ids, batch_posts=2)

    @rule(process=st.integers(0, 1), number=st.integers(0, 3), times=st.integers(1, 3))
    def count(self, process: int, number: int, times: int) -> None:
        for _ in range(times):
            self.counters[process].count(self.posts[number].id)
            self.unflushed[process][self.posts[number].id] += 1
            self.read[self.posts[number].id] += 1

    @rule(process=st.integers(0, 1), fault=st.sampled_from([None, *When]), error=st.sampled_from([Busy, KeyError]))
    def flush(self, process: int, fault: When | None, error: type[Exception]) -> None:
        counter = self.counters[process]
        if fault is not None and counter.waiting:
            self.line.breaks(fault, error())
        with suppress(Busy, KeyError):
            self.loop.run_until_complete(counter.flush())
        if not counter.waiting:
            self.unflushed[process].clear()

    @rule(process=st.integers(0, 1), faults=st.lists(st.sampled_from(When), max_size=3))
    def restart(self, process: int, faults: list[When]) -> None:
        counter = self.counters[process]
        for fault in faults if counter.waiting else ():
            self.line.breaks(fault)
        assert self.loop.run_until_complete(counter.drain(within_s=10, pause_s=0))
        self.line.faults.clear()  # after a lost answer nothing may have been left to be refused
        self.unflushed[process].clear()
        self.counters[process] = self._counter()

    @rule(process=st.integers(0, 1))
    def kill(self, process: int) -> None:
        self.may_be_lost += self.unflushed[process]
        self.unflushed[process].clear()
        self.counters[process] = self._counter()

    @invariant()
    def nothing_is_counted_twice_nor_lost_but_by_a_kill(self) -> None:
        for post_id, times in self.read.items():
            added = self.store.tables.views.rows.get(post_id, 0)
            unflushed = sum(counts[post_id] for counts in self.unflushed)
            assert times - self.may_be_lost[post_id] - unflushed <= added <= times

    def teardown(self) -> None:
        for counter in self.counters:
            assert self.loop.run_until_complete(counter.drain(within_s=10, pause_s=0))
        for counts in self.unflushed:
            counts.clear()
        self.nothing_is_counted_twice_nor_lost_but_by_a_kill()
        self.loop.close()


TestReads = Reads.TestCase
TestReads.settings = settings(stateful_step_count=30)
