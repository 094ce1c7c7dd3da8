"""Whatever rows are written out read back equal, and reading resumes at every record."""

import gzip
import io
import random
import tracemalloc
from collections.abc import Callable
from dataclasses import replace

import pytest
import zstandard
from hypothesis import example, given
from hypothesis import strategies as st

from application.ports.formats import FileShape, PostRow, Reader, ReadLimits, RowProblem, UserRow
from domain.import_options import ImportFormat, ImportKind
from domain.imports import Checkpoint
from infrastructure.formats.readers import FormatReaders
from infrastructure.formats.rows import BOM, field_names
from infrastructure.formats.text.sources import Text
from tests.formats.reading import MAX, after, assert_resumes_at_every_record, read, rows
from tests.formats.strategies import characters, posts, users
from tests.formats.writing import as_csv, as_json_array, as_ndjson

TEXT_FORMATS = (ImportFormat.CSV, ImportFormat.NDJSON, ImportFormat.JSON)
GOOD = {
    ImportFormat.CSV: b"T,a\n",
    ImportFormat.NDJSON: b'{"title":"T","author":"a"}\n',
    ImportFormat.JSON: b'{"title":"T","author":"a"},\n',
}
HEAD = {ImportFormat.CSV: b"title,author\n", ImportFormat.NDJSON: b"", ImportFormat.JSON: b"[\n"}


def in_two_members(text: bytes) -> bytes:
    return gzip.compress(text[: len(text) // 2]) + gzip.compress(text[len(text) // 2 :])


def in_two_frames(text: bytes) -> bytes:
    return zstandard.compress(text[: len(text) // 2]) + zstandard.compress(text[len(text) // 2 :])


packings: st.SearchStrategy[Callable[[bytes], bytes]] = st.sampled_from(
    [bytes, BOM.__add__, gzip.compress, in_two_members, zstandard.compress, in_two_frames]
)


def reader_of(name: ImportFormat) -> Reader:
    return FormatReaders().reader(name)


def written(rows: list[PostRow], name: ImportFormat) -> bytes:
    if name is ImportFormat.CSV:
        return as_csv(rows, field_names(ImportKind.POSTS))
    return as_ndjson(rows) if name is ImportFormat.NDJSON else as_json_array(rows)


def assert_reads_back(
    name: ImportFormat,
    file: bytes,
    expected: list[PostRow] | list[UserRow],
    kind: ImportKind = ImportKind.POSTS,
    pack: Callable[[bytes], bytes] = bytes,
) -> None:
    packed = pack(file)
    records = read(reader_of(name), packed, kind)
    assert rows(records) == expected
    assert_resumes_at_every_record(reader_of(name), packed, kind)
    if name is not ImportFormat.JSON:
        for record in records:
            assert file[: record.end].count(b"\n") == record.end_line - 1


@given(st.lists(posts, max_size=8), packings)
def test_posts_written_as_ndjson_read_back_equal_from_every_record_on(
    rows: list[PostRow], pack: Callable[[bytes], bytes]
) -> None:
    assert_reads_back(ImportFormat.NDJSON, as_ndjson(rows), rows, pack=pack)


@given(st.lists(users, max_size=8))
def test_users_written_as_ndjson_read_back_equal_from_every_record_on(rows: list[UserRow]) -> None:
    assert_reads_back(ImportFormat.NDJSON, as_ndjson(rows), rows, ImportKind.USERS)


@given(
    st.lists(posts, max_size=8),
    st.sampled_from(",;\t|"),
    st.permutations(field_names(ImportKind.POSTS)),
    packings,
)
def test_posts_written_as_csv_read_back_equal_from_every_record_on(
    rows: list[PostRow], delimiter: str, columns: list[str], pack: Callable[[bytes], bytes]
) -> None:
    assert_reads_back(ImportFormat.CSV, as_csv(rows, columns, delimiter=delimiter), rows, pack=pack)


@given(st.lists(users, max_size=8))
def test_users_written_as_csv_read_back_equal_from_every_record_on(rows: list[UserRow]) -> None:
    assert_reads_back(ImportFormat.CSV, as_csv(rows, field_names(ImportKind.USERS)), rows, ImportKind.USERS)


@given(st.lists(posts, max_size=8), st.sampled_from([b",", b",\n", b" ,\r\n\t"]), st.text(characters), packings)
@example([PostRow("an end, {"), PostRow('[{"x":1},{"x":2}]'), PostRow("}")], b",", "", bytes)
def test_posts_written_as_a_json_array_read_back_equal_from_every_record_on(
    rows: list[PostRow], between: bytes, title: str, pack: Callable[[bytes], bytes]
) -> None:
    rows = [replace(row, title=title + row.title) for row in rows]
    assert_reads_back(ImportFormat.JSON, as_json_array(rows, between=between), rows, pack=pack)


@given(st.lists(users, max_size=8))
def test_users_written_as_a_json_array_read_back_equal_from_every_record_on(rows: list[UserRow]) -> None:
    assert_reads_back(ImportFormat.JSON, as_json_array(rows), rows, ImportKind.USERS)


@given(
    st.lists(posts, min_size=1, max_size=8),
    st.sampled_from(TEXT_FORMATS),
    st.sampled_from(["utf-16", "utf-16-le", "utf-16-be", "utf-32"]),
)
def test_rows_written_in_wide_characters_read_back_equal_from_every_record_on(
    rows: list[PostRow], name: ImportFormat, encoding: str
) -> None:
    # Enough of ASCII before the rest: without a mark, that is what tells wide characters.
    rows = [PostRow("T" * 500), *rows]
    text = written(rows, name)
    file = text.decode().encode(encoding)
    assert_reads_back(name, text, rows, pack=lambda _: file)


@given(st.binary(max_size=300), st.sampled_from(TEXT_FORMATS), st.integers(25, 60))
def test_no_bytes_whatever_stop_a_reader_or_lead_it_in_circles(junk: bytes, name: ImportFormat, longest: int) -> None:
    file = HEAD[name] + junk
    reader = reader_of(name)
    records = read(reader, file, longest=longest)
    text = b"".join(Text(io.BytesIO(file), ReadLimits(longest)))
    ends = [record.end for record in records]
    assert ends == sorted(set(ends))
    assert not ends or ends[-1] <= len(text)
    assert [record.place for record in records] == sorted({record.place for record in records})
    for place, record in enumerate(records, 1):
        assert read(reader, file, longest=longest, start=after(record)) == records[place:]


class Endless(io.RawIOBase):
    """`head`, then `row` again and again, up to `size` bytes; never in memory."""

    def __init__(self, head: bytes, row: bytes, size: int) -> None:
        super().__init__()
        self._head = head
        self._rows = row * (1_000_000 // len(row) + 1)
        self._row_bytes = len(row)
        self._size = size
        self._at = 0
        self.largest = 0

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset if whence == 0 else self._size
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1, /) -> bytes:
        assert 0 <= size <= 1_000_000, "bounded"
        size = min(size, self._size - self._at)
        beyond = self._at - len(self._head)
        if beyond < 0:
            piece = self._head[self._at : self._at + size]
        else:
            begin = beyond % self._row_bytes
            piece = self._rows[begin : begin + min(size, 900_000)]
        self._at += len(piece)
        return piece


@pytest.mark.parametrize("name", TEXT_FORMATS)
def test_a_record_of_any_length_is_read_in_bounded_memory(name: ImportFormat) -> None:
    good = HEAD[name] + GOOD[name]
    file = Endless(good, b"a" * 1000, 200_000_000)
    shape = FileShape(ImportKind.POSTS, ReadLimits(max_row_bytes=1_000_000))
    tracemalloc.start()
    try:
        first, over_long = reader_of(name)(file, shape, start=Checkpoint())  # type: ignore[arg-type]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert first.parsed == PostRow("T", "a")
    assert isinstance(over_long.parsed, RowProblem)
    assert (over_long.parsed.code, len(over_long.raw)) == ("too_long", 1_000)
    assert peak < 20_000_000


@pytest.mark.parametrize("name", TEXT_FORMATS)
def test_progress_never_falls_and_ends_with_the_file(name: ImportFormat) -> None:
    dice = random.Random(1)
    text = written([PostRow(dice.randbytes(100).hex()) for _ in range(5_000)], name)
    for file in (text, BOM + text, gzip.compress(text), zstandard.compress(text), text.decode().encode("utf-16")):
        reading = reader_of(name)(io.BytesIO(file), FileShape(ImportKind.POSTS, ReadLimits(MAX)), start=Checkpoint())
        told = [reading.bytes_read for _ in reading]
        assert told == sorted(told)
        assert len(set(told)) > 1_000
        assert told[0] < len(file) / 100
        assert len(file) - 10 <= told[-1] <= len(file)


@pytest.mark.parametrize("name", TEXT_FORMATS)
def test_progress_of_a_resumed_reading_begins_with_its_checkpoint(name: ImportFormat) -> None:
    file = gzip.compress(written([PostRow(str(number)) for number in range(1_000)], name))
    shape = FileShape(ImportKind.POSTS, ReadLimits(MAX))
    records = read(reader_of(name), file)
    start = replace(after(records[900]), bytes_read=len(file) - 1)
    reading = reader_of(name)(io.BytesIO(file), shape, start=start)
    assert reading.bytes_read == len(file) - 1
    assert {reading.bytes_read for _ in reading} <= {len(file) - 1, len(file)}
