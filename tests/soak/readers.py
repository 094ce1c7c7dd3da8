"""Readers over raw connections, who hold every answer against the history of what was written."""

import asyncio
import random
import re
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, cast

from tests.soak.history import Ack, History, Pairs, stamps_in

_TOTAL = re.compile(rb'"total":(\d+)')
_PAUSE_S = 0.05
_PROCESS_BITS = 40
IN_TIME_S = 0.1
"""After the acknowledgement of a write: who asks later learns nothing of a lag as short as it should be."""


class Asked(NamedTuple):
    """A page: `expects` are the resources that it shows whenever there is something of them to show, `counts` those
    that its total is of."""

    path: str
    expects: tuple[int, ...]
    counts: tuple[int, ...] = ()


class Stale(NamedTuple):
    """An answer that was asked for at `sent_at` and did not show what had been acknowledged: `missed`, newest first."""

    path: str
    sent_at: float
    process: int
    resource: int
    missed: list[Ack]

    @property
    def is_of_its_own(self) -> bool:
        """Whether the process that answered had acknowledged some of it itself."""
        return any(ack.process == self.process for ack in self.missed)

    @property
    def lag_s(self) -> float:
        return self.sent_at - self.missed[-1].at


class Processes:
    """Who answered, by request ids: those of a process count up from a random number of 64 bits."""

    def __init__(self) -> None:
        self._bases: list[int] = []

    def of(self, request_id: str | bytes) -> int:
        number = int(request_id, 16)
        for place, base in enumerate(self._bases):
            if abs(number - base) < 1 << _PROCESS_BITS:
                return place
        self._bases.append(number)
        return len(self._bases) - 1


@dataclass(slots=True)
class Tally:
    """Of the readers of one address."""

    name: str
    statuses: Counter[int] = field(default_factory=Counter)
    by_process: Counter[int] = field(default_factory=Counter)
    stale: list[Stale] = field(default_factory=list)
    wrong_totals: list[tuple[str, int]] = field(default_factory=list)
    lost: int = 0
    """Connections that ended before all was answered."""
    in_time: set[tuple[int, int]] | None = None
    """The writes, by resource and state, that somebody asked for within IN_TIME_S; None: nobody wants to know."""
    times: list[tuple[float, float]] | None = None
    """When each was asked for and how long its answer took, in seconds; None: nobody wants to know."""

    @property
    def checked(self) -> int:
        return self.statuses[200] + self.statuses[304] + self.statuses[404]

    def lags(self) -> dict[tuple[int, int], float]:
        """By resource and state, how long after its acknowledgement the last read began that did not show it; 0 where
        one that began in time showed it and none did not. Of the other writes nothing is known."""
        lags = dict.fromkeys(self.in_time or (), 0.0)
        for stale in self.stale:
            for ack in stale.missed:
                write = (stale.resource, ack.state)
                lags[write] = max(lags.get(write, 0.0), stale.sent_at - ack.at)
        return lags


class _Known(NamedTuple):
    """What a 304 stands for."""

    request: bytes
    shown: Pairs
    total: int | None


class _Sent(NamedTuple):
    page: Asked
    known: _Known | None
    floors: list[int]
    at: float


@dataclass(slots=True)
class Reading:
    """What all readers of one address share: they read `pages` until `is_over`."""

    port: int
    pages: Sequence[Asked]
    weights: Sequence[int]
    history: History
    processes: Processes
    is_over: Callable[[], bool]
    tally: Tally
    depth: int = 1
    """Requests that one connection has under way at once."""
    pause_s: float = 0.0
    """Between an answer and the next request."""
    follows: bool = False
    """Every other request is for what was written just now."""
    _drawn: deque[Asked] = field(default_factory=deque)
    _own: dict[int, Asked] = field(default_factory=dict)
    _turn: bool = False

    def __post_init__(self) -> None:
        self._own = {page.expects[0]: page for page in self.pages if len(page.expects) == 1}

    async def read(self, connections: int) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(connections):
                group.create_task(self._connected())

    async def _connected(self) -> None:
        loop = asyncio.get_running_loop()
        while not self.is_over():
            try:
                _, reader = await loop.create_connection(lambda: _Reader(self), "127.0.0.1", self.port)
            except OSError:
                await asyncio.sleep(_PAUSE_S)
                continue
            await reader.ended

    def draw(self) -> Asked:
        self._turn = not self._turn
        if self.follows and self._turn and (own := self._own.get(self.history.latest)):
            return own
        if not self._drawn:
            self._drawn.extend(random.choices(self.pages, self.weights, k=4096))
        return self._drawn.popleft()


class _Reader(asyncio.Protocol):
    """One connection. Of every other page it asks whether it is still as it has it."""

    def __init__(self, reading: Reading) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reading = reading
        self._received = b""
        self._sent: deque[_Sent] = deque()
        self._known: dict[str, _Known] = {}
        self._process: int | None = None
        self._answers = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def connection_lost(self, error: Exception | None) -> None:
        if self._sent:
            self._reading.tally.lost += 1
        if not self.ended.done():
            self.ended.set_result(None)

    def data_received(self, data: bytes) -> None:
        try:
            self._take_all(data)
        except Exception as error:
            self.ended.set_exception(error)
            self._transport.abort()

    def _take_all(self, data: bytes) -> None:
        received = self._received + data if self._received else data
        at = 0
        while self._sent:
            end = received.find(b"\r\n\r\n", at)
            if end < 0:
                break
            status = int(received[at + 9 : at + 12])
            next_at = end + 4
            if status != 304:
                length = received.find(b"content-length: ", at, end)
                if length >= 0:
                    next_at += int(received[length + 16 : received.find(b"\r", length)])
                if len(received) < next_at:
                    break
            self._take(status, received[at : end + 2], received[end + 4 : next_at], self._sent.popleft())
            at = next_at
        self._received = received[at:]
        if not self._sent:
            if self._reading.pause_s:
                asyncio.get_running_loop().call_later(self._reading.pause_s, self._send)
            else:
                self._send()

    def _send(self) -> None:
        reading = self._reading
        if self._transport.is_closing():
            return
        if reading.is_over():
            self._transport.close()
            return
        # What is acknowledged by now must be shown by all of these.
        floors, at = reading.history.floors.copy(), time.monotonic()
        requests = []
        for _ in range(reading.depth):
            page = reading.draw()
            known = self._known.pop(page.path, None)
            requests.append(_request(page) if known is None else known.request)
            self._sent.append(_Sent(page, known, floors, at))
        self._transport.write(b"".join(requests))

    def _take(self, status: int, head: bytes, body: bytes, sent: _Sent) -> None:
        reading = self._reading
        tally = reading.tally
        if self._process is None:
            self._process = reading.processes.of(_header(head, b"x-request-id: "))
        process = self._process
        tally.statuses[status] += 1
        tally.by_process[process] += 1
        if tally.times is not None:
            tally.times.append((sent.at, time.monotonic() - sent.at))
        page = sent.page
        total: int | None = None
        if status == 200:
            shown = stamps_in(body)
            if page.counts:
                found = _TOTAL.search(body)
                total = int(found[1]) if found else None
            if sent.known is None:
                etag = _header(head, b"etag: ")
                self._known[page.path] = _Known(_request(page, b"if-none-match: " + etag + b"\r\n"), shown, total)
        elif status == 304:
            assert sent.known is not None
            shown, total = sent.known.shown, sent.known.total
        elif status == 404:
            shown = []
        else:
            return
        self._hold(sent, shown, total, process)

    def _hold(self, sent: _Sent, shown: Pairs, total: int | None, process: int) -> None:
        """Against the history."""
        tally, history = self._reading.tally, self._reading.history
        page, floors = sent.page, sent.floors
        if tally.in_time is not None:
            for resource in page.expects:
                tally.in_time.update((resource, state) for state in history.lately(resource, sent.at, IN_TIME_S))
        for resource, state in history.older(floors, shown, page.expects):
            missed = history.missed(resource, state, sent.at)
            tally.stale.append(Stale(page.path, sent.at, process, resource, missed))
        if total is not None and not history.total_is_possible(floors, page.counts, total):
            tally.wrong_totals.append((page.path, total))


def _request(page: Asked, more: bytes = b"") -> bytes:
    return b"GET " + page.path.encode() + b" HTTP/1.1\r\nhost: byline\r\n" + more + b"\r\n"


def _header(head: bytes, name: bytes) -> bytes:
    start = head.index(name) + len(name)
    return head[start : head.index(b"\r", start)]
