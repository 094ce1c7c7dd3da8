"""The relay: delivers what is due until it is done, tells what failed, and shares the work."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta

import pytest

from application.outbox import Deliver, RelayOutbox, relaying
from application.ports.work import Message
from domain.errors import Unavailable
from infrastructure.memory.store import MemoryStore
from tests.builders import NOON, FixedClock, a_message
from tests.caching.recording import Recording
from tests.imports.faults import Disturbed

RETRY_AFTER = timedelta(seconds=2)


class Inbox:
    """Where deliveries end. It refuses as many as `refusing` says."""

    def __init__(self, *, refusing: int = 0) -> None:
        self.refusing = refusing
        self.messages: list[Message] = []

    async def __call__(self, message: Message) -> None:
        await asyncio.sleep(0)
        if self.refusing:
            self.refusing -= 1
            raise ConnectionError("refused")
        self.messages.append(message)

    @property
    def attempts(self) -> list[int]:
        return [message.attempts for message in self.messages]


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


def a_relay(
    store: MemoryStore, clock: FixedClock, deliveries: Mapping[str, Deliver], *, batch: int = 100
) -> RelayOutbox:
    return RelayOutbox(store.begin, clock, deliveries, batch=batch, retry_after=RETRY_AFTER)


async def post(store: MemoryStore, *messages: Message) -> None:
    async with store.begin() as work:
        for message in messages:
            await work.outbox.add(message)
        await work.commit()


async def test_a_message_is_delivered_once_and_forgotten(store: MemoryStore, clock: FixedClock) -> None:
    inbox = Inbox()
    message = a_message(body={"key": 1})
    await post(store, message)
    relay = a_relay(store, clock, {message.topic: inbox})

    assert await relay() == (1, [])
    clock.advance(timedelta(days=1))
    assert await relay() == (0, [])
    assert [(m.id, m.body) for m in inbox.messages] == [(message.id, {"key": 1})]
    assert store.tables.outbox.rows == {}


async def test_what_fails_is_told_and_tried_again_when_due(store: MemoryStore, clock: FixedClock) -> None:
    inbox = Inbox(refusing=2)
    message = a_message()
    await post(store, message)
    relay = a_relay(store, clock, {message.topic: inbox})

    delivered, (failure,) = await relay()
    assert (delivered, type(failure)) == (0, ConnectionError)
    assert str(message.id) in failure.__notes__[0]
    assert await relay() == (0, [])

    clock.advance(RETRY_AFTER)
    assert (await relay())[0] == 0
    clock.advance(RETRY_AFTER)
    assert await relay() == (1, [])
    assert inbox.attempts == [3]


async def test_one_failure_holds_up_nothing_else(store: MemoryStore, clock: FixedClock) -> None:
    inbox = Inbox()
    messages = [a_message("good"), a_message("bad"), a_message("unknown"), a_message("good")]
    await post(store, *messages)
    relay = a_relay(store, clock, {"good": inbox, "bad": Inbox(refusing=1)})

    delivered, failures = await relay()
    assert delivered == 2
    assert {type(failure) for failure in failures} == {ConnectionError, KeyError}
    assert {m.id for m in inbox.messages} == {messages[0].id, messages[3].id}


async def test_what_is_away_is_asked_once_a_batch_and_what_is_not_is_delivered(
    store: MemoryStore, clock: FixedClock
) -> None:
    asked = []

    async def away(message: Message) -> None:
        asked.append(message)
        raise Unavailable("Redis")

    inbox = Inbox()
    messages = [a_message("away"), a_message("away"), a_message("here"), a_message("away")]
    await post(store, *messages)
    relay = a_relay(store, clock, {"away": away, "here": inbox})

    delivered, failures = await relay()
    assert (delivered, len(asked), [type(failure) for failure in failures]) == (1, 1, [Unavailable])
    clock.advance(RETRY_AFTER)
    relay = a_relay(store, clock, {"away": inbox})
    assert await relay() == (3, [])


async def test_a_message_is_not_delivered_before_it_is_due(store: MemoryStore, clock: FixedClock) -> None:
    inbox = Inbox()
    await post(store, a_message(created_at=NOON + timedelta(minutes=1)))
    relay = a_relay(store, clock, {"a.topic": inbox})

    assert await relay() == (0, [])
    clock.advance(timedelta(minutes=1))
    assert await relay() == (1, [])


async def test_a_batch_at_a_time_oldest_first(store: MemoryStore, clock: FixedClock) -> None:
    inbox = Inbox()
    messages = [a_message(created_at=NOON - timedelta(minutes=number)) for number in range(5)]
    await post(store, *messages)
    relay = a_relay(store, clock, {"a.topic": inbox}, batch=2)

    assert [(await relay())[0] for _ in range(4)] == [2, 2, 1, 0]
    assert [m.id for m in inbox.messages] == [m.id for m in reversed(messages)]


async def test_relays_at_once_share_the_work(store: MemoryStore, clock: FixedClock) -> None:
    inbox = Inbox()
    await post(store, *(a_message() for _ in range(30)))
    relay = a_relay(store, clock, {"a.topic": inbox}, batch=5)
    outcomes = await asyncio.gather(*(relay() for _ in range(6)))

    assert sum(delivered for delivered, _ in outcomes) == 30
    assert len({m.id for m in inbox.messages}) == len(inbox.messages) == 30


async def test_what_was_rolled_back_is_never_delivered(store: MemoryStore, clock: FixedClock) -> None:
    inbox = Inbox()
    async with store.begin() as work:
        await work.outbox.add(a_message())
    assert await a_relay(store, clock, {"a.topic": inbox})() == (0, [])


async def test_a_relay_that_dies_between_delivery_and_done_leaves_a_repeat(
    store: MemoryStore, clock: FixedClock
) -> None:
    async def die(message: Message) -> None:
        raise asyncio.CancelledError

    message = a_message()
    await post(store, message)
    with pytest.raises(asyncio.CancelledError):
        await a_relay(store, clock, {message.topic: die})()

    inbox = Inbox()
    clock.advance(RETRY_AFTER)
    assert await a_relay(store, clock, {message.topic: inbox})() == (1, [])
    assert inbox.attempts == [2]


async def test_a_step_tells_whether_there_may_be_more_and_logs_what_failed_in_one_line(
    store: MemoryStore, clock: FixedClock, caplog: pytest.LogCaptureFixture
) -> None:
    await post(store, *(a_message("good") for _ in range(3)), a_message("bad"), a_message("bad"))
    relay = a_relay(store, clock, {"good": Inbox(), "bad": Inbox(refusing=2)}, batch=3)

    assert [await relay.step() for _ in range(3)] == [True, False, False]
    (logged,) = caplog.records
    assert (logged.message, logged.__dict__["messages"], logged.__dict__["reason"]) == (
        "messages_put_off",
        2,
        "refused",
    )


async def test_what_a_dead_process_left_is_delivered_within_two_seconds_of_its_commit() -> None:
    recording = Recording()
    store = MemoryStore(recording.forgetting)
    message = recording.forgetting.message(["users"])
    await post(store, message)
    relay = RelayOutbox(store.begin, recording.clock, {}, recording.forgetting)
    every_s = relaying(relay).every_s

    recording.clock.advance(message.created_at - NOON + timedelta(seconds=every_s))
    assert recording.clock.at <= NOON + timedelta(seconds=2)
    assert await relay() == (1, [])
    assert recording.cache.forgotten == [{"users"}]
    assert relay.retry_after + timedelta(seconds=every_s) <= timedelta(seconds=2)


async def test_a_relay_that_cannot_delete_what_is_done_deletes_it_the_next_time() -> None:
    recording = Recording()
    store = MemoryStore(recording.forgetting)
    async with store.begin() as work:
        work.forget(["users"])
        await work.commit()
    failing = Disturbed(store.begin).before("commit", _fail)
    relay = RelayOutbox(failing, recording.clock, {}, recording.forgetting)

    with pytest.raises(ConnectionError):
        await relay()
    assert len(store.tables.outbox.rows) == 1
    await relay()
    assert store.tables.outbox.rows == {}
    assert recording.cache.forgotten == [{"users"}]


async def _fail() -> None:
    raise ConnectionError
