import io

import pytest

from application.ports.formats import PostRow, ReadLimits
from domain.import_options import ImportFormat
from infrastructure.formats.readers import FormatReaders
from infrastructure.formats.text.encoding import encoding_of
from infrastructure.formats.text.sources import BLOCK_BYTES, Text
from tests.formats.reading import assert_resumes_at_every_record, problem, read, rows

SAID = {
    "cp1252": ["Die Straße führt über die Brücke", "L’été à la façade naïve, où êtes-vous ?", "Café"],
    "cp1250": ["Zażółć gęślą jaźń w Łodzi", "Příliš žluťoučký kůň úpěl ďábelské ódy"],
    "cp1251": ["Привет мир, как дела сегодня", "Съешь ещё этих мягких французских булок"],
    "koi8_r": ["Привет мир, как дела сегодня", "Съешь ещё этих мягких французских булок"],
    "cp932": ["これは日本語の記事です。", "東京は大きい都市です。"],
    "euc_jp": ["これは日本語の記事です。", "東京は大きい都市です。"],
    "gb18030": ["这是一个中文的文章。", "北京很大。"],
    "big5": ["這是一個中文的文章。", "台北很大。"],
    "cp949": ["이것은 한국어 기사입니다", "서울은 큽니다"],
}


def text_of(file: bytes) -> bytes:
    return b"".join(Text(io.BytesIO(file), ReadLimits(1_000)))


@pytest.mark.parametrize("encoding", SAID)
def test_a_csv_in_another_encoding_is_read_and_resumed(encoding: str) -> None:
    titles = SAID[encoding] * 10
    file = ("title;author\r\n" + "".join(f"{title};ann\r\n" for title in titles)).encode(encoding)
    reader = FormatReaders().reader(ImportFormat.CSV)
    assert rows(read(reader, file)) == [PostRow(title, "ann") for title in titles]
    assert_resumes_at_every_record(reader, file)


@pytest.mark.parametrize(("encoding", "title"), [("cp1252", "Café"), ("cp1251", "Привет мир"), ("cp1252", "Müller")])
def test_few_words_are_enough(encoding: str, title: str) -> None:
    file = f"title,author\n{title},ann\nT,bob\n".encode(encoding)
    assert rows(read(FormatReaders().reader(ImportFormat.CSV), file))[0] == PostRow(title, "ann")


@pytest.mark.parametrize(
    "file",
    [
        b"title\nT\n" * 10 + b"bad \xc3\x28\n",
        b"title\nT\n" * 10 + b"bad \xe9\n",
        "title\nПривет, мир\n".encode() + b"bad \xe9\n",
        b"title\nbad \xff\n",
        b"title\nA bad title \xfe\xfe\n",
        "title\nČaj\n".encode() * 3 + b"bad \x80\x80\n",
        "Ü".encode()[:1],
        b"title\na\x00b\n",
        b"",
    ],
)
def test_what_is_meant_as_utf_8_stays_it_and_only_its_bad_rows_fail(file: bytes) -> None:
    assert encoding_of(file) == "utf-8"


def test_the_row_with_bad_bytes_fails_alone() -> None:
    good = "title\nПривет\n".encode()
    found, bad, other = read(FormatReaders().reader(ImportFormat.CSV), good + b"bad \xff\nT\n")
    assert (found.parsed, other.parsed) == (PostRow("Привет"), PostRow("T"))
    assert problem(bad) == (3, None, "bad_encoding")


def test_a_byte_that_the_other_encoding_does_not_know_spoils_its_row_alone() -> None:
    file = "title\nGrüße\n".encode("cp1252") * 5 + b"bad \x81\nT\n"
    records = read(FormatReaders().reader(ImportFormat.CSV), file)
    assert problem(records[-2]) == (11, None, "bad_encoding")
    assert records[-1].parsed == PostRow("T")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_text_is_the_same_wherever_blocks_end(encoding: str) -> None:
    text = "Grüße aus Köln, and so on. " * (3 * BLOCK_BYTES // 27)
    assert text_of(text.encode(encoding)) == text.encode()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_skipping_leads_to_the_same_text(encoding: str) -> None:
    text = "Grüße aus Köln, and so on. " * (2 * BLOCK_BYTES // 27)
    for offset in (0, 1, 1_000, BLOCK_BYTES, BLOCK_BYTES + 1, len(text.encode()), len(text.encode()) + 1):
        source = Text(io.BytesIO(text.encode(encoding)), ReadLimits(1_000))
        source.skip_to(offset)
        assert b"".join(source) == text.encode()[offset:]
