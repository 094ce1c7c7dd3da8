"""Pages as gzip: for whom, with which ETag, and made once."""

import asyncio
import gzip
from itertools import product

import pytest
from starlette.types import ASGIApp

from interfaces.http.hot import HotReads
from interfaces.http.representations import (
    AT_ONCE_BYTES,
    GZIP_MIN_BYTES,
    Compressed,
    accepts_gzip,
)
from tests.http.byline import Byline
from tests.http.hot import Place, ask


async def test_large_pages_are_compressed_for_those_who_like_that(hot_app: HotReads, place: Place) -> None:
    small, large = place.urls[0], place.urls[2]
    plain = await ask(hot_app, large)
    compressed = await ask(hot_app, large, (b"accept-encoding", b"gzip"))

    assert len(plain.body) > GZIP_MIN_BYTES
    assert compressed.header(b"content-encoding") == b"gzip"
    assert gzip.decompress(compressed.body) == plain.body
    assert compressed.header(b"content-length") == b"%d" % len(compressed.body)
    assert compressed.header(b"etag") == (plain.header(b"etag") or b"")[:-1] + b'-gzip"'
    assert (await ask(hot_app, small, (b"accept-encoding", b"gzip"))).header(b"content-encoding") is None


async def test_whoever_has_it_in_another_encoding_has_it(byline: Byline, hot_app: HotReads, place: Place) -> None:
    large = place.urls[2]
    tags = [(await ask(hot_app, large, *coding)).header(b"etag") for coding in ((), ((b"accept-encoding", b"gzip"),))]
    apps: tuple[ASGIApp, ASGIApp] = (byline.app, hot_app)
    for tag, app, coding in product(tags, apps, ((), ((b"accept-encoding", b"gzip"),))):
        assert tag is not None
        answered = await ask(app, large, (b"if-none-match", tag), *coding)
        assert (answered.status, answered.header(b"etag")) == (304, tag)


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        (b"gzip", True),
        (b"GZIP", True),
        (b"x-gzip", True),
        (b"br, gzip;q=0.8", True),
        (b"*", True),
        (b"*;q=0.1, gzip;q=0", False),
        (b"identity, gzip;q=0.5", False),
        (b"gzip;q=nonsense", False),
        (b"", False),
        (b"deflate, br", False),
        (b"gzip;q=0.000", False),
    ],
)
def test_who_accepts_gzip(header: bytes, accepted: bool) -> None:
    assert accepts_gzip(header) is accepted


async def test_readers_of_one_moment_share_the_work_of_compressing(
    hot_app: HotReads, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def counted(body: bytes, level: int, *, mtime: int) -> bytes:
        made.append(len(body))
        return real(body, level, mtime=mtime)

    real = gzip.compress
    monkeypatch.setattr(gzip, "compress", counted)
    url = f"{place.urls[2]}"
    asked = [ask(hot_app, url, (b"accept-encoding", b"gzip")) for _ in range(20)]
    answers = await asyncio.gather(*asked)

    assert {answer.header(b"content-encoding") for answer in answers} == {b"gzip"}
    assert len(made) == 1


async def test_large_bodies_are_compressed_once_in_a_thread() -> None:
    compress = Compressed(10 * AT_ONCE_BYTES)
    bodies = [bytes([number]) * (2 * AT_ONCE_BYTES) for number in range(8)]
    for body in bodies:
        first, second = await asyncio.gather(compress(body), compress(body))
        assert gzip.decompress(first) == body
        assert first is second
    assert compress.kept_bytes <= 10 * AT_ONCE_BYTES
