"""Connections for reading pages: single statements outside any transaction, on asyncpg itself.

No session state is ever set on them, so nothing needs to be reset between two uses. asyncpg's own pool costs 60 to
100 µs a use without its reset query and 200 with it, as much as reading a post itself; handing one on costs 2 µs.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from time import monotonic, perf_counter
from types import TracebackType
from typing import Any

from domain.errors import Busy
from infrastructure.database.connections import DriverConnection, Record
from infrastructure.database.errors import domain_error, in_domain_terms
from infrastructure.database.monitoring import PoolCounters, Watch

RECYCLE_S = 1800.0
"""A connection older than this is made anew, so that the load settles again after a failover."""
CANCEL_S = 5.0
"""How long a statement that was cut short may take to end before its connection is dropped."""
CLOSE_S = 2.0


class _Slot:
    """One place of the pool, with its connection once it has one."""

    __slots__ = ("connection", "expires_at")

    def __init__(self) -> None:
        self.connection: DriverConnection | None = None
        self.expires_at = 0.0


class ReadPool:
    def __init__(
        self,
        connect: Callable[[], Awaitable[DriverConnection]],
        *,
        size: int,
        wait_s: float,
        counters: PoolCounters,
        watch: Watch,
    ) -> None:
        self._connect = connect
        self._slots = [_Slot() for _ in range(size)]
        self._wait_s = wait_s
        self._counters = counters
        self._watch = watch
        self._free = list(self._slots)
        """The last one used is the first one used again, so that the others may fall idle."""
        self._waiting: deque[asyncio.Future[_Slot]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    def reading(self) -> "Reading":
        return Reading(self, self._watch)

    def checked_out(self) -> int:
        return len(self._slots) - len(self._free)

    async def acquire(self) -> _Slot:
        """With a live connection. Raises Busy when none is free in time, Unavailable where none can be made."""
        slot = self._free.pop() if self._free else await self._wait()
        connection = slot.connection
        if connection is None or connection.is_closed() or slot.expires_at < monotonic():
            try:
                await self._renew(slot)
            except BaseException:
                self._hand_on(slot)
                raise
        self._counters.checkout += 1
        return slot

    def release(self, slot: _Slot) -> None:
        self._counters.checkin += 1
        self._hand_on(slot)

    def release_after_cancel(self, slot: _Slot) -> None:
        """Once the statement that was cut short has ended on the server too."""
        self._begin(self._settle(slot))

    async def close(self) -> None:
        """After those in use came back; those that do not within `CLOSE_S` are cut off."""
        returned: list[_Slot] = []
        try:
            async with asyncio.timeout(CLOSE_S):
                while len(returned) < len(self._slots):
                    returned.append(self._free.pop() if self._free else await self._next())
        except TimeoutError:
            for slot in self._slots:
                if slot not in returned and slot.connection is not None:
                    slot.connection.terminate()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*(self._drop(slot) for slot in returned))
            for slot in returned:
                self._hand_on(slot)

    async def _wait(self) -> _Slot:
        try:
            async with asyncio.timeout(self._wait_s):
                return await self._next()
        except TimeoutError:
            self._counters.timeout += 1
            raise Busy("All database connections are in use.") from None

    async def _next(self) -> _Slot:
        """In the order of asking."""
        place: asyncio.Future[_Slot] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            return await place
        except asyncio.CancelledError:
            if not place.cancelled():
                # It came at the same moment.
                self._hand_on(place.result())
            raise

    def _hand_on(self, slot: _Slot) -> None:
        """To who has waited longest: nobody who asks later gets it before them."""
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(slot)
                return
        self._free.append(slot)

    async def _renew(self, slot: _Slot) -> None:
        if slot.connection is not None:
            self._counters.invalidate += slot.connection.is_closed()
            old, slot.connection = slot.connection, None
            self._begin(self._end(old))
        with in_domain_terms():
            slot.connection = await self._connect()
        slot.expires_at = monotonic() + RECYCLE_S
        self._counters.connect += 1

    async def _settle(self, slot: _Slot) -> None:
        connection = slot.connection
        try:
            if connection is not None and not connection.is_closed():
                async with asyncio.timeout(CANCEL_S):
                    # asyncpg sends it only after the cancelled statement has ended.
                    await connection.execute("SELECT 1")
        except Exception:
            self._cut(slot)
        except asyncio.CancelledError:
            self._cut(slot)
            raise
        finally:
            self.release(slot)

    def _cut(self, slot: _Slot) -> None:
        if slot.connection is not None:
            self._counters.invalidate += 1
            self._counters.close += 1
            slot.connection.terminate()
            slot.connection = None

    async def _drop(self, slot: _Slot) -> None:
        if slot.connection is not None:
            old, slot.connection = slot.connection, None
            await self._end(old)

    async def _end(self, connection: DriverConnection) -> None:
        self._counters.close += 1
        try:
            await connection.close(timeout=CLOSE_S)
        except Exception:
            connection.terminate()

    def _begin(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class Reading:
    """A connection for as long as the block lasts. What fails in it is raised in the domain's terms."""

    __slots__ = ("_connection", "_pool", "_slot", "_watch")

    _slot: _Slot
    _connection: DriverConnection

    def __init__(self, pool: ReadPool, watch: Watch) -> None:
        self._pool = pool
        self._watch = watch

    async def __aenter__(self) -> "Reading":
        self._slot = slot = await self._pool.acquire()
        assert slot.connection is not None  # noqa: S101 -- what acquire promises, for the type checker
        self._connection = slot.connection
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self._pool.release(self._slot)
        elif not isinstance(error, Exception):
            self._pool.release_after_cancel(self._slot)
        else:
            self._pool.release(self._slot)
            known = domain_error(error)
            if known is not None:
                raise known from error

    async def fetch(self, statement: str, *args: object) -> list[Record]:
        began = perf_counter()
        try:
            return await self._connection.fetch(statement, *args)
        finally:
            self._watch(statement, perf_counter() - began)

    async def fetchrow(self, statement: str, *args: object) -> Record | None:
        began = perf_counter()
        try:
            return await self._connection.fetchrow(statement, *args)
        finally:
            self._watch(statement, perf_counter() - began)

    async def fetchval(self, statement: str, *args: object) -> Any:
        began = perf_counter()
        try:
            return await self._connection.fetchval(statement, *args)
        finally:
            self._watch(statement, perf_counter() - began)

    async def fetch_planned_anew(self, statement: str, *args: object) -> list[Record]:
        """With a plan made for just these arguments: a prepared statement's first plans are; a kept one's are not."""
        began = perf_counter()
        try:
            return await (await self._connection.prepare(statement)).fetch(*args)
        finally:
            self._watch(statement, perf_counter() - began)
