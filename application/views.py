"""Views, counted without a write per read: gathered in the process, and added to the database in batches.

A batch is named by its process and a number, and the database takes a process's batches in the order of their numbers,
each once. One whose adding failed is tried again as it is before any later one is made: its commit may have happened
and only the answer was lost, and then it counts nothing. What a process has gathered is lost if it is killed.
"""

import asyncio
import logging
import threading
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from uuid import UUID

from application.ports.repositories import ViewBatch
from application.ports.services import Clock, Ids
from application.ports.work import BeginWork
from domain.errors import Busy, Unavailable
from domain.ids import PostId

log = logging.getLogger(__name__)


class ViewCounter:
    """Of one process: any of its threads counts, one event loop flushes. While the database is away, it keeps a number
    for each post that is read.

    At most `batch_posts` posts are in a batch, so that it fits into a statement's timeout however long they gathered.
    A batch that fails `tries` times by a defect, which no waiting mends, is given up, so that later ones are counted:
    its views are logged, and counted in `lost`.
    """

    def __init__(
        self, begin: BeginWork, clock: Clock, ids: Ids, *, batch_posts: int = 10_000, tries: int = 100
    ) -> None:
        self._begin = begin
        self._clock = clock
        self._ids = ids
        self._batch_posts = batch_posts
        self._tries = tries
        self._process: UUID | None = None
        self._sequence = 0
        self._gathered: dict[bytes, int] = defaultdict(int)
        self._counting = threading.Lock()
        """Held for a moment, by whoever uses what is gathered."""
        self._batch: ViewBatch | None = None
        self._defects = 0
        self._flushing = asyncio.Lock()
        self.failures = 0
        """Flushes that have failed since the last one that did not."""
        self.lost = 0

    def count(self, post_id: PostId) -> None:
        self.count_packed(post_id.bytes)

    def count_packed(self, post_id: bytes) -> None:
        """The id's 16 bytes: a UUID's hash is computed each time, and in Python; that of bytes is kept."""
        with self._counting:
            self._gathered[post_id] += 1

    @property
    def waiting(self) -> int:
        """Views that are not known to be in the database."""
        with self._counting:
            gathered = sum(self._gathered.values())
        return gathered + (_views(self._batch) if self._batch else 0)

    async def flush(self) -> bool:
        """Add one batch; whether another one can follow at once. One flush at a time: the others wait for it.

        Raises Busy, Unavailable, and whatever else the batch met with; nothing of it is forgotten then."""
        async with self._flushing:
            # Kept here until it is known to be added, also when this is cancelled.
            batch = self._batch = self._batch or self._take()
            if batch is None:
                return False
            try:
                await self._add(batch)
            except (Busy, Unavailable):
                self.failures += 1
                raise
            except Exception as error:
                self.failures += 1
                self._failed_by_defect(batch, error)
                raise
            self._batch = None
            self.failures = self._defects = 0
            return len(self._gathered) >= self._batch_posts

    async def drain(self, *, within_s: float, pause_s: float = 0.1) -> bool:
        """Flush until nothing is left, past whatever fails; whether nothing was `within_s`. What is left is logged."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self._batch or self._gathered:
                    if not await self._flushed():
                        await asyncio.sleep(pause_s)
                return True
        log.error("views_lost", extra={"views": self.waiting, "reason": f"not added within {within_s:g} s"})
        return False

    async def _flushed(self) -> bool:
        try:
            await self.flush()
        except Exception as error:
            log.warning("views_wait", extra={"views": self.waiting, "reason": repr(error)})
            return False
        return True

    async def _add(self, batch: ViewBatch) -> None:
        async with self._begin() as work:
            await work.views.add(batch, at=self._clock.now())
            await work.commit()

    def _take(self) -> ViewBatch | None:
        with self._counting:
            gathered = self._gathered
            if len(gathered) <= self._batch_posts:
                taken, self._gathered = gathered, defaultdict(int)
            else:
                taken = {packed: gathered.pop(packed) for packed in list(islice(gathered, self._batch_posts))}
        if not taken:
            return None
        counts = {PostId(UUID(bytes=packed)): count for packed, count in taken.items()}
        if self._process is None:
            # Not before: servers fork, and two processes of one name would take each other's batches for repeats.
            self._process = self._ids.next()
        self._sequence += 1
        return ViewBatch(self._process, self._sequence, counts)

    def _failed_by_defect(self, batch: ViewBatch, error: Exception) -> None:
        self._defects += 1
        if self._defects < self._tries:
            return
        self._batch = None
        self._defects = 0
        self.lost += _views(batch)
        log.error(
            "views_lost",
            exc_info=error,
            extra={
                "views": _views(batch),
                "posts": {str(post_id): count for post_id, count in batch.counts.items()},
                "counted_by": str(batch.process),
                "sequence": batch.sequence,
                "reason": f"failed {self._tries} times",
            },
        )


async def flush_views(counter: ViewCounter) -> bool:
    """As a step to be taken again and again: whether there is more to do at once. It logs when views begin to wait for
    the database and when they do no longer, not each time. Raises what `flush` does, but for Busy and Unavailable."""
    failed_before = counter.failures
    try:
        more = await counter.flush()
    except (Busy, Unavailable) as error:
        if not failed_before:
            log.warning("views_wait", extra={"views": counter.waiting, "reason": str(error)})
        return False
    if failed_before:
        log.info("views_added_again", extra={"failures": failed_before})
    return more


@dataclass(frozen=True, slots=True)
class SweepViewBatches:
    """Forgets which batch was the last one of processes that have added none for so long: most have ended.

    `kept` must be longer than any batch is tried again after its commit, or it would count twice: a process that
    lives tries twice a second, so its database would have to be away for all that time. An hour would be short for an
    outage, a day is plenty.
    """

    begin: BeginWork
    clock: Clock
    kept: timedelta = timedelta(days=1)
    batch: int = 1_000

    async def __call__(self) -> int:
        """How many processes were forgotten."""
        before = self.clock.now() - self.kept
        swept = 0
        while True:
            async with self.begin() as work:
                gone = await work.views.forget_processes(before=before, limit=self.batch)
                await work.commit()
            swept += gone
            if gone < self.batch:
                return swept


def _views(batch: ViewBatch) -> int:
    return sum(batch.counts.values())
