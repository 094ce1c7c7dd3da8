"""Row locks of several strengths, held by a transaction until it ends, after PostgreSQL (13.3.2, Row-Level Locks)."""

import asyncio
from collections.abc import Hashable, Iterator
from enum import IntEnum

from domain.errors import Busy


class Strength(IntEnum):
    """KEY_SHARE: nobody deletes the row. NO_KEY_UPDATE: nor locks or changes it. UPDATE: nor refers to it."""

    KEY_SHARE = 1
    NO_KEY_UPDATE = 2
    UPDATE = 3

    def conflicts_with(self, other: "Strength") -> bool:
        return self + other > Strength.UPDATE


class RowLocks:
    """Who waits longer than `timeout_s`, or for somebody who waits for them, is refused with Busy."""

    def __init__(self, *, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._held: dict[Hashable, dict[object, Strength]] = {}
        self._wanted: dict[object, tuple[Hashable, Strength]] = {}
        self._sleepers: list[asyncio.Future[None]] = []

    async def acquire(self, owner: object, row: Hashable, strength: Strength) -> None:
        """Raises Busy."""
        if self.try_acquire(owner, row, strength):
            return
        self._wanted[owner] = (row, strength)
        try:
            async with asyncio.timeout(self._timeout_s):
                while not self.try_acquire(owner, row, strength):
                    if owner in self._waited_for(owner):
                        raise Busy("Two transactions waited for each other.")
                    await self._release()
        except TimeoutError:
            raise Busy("Another transaction holds what this one needs.") from None
        finally:
            del self._wanted[owner]

    def try_acquire(self, owner: object, row: Hashable, strength: Strength) -> bool:
        """Whether it could be had at once."""
        if any(self._blockers(owner, row, strength)):
            return False
        holders = self._held.setdefault(row, {})
        holders[owner] = max(strength, holders.get(owner, strength))
        return True

    def holders(self, row: Hashable) -> list[object]:
        return list(self._held.get(row, ()))

    def release(self, owner: object) -> None:
        """All that `owner` holds."""
        for row in [row for row, holders in self._held.items() if owner in holders]:
            del self._held[row][owner]
            if not self._held[row]:
                del self._held[row]
        sleepers, self._sleepers = self._sleepers, []
        for sleeper in sleepers:
            if not sleeper.done():
                sleeper.set_result(None)

    def _blockers(self, owner: object, row: Hashable, strength: Strength) -> Iterator[object]:
        for holder, held in self._held.get(row, {}).items():
            if holder is not owner and strength.conflicts_with(held):
                yield holder

    def _waited_for(self, owner: object) -> set[object]:
        """Everybody whom `owner` waits for, through others too."""
        reached: set[object] = set()
        ahead = [owner]
        while ahead:
            waiting = ahead.pop()
            if waiting in self._wanted:
                found = set(self._blockers(waiting, *self._wanted[waiting])) - reached
                reached |= found
                ahead += found
        return reached

    async def _release(self) -> None:
        sleeper = asyncio.get_running_loop().create_future()
        self._sleepers.append(sleeper)
        await sleeper
