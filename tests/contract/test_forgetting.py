"""What a unit of work changes is forgotten: after its commit, before its answer, and by the outbox where that fails."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest

from application.caching.forgetting import FORGET
from application.outbox import RelayOutbox
from application.ports.work import BeginWork, Message
from domain.errors import UserNotFound
from infrastructure.database.database import service_database
from infrastructure.memory.store import MemoryStore
from infrastructure.settings import Settings
from tests.builders import NOON, a_message, a_user
from tests.caching.recording import Gate, Recording

DUE = NOON + timedelta(seconds=1)
LATER = NOON + timedelta(minutes=1)


@dataclass
class Place(Recording):
    begin: BeginWork = None  # type: ignore[assignment]  # each family sets it
    checked_out: Callable[[], int] = lambda: 0

    async def messages(self) -> list[Message]:
        """All that wait in the outbox, left as they are."""
        async with self.begin() as work:
            return await work.outbox.claim(100, at=LATER, until=LATER)

    def relay(self) -> RelayOutbox:
        return RelayOutbox(self.begin, self.clock, {}, self.forgetting)


@pytest.fixture
def memory_place() -> Place:
    place = Place()
    store = MemoryStore(place.forgetting)
    place.begin, place.checked_out = store.begin, store.checked_out
    return place


@pytest.fixture
async def database_place(database_url: str) -> AsyncIterator[Place]:
    place = Place()
    database = service_database(Settings.model_validate({"database_url": database_url}), place.forgetting)
    place.begin, place.checked_out = database.begin, database.checked_out
    yield place
    assert database.checked_out() == 0
    await database.close()


@pytest.fixture(params=["memory", pytest.param("database", marks=pytest.mark.servers)])
def place(request: pytest.FixtureRequest) -> Place:
    chosen: Place = request.getfixturevalue(f"{request.param}_place")
    return chosen


async def write(place: Place, *tags: str) -> None:
    async with place.begin() as work:
        await work.users.add(a_user())
        work.forget(tags)
        await work.commit()


async def test_all_tags_of_a_transaction_are_one_message_written_in_it_and_due_a_second_later(place: Place) -> None:
    place.cache.away = True
    async with place.begin() as work:
        work.forget(["b"])
        work.forget(tag for tag in ("a", "b"))
        work.forget([])
        await work.commit()
        assert place.host.forgotten == []
    (message,) = await place.messages()
    assert (message.topic, message.body, message.created_at) == (FORGET, {"tags": ["a", "b"]}, DUE)


async def test_what_is_committed_is_forgotten_before_its_answer_with_the_connection_given_back(place: Place) -> None:
    user = a_user()
    seen: list[object] = []

    async def look() -> None:
        seen.append(("forgetting", place.checked_out(), list(place.host.forgotten)))
        async with place.begin() as work:
            seen.append((await work.users.get(user.id)).id)

    async def step() -> None:
        seen.append(("step", list(place.cache.forgotten), list(place.host.forgotten)))

    place.cache.before = look
    async with place.begin() as work:
        work.after_commit(step)
        await work.users.add(user)
        work.forget(["users"])
        await work.commit()
        assert seen == []
    forgotten = [frozenset({"users"})]
    assert seen == [("forgetting", 0, []), user.id, ("step", forgotten, forgotten)]


async def test_nothing_is_forgotten_of_what_was_rolled_back_or_never_asked_for(place: Place) -> None:
    async with place.begin() as work:
        await work.users.add(a_user())
        work.forget(["users"])

    async def fail() -> None:
        async with place.begin() as work:
            work.forget(["users"])
            await work.users.get(a_user().id)

    with pytest.raises(UserNotFound):
        await fail()
    await write(place)
    assert (place.cache.forgotten, place.host.forgotten, await place.messages()) == ([], [], [])


async def test_what_a_rehearsal_would_forget_is_not_and_what_is_around_it_is(place: Place) -> None:
    async with place.begin() as work:
        work.forget(["before"])
        async with work.rehearsal():
            work.forget(["rehearsed"])
        work.forget(["after"])
        await work.commit()
    assert place.cache.forgotten == [{"before", "after"}]


async def test_a_message_that_is_done_at_once_is_deleted_by_the_relay_with_all_others(place: Place) -> None:
    for tag in ("a", "b", "c"):
        await write(place, tag)
    assert len(await place.messages()) == 3
    place.cache.taken()
    place.clock.at = LATER
    assert await place.relay()() == (0, [])
    assert await place.messages() == []
    assert place.cache.forgotten == []


async def test_what_failed_at_once_is_forgotten_by_the_relay_when_due(place: Place) -> None:
    place.cache.away = True
    await write(place, "users")
    assert place.host.forgotten == [{"users"}]
    place.cache.away = False
    assert await place.relay()() == (0, [])
    place.clock.at = DUE
    assert await place.relay()() == (1, [])
    assert place.cache.forgotten == [{"users"}]
    assert await place.messages() == []


async def test_any_other_failure_is_left_to_the_relay_too_and_told_to_nobody(place: Place) -> None:
    async def fail() -> None:
        raise RuntimeError

    place.cache.before = fail
    await write(place, "users")
    assert len(await place.messages()) == 1


async def test_what_is_committed_is_forgotten_though_its_request_is_cancelled_meanwhile(place: Place) -> None:
    gate = place.cache.before = Gate()
    request = asyncio.create_task(write(place, "users"))
    await gate.reached.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert place.checked_out() == 0
    gate.open()
    await place.forgetting.idle()
    assert place.cache.forgotten == [{"users"}]


async def test_what_is_committed_is_forgotten_though_its_request_is_cancelled_before_that_began(place: Place) -> None:
    committed = asyncio.Event()

    async def hang() -> None:
        async with place.begin() as work:
            work.forget(["users"])
            await work.commit()
            committed.set()
            await asyncio.Event().wait()

    request = asyncio.create_task(hang())
    await committed.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert place.cache.forgotten == [{"users"}]


@pytest.mark.parametrize("steps", range(0, 40, 4))
async def test_wherever_a_request_is_cancelled_what_it_committed_is_forgotten_or_waits_in_the_outbox(
    place: Place, steps: int
) -> None:
    user = a_user()

    async def request() -> None:
        async with place.begin() as work:
            await work.users.add(user)
            work.forget(["users"])
            await work.commit()

    task = asyncio.create_task(request())
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    async with place.begin() as work:
        is_committed = await work.users.find_by_login(user.username.value) is not None
    if is_committed and not await place.messages():
        pytest.fail("Nobody will forget it.")
    if not task.cancelled():
        assert place.cache.forgotten == [{"users"}]


async def test_many_that_the_cache_missed_are_forgotten_in_one_call(place: Place) -> None:
    place.cache.away = True
    for tag in ("a", "b", "c"):
        await write(place, tag)
    place.cache.away = False
    place.clock.at = DUE
    assert await place.relay()() == (3, [])
    assert place.cache.forgotten == [{"a", "b", "c"}]


async def test_while_the_cache_is_away_what_waits_for_it_becomes_one_message_and_holds_up_no_other(
    place: Place,
) -> None:
    place.cache.away = True
    for tag in ("a", "b", "c"):
        await write(place, tag)
    place.clock.at = DUE
    other = a_message("other", created_at=DUE)
    async with place.begin() as work:
        await work.outbox.add(other)
        await work.commit()
    delivered: list[Message] = []

    async def deliver(message: Message) -> None:
        delivered.append(message)

    relay = RelayOutbox(place.begin, place.clock, {"other": deliver}, place.forgetting, batch=1)
    count, (failure,) = await relay()
    assert (count, [message.id for message in delivered]) == (1, [other.id])
    assert FORGET in failure.__notes__[0]
    (message,) = await place.messages()
    assert (message.body, message.created_at) == ({"tags": ["a", "b", "c"]}, DUE + relay.retry_after)

    place.clock.advance(relay.retry_after)
    assert len((await relay())[1]) == 1
    assert [each.id for each in await place.messages()] == [message.id]
    place.cache.away = False
    place.clock.advance(relay.retry_after)
    assert await relay() == (1, [])
    assert place.cache.forgotten == [{"a", "b", "c"}]


async def test_more_to_forget_than_fits_a_round_takes_no_other_message_s_place(place: Place) -> None:
    place.cache.away = True
    for tag in ("a", "b"):
        await write(place, tag)
    place.clock.at = DUE + timedelta(seconds=1)
    async with place.begin() as work:
        await work.outbox.add(a_message("other", created_at=place.clock.at))
        await work.commit()
    delivered: list[str] = []

    async def deliver(message: Message) -> None:
        delivered.append(message.topic)

    relay = RelayOutbox(place.begin, place.clock, {"other": deliver}, place.forgetting, batch=1, forgotten_at_once=1)
    await relay()
    assert delivered == ["other"]
