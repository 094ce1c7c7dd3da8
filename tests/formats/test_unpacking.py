"""Compressed files: what is read of them where they are whole, cut off, damaged, or made to grow without end."""

import gzip
import io
import random
import tracemalloc
import zlib
from collections import deque
from collections.abc import Callable

import pytest
import zstandard

from application.ports.formats import FileShape, PostRow, Reader, ReadLimits, Record, RowProblem
from domain.errors import BylineError, InvalidValue, TooLarge
from domain.import_options import ImportFormat, ImportKind
from domain.imports import Checkpoint
from infrastructure.formats.readers import FormatReaders
from infrastructure.formats.unpacking import Unpacked
from tests.formats.reading import assert_resumes_at_every_record, problem, read, rows

LIMITS = ReadLimits(1_000_000)
PACKERS: list[Callable[[bytes], bytes]] = [gzip.compress, zstandard.ZstdCompressor(write_checksum=True).compress]
CODES = {"truncated", "bad_compression"}

HEADS = {ImportFormat.CSV: b"title,author\n", ImportFormat.NDJSON: b"", ImportFormat.JSON: b"[\n"}


def lines_of(name: ImportFormat, count: int) -> list[bytes]:
    dice = random.Random(1)
    titles = [dice.randbytes(4).hex() for _ in range(count)]
    if name is ImportFormat.CSV:
        return [f"{title},a\n".encode() for title in titles]
    ending = "\n" if name is ImportFormat.NDJSON else ",\n"
    return [f'{{"title":"{title}","author":"a"}}{ending}'.encode() for title in titles]


def read_unless_headless(reader: Reader, file: bytes) -> list[Record]:
    """Nothing of a CSV whose header is cut off."""
    try:
        return read(reader, file)
    except InvalidValue as error:
        if error.code != "truncated":
            raise
        return []


def unpacked(file: bytes) -> tuple[bytes, Unpacked]:
    source = Unpacked(io.BytesIO(file), LIMITS)
    return b"".join(iter(lambda: source.read(10_000), b"")), source


@pytest.mark.parametrize(
    "file",
    [
        gzip.compress(b"one") + gzip.compress(b"") + gzip.compress(b"two"),
        gzip.compress(b"one") + b"\x00" * 1_000 + gzip.compress(b"two") + b"\x00",
        zstandard.compress(b"one") + zstandard.compress(b"two"),
        b"\x50\x2a\x4d\x18\x03\x00\x00\x00xyz" + zstandard.compress(b"one") + zstandard.compress(b"two"),
    ],
    ids=["members", "zeros between them", "frames", "a frame to be skipped"],
)
def test_members_and_frames_are_read_one_after_the_other(file: bytes) -> None:
    text, source = unpacked(file)
    assert (text, source.damage, source.bytes_read) == (b"onetwo", None, len(file))


@pytest.mark.parametrize("pack", PACKERS)
@pytest.mark.parametrize("name", HEADS)
def test_a_file_cut_off_at_any_byte_gives_the_rows_before_and_one_problem(
    pack: Callable[[bytes], bytes], name: ImportFormat
) -> None:
    lines = lines_of(name, 30)
    packed = pack(HEADS[name] + b"".join(lines))
    reader = FormatReaders().reader(name)
    expected = rows(read(reader, HEADS[name] + b"".join(lines)))[:30]
    for size in range(4, len(packed)):
        records = read_unless_headless(reader, packed[:size])
        if not records:
            continue
        *before, last = records
        assert isinstance(last.parsed, RowProblem)
        assert last.parsed.code == "truncated"
        assert rows(before) == expected[: len(before)]
        text, _ = unpacked(packed[:size])
        assert isinstance(last.raw, bytes)
        assert text.endswith(last.raw)
        assert last.line == text.removesuffix(last.raw).count(b"\n") + 1
        assert len(before) >= text.count(b"\n") - HEADS[name].count(b"\n")


@pytest.mark.parametrize("pack", PACKERS)
@pytest.mark.parametrize("name", HEADS)
def test_reading_of_a_file_cut_off_resumes_at_every_record(pack: Callable[[bytes], bytes], name: ImportFormat) -> None:
    whole, cut = HEADS[name] + b"".join(lines_of(name, 20)), b"".join(lines_of(name, 20))
    assert_resumes_at_every_record(FormatReaders().reader(name), pack(whole) + pack(cut)[:-30])


@pytest.mark.parametrize("pack", PACKERS)
def test_a_flipped_bit_anywhere_is_one_problem_after_the_rows_before(pack: Callable[[bytes], bytes]) -> None:
    lines = lines_of(ImportFormat.NDJSON, 30)
    packed = pack(b"".join(lines))
    whole = read(FormatReaders().reader(ImportFormat.NDJSON), packed)
    for place in range(11, len(packed)):
        damaged = bytearray(packed)
        damaged[place] ^= 0x10
        found = read(FormatReaders().reader(ImportFormat.NDJSON), bytes(damaged))
        last = found[-1].parsed
        # Some bits mean nothing.
        assert (isinstance(last, RowProblem) and last.code in CODES) or found == whole


def test_everything_before_the_damage_is_read() -> None:
    text = b"".join(lines_of(ImportFormat.NDJSON, 5_000))
    deflate = zlib.compressobj(wbits=31)
    in_gzip = deflate.compress(text) + deflate.flush(zlib.Z_FULL_FLUSH)
    frame = zstandard.ZstdCompressor().compressobj()
    in_zstd = frame.compress(text) + frame.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    for packed in (in_gzip, in_zstd):
        # Of a type that no block has.
        found, source = unpacked(packed + b"\xff" * 100)
        assert found == text
        assert source.damage is not None
        assert source.damage.code == "bad_compression"


@pytest.mark.parametrize("pack", PACKERS)
def test_something_else_after_the_compressed_data_is_one_problem(pack: Callable[[bytes], bytes]) -> None:
    good, trailing = read(FormatReaders().reader(ImportFormat.NDJSON), pack(b'{"title":"T"}\n') + b"something else")
    assert good.parsed == PostRow("T")
    assert problem(trailing) == (2, None, "bad_compression")


@pytest.mark.parametrize("pack", PACKERS)
@pytest.mark.parametrize(
    ("limits", "error"),
    [
        (ReadLimits(1_000_000, max_text_bytes=20_000_000, max_ratio=10**9), TooLarge),
        (ReadLimits(1_000_000, max_ratio=100), InvalidValue),
    ],
)
def test_a_file_that_grows_past_the_limits_is_refused_in_bounded_memory(
    pack: Callable[[bytes], bytes], limits: ReadLimits, error: type[BylineError]
) -> None:
    file = io.BytesIO(pack(bytes(100_000_000)))
    tracemalloc.start()
    try:
        source = Unpacked(file, limits)
        with pytest.raises(error):
            deque(iter(lambda: source.read(100_000), b""), maxlen=0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Four bytes of zstd may make 128 KiB, and they come by the thousand.
    assert peak < 80_000_000


@pytest.mark.parametrize("name", HEADS)
def test_a_reader_refuses_a_file_that_grows_past_the_limits(name: ImportFormat) -> None:
    row = lines_of(name, 1)[0]
    file = gzip.compress(HEADS[name] + row * (2_000_000 // len(row)))
    reader = FormatReaders().reader(name)
    for limits in (ReadLimits(1_000_000, max_text_bytes=1_500_000), ReadLimits(1_000_000, max_ratio=50)):
        with pytest.raises(BylineError, match="limit"):
            deque(reader(io.BytesIO(file), FileShape(ImportKind.POSTS, limits), start=Checkpoint()), maxlen=0)


@pytest.mark.parametrize(("window_log", "code"), [(25, None), (26, "window_too_large")])
def test_a_window_that_takes_too_much_memory_is_a_problem_of_its_own(window_log: int, code: str | None) -> None:
    window = zstandard.ZstdCompressionParameters(window_log=window_log, write_content_size=False)
    frame = zstandard.ZstdCompressor(compression_params=window).compressobj()
    packed = frame.compress(b"two") + frame.flush()
    assert zstandard.get_frame_parameters(packed).window_size == 2**window_log

    found, source = unpacked(zstandard.compress(b"one") + packed)

    assert found == (b"one" if code else b"onetwo")
    assert (source.damage and source.damage.code) == code


def test_lines_are_read_up_to_a_size() -> None:
    source = Unpacked(io.BytesIO(gzip.compress(b"one\ntwo and more\n\nlast")), LIMITS)
    assert [source.readline(8) for _ in range(6)] == [b"one\n", b"two and ", b"more\n", b"\n", b"last", b""]
