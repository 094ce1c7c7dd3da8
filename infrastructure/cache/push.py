"""What other hosts forget, heard from Redis."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

import hiredis
import structlog

from infrastructure.cache.address import Address
from infrastructure.cache.host import LocalHostTokens
from infrastructure.cache.names import announced, channel
from infrastructure.cache.wire import Refused, pack, told

log = structlog.get_logger(__name__)

TRUST_S = 2.0
PING_S = 0.5
CONNECT_S = 1.0
PAUSE_S = 0.05
LONGEST_PAUSE_S = 0.5

_NOT_YET = object()


class ForgottenListener:
    """Keeps `host` up to date with what other hosts forget, and says until when it is to be trusted: `trust_s` after
    the sending of the last PING that was answered. Its answer comes after all that was published before Redis saw it;
    the time of its sending, and no later one, counts also where the loop or the connection stood still meanwhile.

    One for each process, over a connection of its own, which is made again by itself.
    """

    def __init__(
        self,
        url: str,
        host: LocalHostTokens,
        *,
        trust_s: float = TRUST_S,
        ping_s: float = PING_S,
        connect_s: float = CONNECT_S,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """From now on `host` is not trusted but as this says. Raises ValueError."""
        self._address = Address.of(url)
        self._host = host
        self._trust_s = trust_s
        self._ping_s = ping_s
        self._connect_s = connect_s
        self._sleep = sleep
        self._listening: asyncio.Task[None] | None = None
        host.trusted_until = 0.0

    async def open(self) -> None:
        if self._listening is None:
            self._listening = asyncio.create_task(self._listen())

    async def close(self) -> None:
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listening

    async def _listen(self) -> None:
        pause_s, was_away = PAUSE_S, False
        while True:
            try:
                await self._subscribed()
            except Exception as error:  # whatever it is, it is tried again
                if not was_away:
                    log.warning("listener_away", reason=told(error))
                was_away = True
            else:
                pause_s, was_away = PAUSE_S, False
            await self._sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _subscribed(self) -> None:
        """Until the connection is lost. Raises what kept it from being of any use."""
        subscription: Subscription | None = None
        name = channel(self._address.db)
        try:
            async with asyncio.timeout(self._connect_s):
                subscription = await self._address.dial(
                    lambda: Subscription(self._address.greeting, name, self._host, trust_s=self._trust_s)
                )
                await subscription.confirmed
            while not subscription.is_lost:
                subscription.ping()
                await asyncio.wait([subscription.ended], timeout=self._ping_s)
                if time.monotonic() >= subscription.heard_at + self._trust_s:
                    break
            if subscription.refusal is not None:
                raise Refused(subscription.refusal)
            if not subscription.was_trusted:
                raise ConnectionError("Lost before it answered")
        finally:
            if subscription is not None:
                subscription.drop()


class Subscription(asyncio.Protocol):
    """One connection that listens to `name`."""

    def __init__(
        self,
        greeting: list[tuple[str | int, ...]],
        name: str,
        host: LocalHostTokens,
        *,
        trust_s: float,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.confirmed: asyncio.Future[bool] = loop.create_future()
        """False where it was lost before."""
        self.ended: asyncio.Future[None] = loop.create_future()
        self.is_lost = False
        self.refusal: str | None = None
        """What Redis answered instead."""
        self.was_trusted = False
        self.heard_at = now()
        """When the last PING that was answered was sent."""
        self._greeting = greeting
        self._name = name
        self._host = host
        self._trust_s = trust_s
        self._now = now
        self._reader = hiredis.Reader(notEnoughData=_NOT_YET)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        commands: list[tuple[Any, ...]] = [*self._greeting, ("SUBSCRIBE", self._name)]
        self._transport.write(b"".join(map(pack, commands)))

    def ping(self) -> None:
        """Its answer brings back when it was sent."""
        if self._transport is not None and not self.is_lost:
            self._transport.write(pack(("PING", repr(self._now()))))

    def data_received(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
            while not self.is_lost and (reply := self._reader.gets()) is not _NOT_YET:
                self._take(reply)
        except (hiredis.HiredisError, ValueError):
            self.drop()

    def connection_lost(self, exc: Exception | None) -> None:
        self.drop()

    def drop(self) -> None:
        """Nothing is trusted from here on."""
        if self.is_lost:
            return
        self.is_lost = True
        self._host.trusted_until = 0.0
        if self._transport is not None:
            self._transport.abort()
        if not self.confirmed.done():
            self.confirmed.set_result(False)
        self.ended.set_result(None)

    def _take(self, reply: object) -> None:
        match reply:
            case [b"message", _, bytes(payload)]:
                sender, tags = announced(payload)
                if sender != self._host.id:
                    self._host.forget(tags)
            case [b"pong", bytes(sent_at)]:
                self.heard_at = float(sent_at)
                self.was_trusted = True
                self._host.trusted_until = self.heard_at + self._trust_s
            case [b"subscribe", _, _]:
                # What was kept before this moment may have missed something.
                self._host.epoch += 1
                if not self.confirmed.done():
                    self.confirmed.set_result(True)
            case hiredis.ReplyError():
                self.refusal = str(reply)
                self.drop()
            case _:
                pass
