"""The outbox: claimed by one at a time, hidden until due again, forgotten when done."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

from application.ports.work import Message
from tests.builders import NOON, SECOND, a_message
from tests.contract.adapters import Adapters
from tests.contract.texts import NASTY_LINES

LATER = NOON + timedelta(minutes=1)


async def claim(adapters: Adapters, *, limit: int = 100, at: datetime = NOON, until: datetime = LATER) -> list[Message]:
    async with adapters.begin() as work:
        claimed = await work.outbox.claim(limit, at=at, until=until)
        await work.commit()
    return claimed


async def test_a_message_is_kept_whole_and_counts_its_claims(adapters: Adapters) -> None:
    body = {"text": NASTY_LINES, "number": 1.5, "list": [1, None, True, {"a": []}], "nothing": None}
    message = a_message("a.topic", body=body)
    await adapters.keep(message)
    assert await claim(adapters) == [replace(message, attempts=1)]
    assert await claim(adapters, at=LATER) == [replace(message, attempts=2)]


async def test_a_claimed_message_is_hidden_until_it_is_due_again(adapters: Adapters) -> None:
    await adapters.keep(a_message())
    assert len(await claim(adapters)) == 1
    assert await claim(adapters, at=LATER - SECOND) == []
    assert len(await claim(adapters, at=LATER)) == 1


async def test_a_message_is_due_from_when_it_was_made(adapters: Adapters) -> None:
    await adapters.keep(a_message(created_at=LATER))
    assert await claim(adapters, at=LATER - SECOND) == []
    assert len(await claim(adapters, at=LATER)) == 1


async def test_a_claim_that_was_not_committed_claims_nothing(adapters: Adapters) -> None:
    message = a_message()
    await adapters.keep(message)
    async with adapters.begin() as work:
        assert len(await work.outbox.claim(10, at=NOON, until=LATER)) == 1
    assert await claim(adapters) == [replace(message, attempts=1)]


async def test_the_oldest_come_first_and_no_more_than_asked_for(adapters: Adapters) -> None:
    messages = [a_message(created_at=NOON - number * SECOND) for number in range(5)]
    await adapters.keep(*messages)
    claims = [await claim(adapters, limit=2) for _ in range(3)]
    assert [[m.id for m in claimed] for claimed in claims] == [
        [messages[4].id, messages[3].id],
        [messages[2].id, messages[1].id],
        [messages[0].id],
    ]


async def test_a_message_that_fails_again_and_again_holds_up_no_others(adapters: Adapters) -> None:
    failing, new = a_message(created_at=NOON - SECOND), a_message(created_at=NOON)
    await adapters.keep(failing)
    await claim(adapters, until=NOON + SECOND)
    await adapters.keep(new)
    assert [m.id for m in await claim(adapters, limit=1, at=LATER)] == [new.id]


async def test_what_is_done_is_forgotten(adapters: Adapters) -> None:
    messages, kept = [a_message() for _ in range(3)], a_message()
    await adapters.keep(*messages, kept)
    async with adapters.begin() as work:
        await work.outbox.done_many([messages[0].id])
        await work.outbox.done_many([*(message.id for message in messages), a_message().id])
        await work.outbox.done_many([])
        await work.commit()
    assert [m.id for m in await claim(adapters)] == [kept.id]


async def test_what_another_is_claiming_is_left_to_it_when_done_and_not_waited_for(adapters: Adapters) -> None:
    claimed, free = a_message(), a_message()
    await adapters.keep(claimed)
    async with adapters.begin() as one, adapters.begin() as other:
        await one.outbox.claim(1, at=NOON, until=LATER)
        await adapters.keep(free)
        await other.outbox.done_many([claimed.id, free.id])
        await other.commit()
        await one.commit()
    assert [m.id for m in await claim(adapters, at=LATER)] == [claimed.id]


async def test_one_topic_is_claimed_alone_or_left_out(adapters: Adapters) -> None:
    messages = [a_message(topic) for topic in ("a", "b", "c")]
    await adapters.keep(*messages)
    async with adapters.begin() as work:
        only = await work.outbox.claim(10, at=NOON, until=LATER, only="b")
        but = await work.outbox.claim(10, at=NOON, until=LATER, but="a")
        await work.commit()
    assert [[m.topic for m in claimed] for claimed in (only, but)] == [["b"], ["c"]]
    assert [m.topic for m in await claim(adapters)] == ["a"]


async def test_what_one_relay_is_claiming_others_pass_over(adapters: Adapters) -> None:
    messages = [a_message() for _ in range(4)]
    await adapters.keep(*messages)
    async with adapters.begin() as one, adapters.begin() as other:
        first = await one.outbox.claim(3, at=NOON, until=LATER)
        second = await other.outbox.claim(3, at=NOON, until=LATER)
        await one.commit()
        await other.commit()
    assert (len(first), len(second)) == (3, 1)
    assert {m.id for m in first} | {m.id for m in second} == {m.id for m in messages}


async def test_relays_at_once_never_claim_the_same(adapters: Adapters) -> None:
    messages = [a_message() for _ in range(40)]
    await adapters.keep(*messages)

    async def relay() -> list[Message]:
        claimed: list[Message] = []
        while more := await claim(adapters, limit=3):
            claimed += more
            await asyncio.sleep(0)
        return claimed

    claims = await asyncio.gather(*(relay() for _ in range(4)))
    claimed = [message.id for messages in claims for message in messages]
    assert len(claimed) == 40
    assert set(claimed) == {message.id for message in messages}
