"""Of which format a file is: told by its beginning, and by its name only where that leaves it open."""

import csv
import re
from typing import BinaryIO

import msgspec

from application.ports.formats import ReadLimits
from domain.errors import InvalidValue
from domain.import_options import ImportFormat, ImportKind
from infrastructure.formats.rows import compared, field_names
from infrastructure.formats.text.dialects import cells_of, dialect_of, told_delimiter
from infrastructure.formats.text.encoding import UTF_8, encoding_of
from infrastructure.formats.text.json_scanning import array_begin
from infrastructure.formats.text.objects import ENTRY_KEYS
from infrastructure.formats.text.sources import Text
from infrastructure.formats.unpacking import GZIP, RATIO_FROM_BYTES, ZSTD, check_declared

_KNOWN = (
    "Known are CSV, NDJSON, a JSON array, and the exports of WordPress (WXR), Ghost and Stack Exchange (Posts.xml),"
    " each also compressed with gzip or zstd."
)
_SHOWN = 60

_WXR = re.compile(rb"https?://wordpress\.org/export/")
# Before the root only comments and instructions may hold what looks like one.
_ROOT = re.compile(rb"<(?:(!--|\?)|([A-Za-z_][\w.:-]*))")
_ENDS = {b"!--": b"-->", b"?": b"?>"}
_STACK_EXCHANGE_OTHERS = frozenset({"badges", "comments", "posthistory", "postlinks", "tags", "users", "votes"})
_GHOST = re.compile(
    rb'\{\s*(?:"db"\s*:\s*\[\s*\{\s*"(?:meta|data)"|(?:"meta"\s*:\s*\{[^{}]*\}\s*,\s*)?"data"\s*:\s*\{)'
)
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")

_OTHERS: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "a ZIP archive or an office document: unpack it, or save the sheet as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old office document: save the sheet as CSV"),
    (b"%PDF-", "a PDF document"),
    (b"BZh", "compressed with bzip2: use gzip or zstd"),
    (b"\xfd7zXZ\x00", "compressed with xz: use gzip or zstd"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive: unpack it"),
    (b"Rar!", "a RAR archive: unpack it"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"\x89PNG", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"GIF8", "an image"),
    (b"PAR1", "a Parquet file"),
    (GZIP, "compressed twice"),
    (ZSTD, "compressed twice"),
)
_TAR = b"ustar"
_TAR_AT = 257


def recognise(file: BinaryIO, *, file_name: str | None, limits: ReadLimits) -> ImportFormat:
    """As `Formats` has it."""
    check_declared(file, limits)
    text = Text(file, limits)
    if text.is_compressed:
        while text.offset <= RATIO_FROM_BYTES and text.block():
            pass
    _refuse_others(text.sample)
    head = text.head
    begin = head.lstrip()
    if begin.startswith(b"<"):
        return _xml(begin)
    if begin.startswith(b"["):
        return ImportFormat.JSON
    found = _json(begin) if begin.startswith(b"{") else _csv(head)
    if found is None and text.damage is not None:
        raise InvalidValue("file", text.damage.message, code=text.damage.code)
    found = found or ImportFormat.of_file_name(file_name)
    if found is None:
        raise _unknown(f"it begins with {_shown(head)}" if begin else "it is empty")
    return found


def _refuse_others(sample: bytes) -> None:
    """Raises InvalidValue."""
    for magic, what in _OTHERS:
        if sample.startswith(magic):
            raise _unknown(f"it is {what}")
    if sample[_TAR_AT:].startswith(_TAR):
        raise _unknown("it is a tar archive: unpack it, and import its files one by one")
    if encoding_of(sample) == UTF_8 and len(_CONTROLS.findall(sample)) * 10 > len(sample):
        raise _unknown("it is no text")


def _xml(head: bytes) -> ImportFormat:
    """Raises InvalidValue."""
    root = _root(head)
    if root == "rss" and _WXR.search(head):
        return ImportFormat.WXR
    if root == "posts":
        return ImportFormat.STACKEXCHANGE
    if root == "rss":
        raise _unknown("it is a feed (RSS), and no export of WordPress")
    if root in _STACK_EXCHANGE_OTHERS:
        raise _unknown(f"it may be the {root} of Stack Exchange, of which only the posts (Posts.xml) are imported")
    if root == "html" or head[:9].lower() == b"<!doctype":
        raise _unknown("it is a web page")
    raise _unknown(f"it is XML whose root is <{root[:_SHOWN]}>")


def _root(head: bytes) -> str:
    """In small letters; empty where there is none."""
    found = _ROOT.search(head)
    while found and found[1]:
        end = head.find(_ENDS[found[1]], found.end())
        found = _ROOT.search(head, end) if end >= 0 else None
    return found[2].decode().lower() if found else ""


def _json(head: bytes) -> ImportFormat | None:
    """Of what begins with a brace. None: that is open."""
    if _GHOST.match(head):
        return ImportFormat.GHOST
    first, _, rest = head.partition(b"\n")
    rest = rest.lstrip()
    try:
        names = msgspec.json.decode(first, type=dict[str, msgspec.Raw]).keys()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        names = None
    has_array = array_begin(head) is not None
    if names is not None and (rest or not has_array or names & _NAMES):
        return ImportFormat.NDJSON
    if has_array:
        return ImportFormat.JSON
    # The first row may be a damaged one.
    return ImportFormat.NDJSON if rest.startswith(b"{") else None


def _csv(head: bytes) -> ImportFormat | None:
    told, _ = told_delimiter(head)
    if told:
        return ImportFormat.CSV
    lines = head.decode(errors="replace").split("\n", 50)[:50]
    try:
        dialect = dialect_of(lines, lambda name: compared(name) in _NAMES)
        names = {compared(name) for name in cells_of(lines[0], dialect)}
    except csv.Error:
        return None
    return ImportFormat.CSV if len(names) > 1 or names & _NAMES else None


_NAMES = frozenset({*ENTRY_KEYS, *(name for kind in ImportKind for name in field_names(kind))})


def _shown(head: bytes) -> str:
    return repr(head[:_SHOWN].decode(errors="replace"))


def _unknown(seen: str) -> InvalidValue:
    return InvalidValue("file", f"It is of no format that is known: {seen}. {_KNOWN}", code="unknown_format")
