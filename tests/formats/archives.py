"""Archives read whole, damaged at random, and resumed at every record."""

import io
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import strategies as st

from application.ports.formats import FileShape, PostRow, Reader, ReadLimits, Record, RowProblem, RowSkip, UserRow
from domain.errors import InvalidValue, TooLarge
from domain.import_options import ImportKind
from domain.imports import Checkpoint

DATA = Path(__file__).parent / "data"
LIMIT = 100_000
BEGINNING = Checkpoint()


def read(
    reader: Reader,
    file: bytes,
    kind: ImportKind = ImportKind.POSTS,
    *,
    start: Checkpoint = BEGINNING,
    limit: int = LIMIT,
) -> list[Record]:
    return list(reader(io.BytesIO(file), FileShape(kind, ReadLimits(limit)), start=start))


def posts(records: list[Record]) -> list[PostRow]:
    return [record.parsed for record in records if isinstance(record.parsed, PostRow)]


def skips(records: list[Record]) -> list[str]:
    return [record.parsed.reason for record in records if isinstance(record.parsed, RowSkip)]


def problems(records: list[Record]) -> list[tuple[int, str | None, str]]:
    return [
        (record.line, record.parsed.field, record.parsed.code)
        for record in records
        if isinstance(record.parsed, RowProblem)
    ]


def assert_resumes_at_every_record(reader: Reader, file: bytes, kind: ImportKind = ImportKind.POSTS) -> None:
    records = read(reader, file, kind)
    assert [record.place for record in records] == list(range(1, len(records) + 1))
    for number, record in enumerate(records, 1):
        assert read(reader, file, kind, start=Checkpoint(record.end, record.end_line)) == records[number:]


def assert_damage_is_told(reader: Reader, file: bytes) -> None:
    """By whichever records, or by a refusal of the file, and by no other exception."""
    for kind in ImportKind:
        with suppress(InvalidValue, TooLarge):
            records = read(reader, file, kind, limit=5_000)
            assert [record.place for record in records] == list(range(1, len(records) + 1))


def assert_a_mistake_of_ours_costs_its_record_alone(
    reader: Reader, file: bytes, caplog: pytest.LogCaptureFixture, kind: ImportKind = ImportKind.POSTS
) -> None:
    """`file` has three records, of which the second brings it out: it holds the word `Breaks`."""
    first, broken, last = read(reader, file, kind)
    assert isinstance(broken.parsed, RowProblem)
    assert (broken.parsed.field, broken.parsed.code, broken.raw) == (None, "unexpected", {})
    assert isinstance(first.parsed, PostRow | UserRow)
    assert isinstance(last.parsed, PostRow | UserRow)
    (told,) = [each for each in caplog.records if each.message == "import_record_failed"]
    assert told.exc_info is None
    assert (told.__dict__["line"], told.__dict__["error"]) == (broken.line, "ZeroDivisionError")
    assert "Breaks" not in str(told.__dict__)


def breaks(text: str) -> str:
    """Stands in for `one_line`, with a mistake."""
    if text == "Breaks":
        raise ZeroDivisionError(text)
    return text


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """`whole` with some pieces cut out, repeated, or overwritten, and perhaps cut off."""
    file = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(file)))
        end = min(len(file), start + draw(st.integers(0, 40)))
        match draw(st.sampled_from(("cut", "repeat", "overwrite", "insert", "end"))):
            case "cut":
                del file[start:end]
            case "repeat":
                file[start:start] = file[start:end]
            case "overwrite":
                file[start:end] = draw(st.binary(min_size=end - start, max_size=end - start))
            case "insert":
                file[start:start] = draw(
                    st.sampled_from(
                        (
                            b"<",
                            b">",
                            b"&",
                            b'"',
                            b"]]>",
                            b"&#0;",
                            b"&x;",
                            b"\xff",
                            b"\0",
                            b"{",
                            b"[",
                            b"null",
                            b"-1e999",
                        )
                    )
                )
            case "end":
                del file[start:]
    return bytes(file)
