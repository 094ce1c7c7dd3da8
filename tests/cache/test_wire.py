"""One connection that all callers share."""

import asyncio
from collections.abc import AsyncIterator

import hiredis
import pytest

from domain.errors import Unavailable
from infrastructure.cache.wire import Refused, Wire, pack
from tests.cache.pipes import HOST, PATIENCE_S, until


class Echoing(asyncio.Protocol):
    """Answers ECHO with what it names, NO with an error, until it is told to be silent."""

    def __init__(self, made: "list[Echoing]") -> None:
        self.silent_after = 1_000_000
        self.answered = 0
        self._reader = hiredis.Reader()
        made.append(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while (command := self._reader.gets()) is not False:
            if self.answered >= self.silent_after:
                continue
            self.answered += 1
            self.write(b"-ERR no\r\n" if command[0] == b"NO" else b"$%d\r\n%b\r\n" % (len(command[1]), command[1]))

    def write(self, reply: bytes) -> None:
        self.transport.write(reply)


class Ends:
    """Both ends of a wire."""

    def __init__(self) -> None:
        self.made: list[Echoing] = []
        self.drops: list[Wire] = []
        self.wire: Wire

    @property
    def server(self) -> Echoing:
        return self.made[0]

    async def connect(self, port: int) -> None:
        loop = asyncio.get_running_loop()
        _, self.wire = await loop.create_connection(
            lambda: Wire(deadline_s=0.1, dropped=self.drops.append), "127.0.0.1", port
        )
        assert await self.wire.call(echo(b"hello")) == b"hello"


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    ends = Ends()
    server = await asyncio.get_running_loop().create_server(lambda: Echoing(ends.made), "127.0.0.1", 0)
    await ends.connect(server.sockets[0].getsockname()[1])
    yield ends
    ends.wire.drop()
    server.close()
    await server.wait_closed()


def echo(text: bytes) -> bytes:
    return pack(("ECHO", text))


async def test_every_caller_gets_the_reply_to_its_own_command(ends: Ends) -> None:
    texts = [b"%d" % number for number in range(500)]

    async def ask(text: bytes) -> bytes:
        reply: bytes = await ends.wire.call(echo(text))
        return reply

    assert await asyncio.gather(*map(ask, texts)) == texts


async def test_what_is_asked_in_one_turn_is_one_write(ends: Ends) -> None:
    before = ends.wire.writes
    await asyncio.gather(*(ends.wire.call(echo(b"x")) for _ in range(64)))
    assert ends.wire.writes == before + 1


async def test_whoever_gives_up_leaves_the_order_of_replies_as_it_is(ends: Ends) -> None:
    calls = [ends.wire.call(echo(b"%d" % number)) for number in range(10)]
    calls[0].cancel()
    calls[5].cancel()
    kept = [call for call in calls if not call.cancelled()]
    assert await asyncio.gather(*kept) == [b"1", b"2", b"3", b"4", b"6", b"7", b"8", b"9"]


async def test_what_is_told_is_answered_to_nobody_and_whoever_counts_refusals_hears_of_it(ends: Ends) -> None:
    refusals: list[str] = []
    ends.wire.refused = refusals.append
    assert ends.wire.tell(echo(b"told"))
    assert ends.wire.tell(pack(("NO",)))
    assert await ends.wire.call(echo(b"asked")) == b"asked"
    assert refusals == ["ERR no"]


async def test_an_error_is_its_callers_alone(ends: Ends) -> None:
    refused, answered = ends.wire.call(pack(("NO",))), ends.wire.call(echo(b"x"))
    with pytest.raises(Refused) as raised:
        await refused
    assert raised.value.reply == "ERR no"
    assert await answered == b"x"


async def test_replies_come_in_pieces(ends: Ends) -> None:
    call = ends.wire.call(echo(b"whole"))
    ends.server.silent_after = 1
    for piece in (b"$5\r", b"\nwh", b"ole\r\n"):
        ends.server.write(piece)
        await asyncio.sleep(0)
    assert await call == b"whole"


async def test_all_who_wait_are_told_when_the_oldest_has_waited_too_long(ends: Ends) -> None:
    ends.server.silent_after = 2
    calls = [ends.wire.call(echo(b"%d" % number)) for number in range(3)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert answers[0] == b"0"
    assert [type(answer) for answer in answers[1:]] == [Unavailable, Unavailable]
    assert ends.drops == [ends.wire]


async def test_what_is_told_counts_for_the_deadline_too(ends: Ends) -> None:
    ends.server.silent_after = 1
    ends.wire.tell(echo(b"x"))
    await until(lambda: ends.wire.is_dead)


async def test_answered_calls_do_not_end_the_wire_later(ends: Ends) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    while loop.time() - began < 0.35:  # past the deadline several times, with never an old call unanswered
        await ends.wire.call(echo(b"x"))
        await asyncio.sleep(0.02)
    assert not ends.drops


async def test_a_dead_wire_takes_no_more(ends: Ends) -> None:
    waiting = ends.wire.call(echo(b"x"))
    ends.wire.drop()
    with pytest.raises(Unavailable):
        await waiting
    with pytest.raises(Unavailable):
        ends.wire.call(echo(b"x"))
    with pytest.raises(Unavailable):
        await ends.wire.transaction([("ECHO", "x")])
    assert not ends.wire.tell(echo(b"x"))
    assert ends.drops == [ends.wire]


@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"+nobody asked\r\n"])
async def test_what_is_no_reply_ends_the_wire(ends: Ends, said: bytes, caplog: pytest.LogCaptureFixture) -> None:
    ends.server.write(said)
    await until(lambda: ends.wire.is_dead)
    assert not caplog.records


async def test_a_connection_that_ends_is_told_to_all_who_wait(ends: Ends) -> None:
    ends.server.silent_after = 1
    call = ends.wire.call(echo(b"x"))
    ends.server.transport.abort()
    with pytest.raises(Unavailable):
        await call
    assert ends.drops == [ends.wire]


async def test_a_shorter_deadline_holds_for_what_was_asked_before(ends: Ends) -> None:
    loop, server = asyncio.get_running_loop(), ends.server
    port = server.transport.get_extra_info("sockname")[1]
    drops: list[Wire] = []
    _, patient = await loop.create_connection(lambda: Wire(deadline_s=3600.0, dropped=drops.append), HOST, port)
    await patient.call(echo(b"hello"))
    ends.made[-1].silent_after = 0
    call = patient.call(echo(b"x"))
    await until(lambda: patient.writes == 2)
    patient.hurry(0.01)
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(Unavailable):
            await call
    assert drops == [patient]
