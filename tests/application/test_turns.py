import asyncio
from collections.abc import Callable

from application.importing.turns import Turns


def _nothing() -> None:
    """Not alone yet."""


async def settle() -> None:
    """Long enough for whoever can go on to have done so."""
    for _ in range(20):
        await asyncio.sleep(0)


class Guest:
    """There from when it is let in until it is told to leave."""

    def __init__(self, turns: Turns, *, alone: bool = False) -> None:
        self.is_in = False
        self._leave = asyncio.Event()
        self.relax: Callable[[], None] = _nothing
        self._task = asyncio.create_task(self._stay_alone(turns) if alone else self._stay(turns))

    async def _stay(self, turns: Turns) -> None:
        async with turns.beside_others():
            await self._stay_in()

    async def _stay_alone(self, turns: Turns) -> None:
        async with turns.alone() as self.relax:
            await self._stay_in()

    async def _stay_in(self) -> None:
        self.is_in = True
        await self._leave.wait()
        self.is_in = False

    async def leave(self) -> None:
        self._leave.set()
        await self._task
        await settle()

    async def give_up(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])
        await settle()


async def test_several_are_there_at_once_and_who_wants_to_be_alone_waits_for_all_of_them() -> None:
    turns = Turns()
    first, second = Guest(turns), Guest(turns)
    await settle()
    alone, late = Guest(turns, alone=True), Guest(turns)
    await settle()
    assert [guest.is_in for guest in (first, second, alone, late)] == [True, True, False, False]
    await first.leave()
    assert [alone.is_in] == [False]
    await second.leave()
    assert (alone.is_in, late.is_in) == (True, False)
    await alone.leave()
    assert [late.is_in] == [True]
    await late.leave()


async def test_who_was_alone_lets_others_begin_beside_and_the_next_to_be_alone_waits() -> None:
    turns = Turns()
    alone = Guest(turns, alone=True)
    await settle()
    beside = Guest(turns)
    await settle()
    assert [beside.is_in] == [False]
    alone.relax()
    await settle()
    assert [beside.is_in] == [True]
    another = Guest(turns, alone=True)
    await alone.leave()
    assert [another.is_in] == [False]
    await beside.leave()
    assert [another.is_in] == [True]
    await another.leave()


async def test_two_that_want_to_be_alone_are_so_one_after_the_other() -> None:
    turns = Turns()
    one, other = Guest(turns, alone=True), Guest(turns, alone=True)
    await settle()
    assert (one.is_in, other.is_in) == (True, False)
    await one.leave()
    assert [other.is_in] == [True]
    await other.leave()


async def test_who_gives_up_waiting_holds_nobody_up() -> None:
    turns = Turns()
    first = Guest(turns)
    await settle()
    alone, late = Guest(turns, alone=True), Guest(turns)
    await settle()
    await alone.give_up()
    assert late.is_in
    await first.leave()
    await late.leave()
