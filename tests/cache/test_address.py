"""Where Redis is, by its URL."""

import asyncio
import ssl
from pathlib import Path

import pytest

from infrastructure.cache.address import Address
from infrastructure.cache.wire import Wire, pack


@pytest.mark.parametrize(
    ("url", "host", "port", "path", "greeting"),
    [
        ("redis://", "localhost", 6379, None, []),
        ("redis://cache:7000/3", "cache", 7000, None, [("SELECT", 3)]),
        ("redis://:p%40ss@cache/0", "cache", 6379, None, [("AUTH", "p@ss")]),
        ("redis://me:secret@[::1]/2", "::1", 6379, None, [("AUTH", "me", "secret"), ("SELECT", 2)]),
        ("unix:///run/redis.sock?db=4", "localhost", 6379, "/run/redis.sock", [("SELECT", 4)]),
        ("unix://me:secret@/run/redis.sock", "localhost", 6379, "/run/redis.sock", [("AUTH", "me", "secret")]),
    ],
)
def test_it_is_what_redis_py_reads(
    url: str, host: str, port: int, path: str | None, greeting: list[tuple[str | int, ...]]
) -> None:
    address = Address.of(url)
    assert (address.host, address.port, address.path, address.tls) == (host, port, path, None)
    assert address.greeting == greeting


def test_rediss_is_over_tls_with_its_options() -> None:
    strict, lax = Address.of("rediss://cache/1").tls, Address.of("rediss://cache?ssl_cert_reqs=none").tls
    assert strict is not None
    assert strict.verify_mode is ssl.CERT_REQUIRED
    assert lax is not None
    assert lax.verify_mode is ssl.CERT_NONE


def test_no_secret_is_shown() -> None:
    assert "secret" not in repr(Address.of("redis://me:secret@cache"))


def test_another_scheme_is_refused() -> None:
    with pytest.raises(ValueError, match="schemes"):
        Address.of("http://cache")


async def test_a_socket_of_this_machine_is_dialled(tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(ping))
        writer.write(b"+PONG\r\n")
        writer.close()

    path, ping = tmp_path / "redis.sock", pack(("PING",))
    async with await asyncio.start_unix_server(answer, path):
        wire = await Address.of(f"unix://{path}").dial(lambda: Wire(deadline_s=5.0, dropped=lambda _: None))
        assert await wire.call(ping) == b"PONG"
        wire.drop()
