import asyncio

from application.periodic import Periodic, until_set
from domain.errors import Busy


async def test_a_step_that_fails_does_not_end_the_steps() -> None:
    stop = asyncio.Event()
    outcomes: list[Exception | bool] = [Busy(), RuntimeError(), False, True, False]
    taken = 0

    async def step() -> bool:
        nonlocal taken
        outcome = outcomes[taken]
        taken += 1
        if taken == len(outcomes):
            stop.set()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async with asyncio.timeout(10):
        await Periodic("a step", 0.001, step).repeat(stop)
    assert taken == len(outcomes)


async def test_a_step_that_has_more_to_do_is_taken_again_at_once() -> None:
    stop = asyncio.Event()
    left = 3

    async def step() -> bool:
        nonlocal left
        left -= 1
        if not left:
            stop.set()
        return bool(left)

    async with asyncio.timeout(10):
        await Periodic("a step", 3600, step).repeat(stop)
    assert left == 0


async def test_it_stops_without_waiting_for_the_next_step() -> None:
    stop = asyncio.Event()
    taken = asyncio.Event()

    async def step() -> bool:
        taken.set()
        return False

    repeating = asyncio.create_task(Periodic("a step", 3600, step).repeat(stop))
    await taken.wait()
    stop.set()
    async with asyncio.timeout(10):
        await repeating


async def test_a_wait_ends_when_the_event_is_set_or_its_time_is_up() -> None:
    event = asyncio.Event()
    async with asyncio.timeout(10):
        await until_set(event, 0.001)
        assert not event.is_set()
        waiting = asyncio.create_task(until_set(event, 3600))
        await asyncio.sleep(0)
        event.set()
        await waiting
