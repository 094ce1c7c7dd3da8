import gzip
import io

import pytest
import zstandard

from application.ports.formats import ReadLimits
from domain.errors import BylineError, InvalidValue, TooLarge
from domain.import_options import ImportFormat
from infrastructure.formats.readers import FormatReaders

LIMITS = ReadLimits(1_000_000)
CSV, NDJSON, JSON = ImportFormat.CSV, ImportFormat.NDJSON, ImportFormat.JSON
WXR, GHOST, STACKEXCHANGE = ImportFormat.WXR, ImportFormat.GHOST, ImportFormat.STACKEXCHANGE

RSS = '<?xml version="1.0" encoding="{encoding}"?>\n<!-- a <posts> -->\n<rss version="2.0" xmlns:wp="{scheme}://wordpress.org/export/1.2/">'


def recognised(file: bytes, name: str | None = None, limits: ReadLimits = LIMITS) -> ImportFormat:
    return FormatReaders().recognise(io.BytesIO(file), file_name=name, limits=limits)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
@pytest.mark.parametrize(
    ("file", "format_"),
    [
        (b"title,author\nT,a\n", CSV),
        (b"\xef\xbb\xbfTitle;Author\nT;a\n", CSV),
        (b"title\nT\n", CSV),
        (b"sep=;\r\nTitle;Author\r\nT;a\r\n", CSV),
        (b"sep=^\ntitle\nT\n", CSV),
        ("sep=\t\nheadline\tby\nÜ\ta\n".encode("utf-16"), CSV),
        (b"headline\tby\nT\ta\n", CSV),
        ("title,author\nÜ,a\n".encode("utf-16"), CSV),
        (b"line,field,code,message,row\n", CSV),
        (b'{"title":"T"}\n{"title":"U"}\n', NDJSON),
        (b'{"title":"T","tags":[]}\n', NDJSON),
        (b'{"headline":"T"}\n{"headline":"U"}', NDJSON),
        (b'{"title":"damaged\n{"title":"T"}\n', NDJSON),
        (b'{"line":1,"field":null,"code":"x","message":"x","row":null}', NDJSON),
        (b' \n[{"title":"T"}]', JSON),
        (b"[]", JSON),
        (b'{"posts":[{"title":"T"}]}', JSON),
        (b'{\n  "meta": {"n": 1},\n  "posts": [\n    {"title": "T"}\n  ]\n}', JSON),
        (b'{"db":[{"meta":{"exported_on":1},"data":{"posts":[{"id":1}]}}]}', GHOST),
        (b'{\n "db": [\n  {"meta": {}, "data": {"posts": []}}\n ]\n}', GHOST),
        (b'{"meta":{"exported_on":1,"version":"5"},"data":{"posts":[{"id":1}]}}', GHOST),
        (RSS.format(encoding="UTF-8", scheme="http").encode(), WXR),
        (b"\n" + RSS.format(encoding="UTF-8", scheme="https").encode(), WXR),
        (RSS.format(encoding="UTF-16", scheme="https").encode("utf-16"), WXR),
        (b'<?xml version="1.0"?>\n<posts>\n  <row Id="1" />\n</posts>', STACKEXCHANGE),
    ],
)
@pytest.mark.parametrize("name", [None, "x.txt", "x.csv"])
def test_the_content_tells(pack: type[bytes], file: bytes, format_: ImportFormat, name: str | None) -> None:
    assert recognised(pack(file), name) is format_


@pytest.mark.parametrize(
    ("file", "name", "format_"),
    [
        (b"", "empty.ndjson", NDJSON),
        (b"headline\nT\n", "posts.csv", CSV),
        (b'{"title":"cut o', "posts.JSONL.gz", NDJSON),
        (b"{\n", "posts.json", JSON),
        (b"nothing\nthat is known\n", "x.tsv.zst", CSV),
    ],
)
def test_the_name_tells_where_the_content_leaves_it_open(file: bytes, name: str, format_: ImportFormat) -> None:
    assert recognised(file, name) is format_
    with pytest.raises(InvalidValue, match="no format that is known"):
        recognised(file, "x.txt")


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (b"PK\x03\x04\x14\x00", "ZIP"),
        (b"%PDF-1.7\n", "PDF"),
        (b"BZh91AY", "bzip2"),
        (b"\xfd7zXZ\x00\x00", "xz"),
        (b"\x89PNG\r\n\x1a\n", "image"),
        (b"SQLite format 3\x00", "SQLite"),
        (gzip.compress(gzip.compress(b"title\n", mtime=0), mtime=0), "twice"),
        (gzip.compress(b"posts.csv".ljust(257, b"\x00") + b"ustar\x00", mtime=0), "tar archive"),
        (bytes(range(32)) * 10, "no text"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"<html><body>", "web page"),
        (b'<?xml version="1.0"?><rss version="2.0"><channel>', "no export of WordPress"),
        (b"<users>\n<row", "Posts.xml"),
        (b"<feed>", "<feed>"),
        (b'{"a":1', "'{\"a\":1'"),
        (b"lorem ipsum dolor", "lorem ipsum"),
        (b"", "it is empty"),
    ],
)
def test_a_refusal_says_what_was_seen_and_what_is_known(file: bytes, words: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        recognised(file)
    assert refused.value.code == "unknown_format"
    assert words in refused.value.message
    assert "Known are CSV, NDJSON" in refused.value.message


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_what_cannot_be_decompressed_is_refused(pack: type[bytes]) -> None:
    packed = pack(b"title,author\nT,a\n")
    with pytest.raises(InvalidValue) as refused:
        recognised(packed[:10])
    assert refused.value.code == "truncated"
    with pytest.raises(InvalidValue) as refused:
        recognised(packed[:8] + b"\xff" * 20)
    assert refused.value.code in {"bad_compression", "truncated"}


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
@pytest.mark.parametrize("name", [None, "posts.csv.gz"])
def test_what_is_seen_to_grow_past_the_limits_is_refused(pack: type[bytes], name: str | None) -> None:
    bomb = pack(b"title\n" + b"T\n" * 5_000_000)
    with pytest.raises(InvalidValue) as refused:
        recognised(bomb, name, ReadLimits(1_000_000, max_ratio=100))
    assert refused.value.code == "too_compressed"
    with pytest.raises(TooLarge, match="5000000 bytes"):
        recognised(bomb, name, ReadLimits(1_000_000, max_text_bytes=5_000_000, max_ratio=10**9))


@pytest.mark.parametrize(
    "bomb",
    [
        gzip.compress(b"title\n" + b"T\n" * 5_000_000) + gzip.compress(b""),
        zstandard.ZstdCompressor(write_content_size=False).compress(b"title\n" + b"T\n" * 5_000_000),
    ],
    ids=["gzip", "zstd"],
)
def test_a_bomb_that_does_not_tell_its_size_is_seen_by_its_first_mebibyte(bomb: bytes) -> None:
    with pytest.raises(InvalidValue, match="100 times"):
        recognised(bomb, limits=ReadLimits(1_000_000, max_ratio=100))


@pytest.mark.parametrize("cut", [4, 8, 20])
def test_whatever_a_size_says_where_there_is_none_a_file_is_not_refused_for_it(cut: int) -> None:
    try:
        recognised(gzip.compress(b"title\n" * 10_000) + b"\xff" * cut)
    except BylineError as error:
        pytest.fail(str(error))


@pytest.mark.parametrize("opening", [b"<?", b"<!--"])
def test_what_never_ends_before_the_root_is_looked_through_once(opening: bytes) -> None:
    with pytest.raises(InvalidValue) as refused:
        recognised(opening * 60_000)
    assert refused.value.code == "unknown_format"


@pytest.mark.parametrize("before", [b"<?xml?>\n<!-- <rss> --><?x <b> ?>", b"<!-- a --><!-- -- > <rss>-->\n"])
def test_the_root_stands_after_comments_and_instructions(before: bytes) -> None:
    assert recognised(before + b"<posts>") is STACKEXCHANGE
    with pytest.raises(InvalidValue) as refused:
        recognised(before + b"<!-- <posts>")
    assert refused.value.code == "unknown_format"
