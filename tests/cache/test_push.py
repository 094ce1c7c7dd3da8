"""Hearing of what other hosts forget, and knowing when something may have been missed."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from domain.errors import Unavailable
from infrastructure.cache.address import Address
from infrastructure.cache.host import LocalHostTokens
from infrastructure.cache.names import channel
from infrastructure.cache.push import ForgottenListener, Subscription
from infrastructure.cache.redis import RedisCache
from infrastructure.cache.wire import pack
from tests.cache.pipes import Pipe, of_user, once_there, piped, until

TRUST_S = 0.4


@pytest.fixture
async def host(pipe: Pipe) -> AsyncIterator[LocalHostTokens]:
    """That listens through the pipe."""
    host = LocalHostTokens()
    listener = ForgottenListener(pipe.url, host, trust_s=TRUST_S, ping_s=0.05)
    assert not is_trusted(host)
    await listener.open()
    await until(lambda: is_trusted(host))
    yield host
    await listener.close()
    assert not is_trusted(host)


def is_trusted(host: LocalHostTokens) -> bool:
    return time.monotonic() < host.trusted_until


async def forget(redis_url: str, host_id: str, *tags: str) -> None:
    """As a process of that host."""
    cache = RedisCache(redis_url, host_id=host_id, deadline_s=5.0)
    await cache.open()
    await cache.forget(tags)
    await cache.close()


def tokens(host: LocalHostTokens, *tags: str) -> list[int]:
    return [host.table[slot] for slot in host.slots(tags)]


async def test_what_another_host_forgets_is_forgotten_here(host: LocalHostTokens, redis_url: str) -> None:
    before = tokens(host, "post:1", "post:2")
    await forget(redis_url, "there", "post:1")
    await until(lambda: tokens(host, "post:1") != before[:1])
    assert tokens(host, "post:2") == before[1:]


async def test_what_this_host_said_is_heard_by_others_only(host: LocalHostTokens, redis_url: str) -> None:
    before = tokens(host, "post:1", "post:2")
    await forget(redis_url, host.id, "post:1")
    await forget(redis_url, "there", "post:2")
    await until(lambda: tokens(host, "post:2") != before[1:])
    assert tokens(host, "post:1") == before[:1]


async def test_what_this_host_missed_and_repeats_is_heard_by_it_too(host: LocalHostTokens, redis_url: str) -> None:
    before = tokens(host, "post:1")
    async with piped(redis_url) as own:
        cache = RedisCache(own.url, host_id=host.id, deadline_s=5.0)
        await cache.open()
        await own.cut()
        with pytest.raises(Unavailable):
            await cache.forget({"post:1"})
        await own.open()
        await once_there(lambda: cache.look("post/1", ()))
        await until(lambda: tokens(host, "post:1") != before)
        await cache.close()


async def test_trust_goes_on_while_redis_answers(host: LocalHostTokens) -> None:
    first = host.trusted_until
    await until(lambda: host.trusted_until > first + TRUST_S)
    assert host.epoch == 1


class Sent(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.commands: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.commands.append(bytes(data))

    def abort(self) -> None:
        pass


async def test_trust_is_from_when_the_answered_ping_was_sent() -> None:
    host, sent, at = LocalHostTokens(), Sent(), [100.0]
    subscription = Subscription([], "forgotten", host, trust_s=2.0, now=lambda: at[0])
    subscription.connection_made(sent)
    subscription.data_received(b"*3\r\n$9\r\nsubscribe\r\n$9\r\nforgotten\r\n:1\r\n")
    subscription.ping()
    at[0] = 101.5
    subscription.ping()
    assert sent.commands[1:] == [pack(("PING", "100.0")), pack(("PING", "101.5"))]
    at[0] = 103.0
    subscription.data_received(pack(("pong", "100.0")))
    assert host.trusted_until == 102.0
    subscription.data_received(pack(("pong", "101.5")))
    assert host.trusted_until == 103.5
    assert host.epoch == 1


async def test_trust_ends_when_nothing_comes_any_more_and_nothing_fails(host: LocalHostTokens, pipe: Pipe) -> None:
    pipe.freeze()
    frozen_at = time.monotonic()
    await until(lambda: not is_trusted(host))
    assert host.trusted_until <= frozen_at + TRUST_S
    await until(lambda: pipe.accepted > 1)
    pipe.thaw()
    await until(lambda: is_trusted(host))
    assert host.epoch > 1


async def test_a_connection_that_ends_ends_trust_and_the_next_begins_an_epoch(
    host: LocalHostTokens, pipe: Pipe, redis_url: str
) -> None:
    assert host.epoch == 1
    await pipe.cut()
    await until(lambda: host.trusted_until == 0.0)
    await forget(redis_url, "there", "post:1")
    assert host.epoch == 1
    await pipe.open()
    await until(lambda: is_trusted(host))
    assert host.epoch == 2


@pytest.mark.parametrize("refused", ["auth", "subscribe", "ping"])
async def test_whoever_is_refused_comes_ever_less_often_and_says_so_once(redis_url: str, refused: str) -> None:
    user, pauses = f"byline-{secrets.token_hex(4)}", list[float]()

    async def sleep(pause_s: float) -> None:
        pauses.append(pause_s)
        await asyncio.sleep(0)

    async with Redis.from_url(redis_url) as redis:
        await redis.acl_setuser(
            user,
            enabled=True,
            passwords=["+another" if refused == "auth" else "+password"],
            channels=["*"],
            categories=["+@all"],
            commands=[] if refused == "auth" else [f"-{refused}"],
        )
        listener = ForgottenListener(of_user(redis_url, user, "password"), LocalHostTokens(), sleep=sleep)
        with capture_logs() as logs:
            await listener.open()
            await until(lambda: len(pauses) > 5)
            await listener.close()
        await redis.acl_deluser(user)
    assert pauses[:6] == [0.05, 0.1, 0.2, 0.4, 0.5, 0.5]
    (said,) = logs
    assert (said["event"], said["log_level"]) == ("listener_away", "warning")
    assert said["reason"].startswith("WRONGPASS" if refused == "auth" else "NOPERM")


async def test_each_outage_is_told_once(host: LocalHostTokens, pipe: Pipe) -> None:
    with capture_logs() as logs:
        for outage in (1, 2):
            await pipe.cut()
            await until(lambda outage=outage: len(logs) >= outage)  # type: ignore[misc]
            await pipe.open()
            await until(lambda: is_trusted(host))
    assert [said["event"] for said in logs] == ["listener_away"] * 2


async def test_a_message_that_cannot_be_read_ends_trust(host: LocalHostTokens, redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis:
        await redis.publish(channel(Address.of(redis_url).db), b"not JSON")
    await until(lambda: host.epoch == 2 and is_trusted(host))
