"""Whatever rows are written out read back equal, and reading resumes at every record."""

import io
from datetime import UTC
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from application.ports.formats import PostRow, Reader, Record, UserRow
from domain.imports import Checkpoint, ImportFormat, ImportKind
from domain.posts import ContentFormat, PostStatus, PostType
from infrastructure.formats.readers import FormatReaders
from infrastructure.formats.rows import BOM, field_names
from tests.formats.writing import as_csv, as_ndjson

MAX = 100_000
BEGINNING = Checkpoint()

texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)
said = st.one_of(st.none(), texts)
# A `|` parts tags in CSV, and an empty tag cannot be told from none.
tags = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="|"), min_size=1, max_size=10), max_size=3)

posts = st.builds(
    PostRow,
    title=texts,
    author=texts,
    slug=said,
    content=st.text(st.characters(codec="utf-8"), max_size=200),
    content_format=st.sampled_from(ContentFormat),
    excerpt=said,
    tags=tags.map(tuple),
    type=st.sampled_from(PostType),
    status=st.one_of(st.none(), st.sampled_from(PostStatus)),
    published_at=st.one_of(st.none(), st.datetimes(timezones=st.just(UTC)), st.datetimes()),
    views=st.integers(0, 2**62),
    source=said,
    external_id=said,
)
users = st.builds(
    UserRow,
    username=texts,
    email=texts,
    display_name=st.text(st.characters(codec="utf-8"), max_size=40),
    bio=st.text(st.characters(codec="utf-8"), max_size=200),
    website=said,
    role=texts,
    password=said,
)


def read(
    reader: Reader, file: bytes, kind: ImportKind, start: Checkpoint = BEGINNING, longest: int = MAX
) -> list[Record]:
    return list(reader(io.BytesIO(file), kind, start=start, max_row_bytes=longest))


def reader_of(name: ImportFormat) -> Reader:
    return FormatReaders().of(name)


def assert_reads_back(reader: Reader, kind: ImportKind, file: bytes, rows: list[PostRow] | list[UserRow]) -> None:
    records = read(reader, file, kind)
    assert [record.parsed for record in records] == rows
    for place, record in enumerate(records, 1):
        assert read(reader, file, kind, record.next) == records[place:]
        assert file[: record.next.offset].count(b"\n") == record.next.line - 1


@given(st.lists(posts, max_size=8), st.booleans())
def test_posts_written_as_ndjson_read_back_equal_from_every_record_on(rows: list[PostRow], with_bom: bool) -> None:
    file = (BOM if with_bom else b"") + as_ndjson(rows)
    assert_reads_back(reader_of(ImportFormat.NDJSON), ImportKind.POSTS, file, rows)


@given(st.lists(users, max_size=8))
def test_users_written_as_ndjson_read_back_equal_from_every_record_on(rows: list[UserRow]) -> None:
    assert_reads_back(reader_of(ImportFormat.NDJSON), ImportKind.USERS, as_ndjson(rows), rows)


@given(
    st.lists(posts, max_size=8),
    st.booleans(),
    st.sampled_from(",;\t"),
    st.permutations(field_names(ImportKind.POSTS)),
)
def test_posts_written_as_csv_read_back_equal_from_every_record_on(
    rows: list[PostRow], with_bom: bool, delimiter: str, columns: list[str]
) -> None:
    file = (BOM if with_bom else b"") + as_csv(rows, columns, delimiter=delimiter)
    assert_reads_back(reader_of(ImportFormat.CSV), ImportKind.POSTS, file, rows)


@given(st.lists(users, max_size=8))
def test_users_written_as_csv_read_back_equal_from_every_record_on(rows: list[UserRow]) -> None:
    file = as_csv(rows, field_names(ImportKind.USERS))
    assert_reads_back(reader_of(ImportFormat.CSV), ImportKind.USERS, file, rows)


@given(st.binary(max_size=300), st.sampled_from(ImportFormat), st.integers(5, 60))
def test_no_bytes_whatever_stop_a_reader_or_lead_it_in_circles(junk: bytes, name: ImportFormat, longest: int) -> None:
    header = b"title,author,content\n" if name is ImportFormat.CSV else b""
    file = header + junk
    records = read(reader_of(name), file, ImportKind.POSTS, longest=max(longest, len(header)))
    ends = [record.next.offset for record in records]
    assert ends == sorted(set(ends))
    assert not ends or ends[-1] <= len(file)
    assert all(record.line < record.next.line for record in records)
    for place, record in enumerate(records, 1):
        rest = read(reader_of(name), file, ImportKind.POSTS, record.next, max(longest, len(header)))
        assert rest == records[place:]


class CountingFile(io.BytesIO):
    """How much was asked for at a time."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.largest = 0

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        self.largest = max(self.largest, len(line))
        return line

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(size)
        self.largest = max(self.largest, len(piece))
        return piece


@pytest.mark.parametrize("name", ImportFormat)
def test_a_line_of_any_length_is_read_in_bounded_pieces(name: ImportFormat) -> None:
    header = b"title,author\n" if name is ImportFormat.CSV else b""
    good = b"x,y\n" if name is ImportFormat.CSV else b'{"title":"x","author":"y"}\n'
    file: BinaryIO = CountingFile(header + b"a" * 1_000_000 + b"\n" + good)
    over_long, following = reader_of(name)(file, ImportKind.POSTS, start=Checkpoint(), max_row_bytes=1_000)
    assert following.parsed == PostRow("x", "y")
    assert len(over_long.raw) <= 1_000
    assert isinstance(file, CountingFile)
    assert file.largest < 1_100
