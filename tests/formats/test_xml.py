import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from application.ports.formats import RowProblem
from domain.errors import InvalidValue
from infrastructure.formats.archives.xml import Damage, Element, Wanted, read_elements

ROWS = Wanted(("posts",), "archive")


class Pieces:
    """A source of these pieces, which need never be together in memory."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""
        self.bytes_read = 0
        self.damage: RowProblem | None = None

    def read(self, size: int, /) -> bytes:
        while len(self._rest) < size and (piece := next(self._pieces, b"")):
            self._rest += piece
        piece, self._rest = self._rest[:size], self._rest[size:]
        self.bytes_read += len(piece)
        return piece

    def readline(self, size: int, /) -> bytes:
        raise NotImplementedError


def elements(file: bytes, wanted: Wanted = ROWS, *, limit: int = 1_000) -> list[Element | Damage]:
    return list(read_elements(Pieces(iter([file])), wanted, limit=limit))


def whole(file: bytes, wanted: Wanted = ROWS, *, limit: int = 1_000) -> list[Element]:
    found = elements(file, wanted, limit=limit)
    assert all(isinstance(each, Element) for each in found)
    return [each for each in found if isinstance(each, Element)]


def test_elements_come_in_order_with_their_lines_texts_and_children() -> None:
    first, second = whole(b'<posts>\n<row a="1">x<b>y</b>z</row>\n\n<row\n a="&lt;&#233;">\n</row></posts>')
    assert (first.line, first.end_line, first.attributes, first.text) == (2, 2, {"a": "1"}, "xz")
    assert [(child.name, child.text) for child in first.children] == [("b", "y")]
    assert first.child("b") == "y"
    assert first.child("c") == ""
    assert (second.line, second.end_line, second.attributes) == (4, 6, {"a": "<é"})


def test_lines_beyond_65535_are_true() -> None:
    found = whole(b"<posts>\n" + b"<row/>\n" * 70_000 + b"</posts>")
    assert [element.line for element in found] == list(range(2, 70_002))


def test_only_what_lies_on_the_path_is_told() -> None:
    wanted = Wanted(("rss", "channel"), "archive", counted="comment", dropped=frozenset({"meta"}))
    file = (
        b"<rss><other><item/></other><channel>\n<item>\n<comment><id>1</id></comment><a>x<meta>y</meta>\n"
        b"<comment/></a></item></channel><item/><channel><item/></channel></rss>"
    )
    first, second = whole(file, wanted)
    assert list(first.counted or ()) == [3, 4]
    assert [(child.name, child.text, child.children) for child in first.children] == [("a", "x\n", [])]
    assert second.counted is None


def test_what_precedes_the_xml_is_passed_over_and_its_lines_are_counted() -> None:
    assert [each.line for each in whole(b'\xef\xbb\xbf\n \r\n<?xml version="1.0"?>\n<posts><row/></posts>')] == [4]


def test_characters_that_xml_forbids_are_dropped() -> None:
    assert whole(b"<posts><row a='x\x00\x1by'>\x08z</row></posts>")[0].attributes == {"a": "xy"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "windows-1252", "ISO-8859-1", "koi8-r", "shift_jis"])
def test_the_declared_encoding_is_read(encoding: str) -> None:
    text = {"koi8-r": "Я", "shift_jis": "日本"}.get(encoding, "é")
    file = f'<?xml version="1.0" encoding="{encoding}"?><posts><row>{text}</row></posts>'
    assert whole(file.encode(encoding))[0].text == text


def test_utf_16_is_told_without_a_mark() -> None:
    assert whole("<posts><row>é</row></posts>".encode("utf-16-be"))[0].text == "é"


def test_an_element_with_bytes_of_another_encoding_is_marked_alone() -> None:
    found = whole(b"<posts><row/><row a='\xff'/><row/><row><b>\xe9</b></row><row/></posts>")
    assert [each.misspelt for each in found] == [False, True, False, True, False]
    assert found[1].attributes == {"a": "�"}
    problem = found[1].problem(1_000)
    assert problem is not None
    assert problem.code == "bad_encoding"


@given(st.lists(st.booleans(), max_size=12), st.integers(1, 9))
def test_bytes_of_another_encoding_are_found_wherever_pieces_end(bad: list[bool], size: int) -> None:
    file = b"<posts>" + b"".join("<row>ä€😀".encode() + b"\xff" * is_bad + b"</row>" for is_bad in bad) + b"</posts>"
    source = Pieces(file[start : start + size] for start in range(0, len(file), size))
    source.read = lambda _size: next(source._pieces, b"")  # type: ignore[method-assign]
    found = list(read_elements(source, ROWS, limit=1_000))
    assert [isinstance(each, Element) and each.misspelt for each in found] == bad


def test_an_element_past_the_limit_is_marked_and_the_next_ones_are_read() -> None:
    long, deep, after = whole(
        b"<posts><row a='1'><t>T</t><c>" + b"x" * 1_500 + b"</c><d>1</d>2</row>"
        b"<row>" + b"<i>" * 50 + b"</i>" * 50 + b"</row><row>y</row></posts>"
    )
    assert long.too_long
    assert deep.too_long
    assert (long.child("t"), long.child("d")) == ("T", "")
    assert (after.too_long, after.text) == (False, "y")
    problem = long.problem(1_000)
    assert problem is not None
    assert problem.code == "too_long"


@pytest.mark.parametrize(
    ("file", "line", "code"),
    [
        (b"<posts>\n<row/>\n<row>", 3, "truncated"),
        (b"<posts>\n<row/>\n<row a='", 3, "truncated"),
        (b"<posts>\n<row/>\n<row><![CDATA[x\n", 3, "truncated"),
        (b"<posts>\n<row/>\n", 3, "truncated"),
        (b"<posts>\n<row/>\n<row>\n</b></row></posts>", 3, "bad_xml"),
        (b"<posts>\n<row/>\n<row>&nbsp;</row></posts>", 3, "bad_xml"),
        (b"<posts>\n<row/>\n<row a=1/></posts>", 3, "bad_xml"),
        (b"<posts>\n<row/>\n<row a='" + b"x" * 500_000 + b"'/></posts>", 3, "too_long"),
        (b"<posts>\n<row/>\n<!--" + b"x" * 500_000, 3, "too_long"),
    ],
)
def test_where_the_xml_breaks_reading_ends_and_says_so(file: bytes, line: int, code: str) -> None:
    row, damage = elements(file)
    assert isinstance(row, Element)
    assert isinstance(damage, Damage)
    assert (damage.line, damage.problem.code) == (line, code)


def test_damage_of_the_stored_file_is_told_as_such() -> None:
    source = Pieces(iter([b"<posts><row/><ro"]))
    source.damage = RowProblem(None, "bad_compression", "Damaged.")
    row, damage = read_elements(source, ROWS, limit=1_000)
    assert isinstance(row, Element)
    assert isinstance(damage, Damage)
    assert damage.problem == source.damage


@pytest.mark.parametrize(
    ("file", "code"),
    [
        (b"", "truncated"),
        (b" \n", "truncated"),
        (b"<pos", "truncated"),
        (b"text", "bad_xml"),
        (b"<html><posts/></html>", "wrong_format"),
        (b'<?xml version="1.0" encoding="unheard-of"?><posts/>', "bad_encoding"),
        (b'<?xml version="1.0" encoding="iso-8859-99"?><posts/>', "bad_encoding"),
        (b'<?xml version="1.0" encoding="unicode_escape"?><posts/>', "bad_encoding"),
        (b"<!DOCTYPE posts><posts/>", "doctype"),
        (b'<!DOCTYPE posts SYSTEM "http://localhost/x.dtd"><posts/>', "doctype"),
        (b'<!DOCTYPE posts [<!ENTITY x SYSTEM "file:///etc/passwd">]><posts><row>&x;</row></posts>', "doctype"),
        (b'<!DOCTYPE p [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><posts><row>&b;</row></posts>', "doctype"),
    ],
)
def test_what_is_no_such_archive_or_declares_a_document_type_is_refused(file: bytes, code: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        elements(file)
    assert (refused.value.field, refused.value.code) == ("file", code)


def peak_bytes(pieces: Iterator[bytes], wanted: Wanted) -> int:
    tracemalloc.start()
    try:
        for _ in read_elements(Pieces(pieces), wanted, limit=100_000):
            pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def repeated(before: bytes, piece: bytes, times: int, after: bytes) -> Iterator[bytes]:
    yield before
    for _ in range(times):
        yield piece
    yield after


@pytest.mark.parametrize(
    ("before", "piece", "after"),
    [
        (b"<posts>", b"<row a='" + b"x" * 2_000 + b"'>" + b"y" * 2_000 + b"</row>", b"</posts>"),
        (b"<posts><row>", b"x" * 4_000, b"</row></posts>"),
        (b"<posts><row>", b"<b>x</b>" * 50, b"</row></posts>"),
        (b"<posts><row>", b"<comment>" + b"x" * 4_000 + b"</comment>", b"</row></posts>"),
        (b"<posts>", b"<!--" + b"x" * 4_000 + b"-->", b"</posts>"),
        (b"<posts><row>", b"\xff" * 3_900 + b"x\xff" * 50, b"</row></posts>"),
        (b"<posts><row a='", b"x" * 4_000, b"'/></posts>"),
    ],
    ids=["rows", "text", "children", "comments", "remarks", "bad bytes", "attribute"],
)
def test_memory_is_the_same_for_a_file_of_any_size(before: bytes, piece: bytes, after: bytes) -> None:
    wanted = Wanted(("posts",), "archive", counted="comment")
    small = peak_bytes(repeated(before, piece, 250, after), wanted)
    large = peak_bytes(repeated(before, piece, 5_000, after), wanted)
    assert large < small * 2 + 1_000_000
    assert large < 6_000_000
