"""The text of an XML file as a parser can take it, whatever it came in."""

import codecs
import re

from domain.errors import InvalidValue
from infrastructure.formats.archives.records import Source

PIECE_BYTES = 64 * 1024

_DECLARED = re.compile(rb"""<\?xml[^>]{0,100}?\sencoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_KNOWN = re.compile(
    r"utf-?(8|16)|(us-)?ascii|(iso-?8859|latin)-?[0-9]{1,2}|(windows-?|cp)125[0-8]|koi8-[ru]|shift_jis|euc-(jp|kr)"
    r"|gb(k|2312|18030)|big5|utf-16-(le|be)",
    re.IGNORECASE,
)
_UTF_16 = (b"\xff\xfe", b"\xfe\xff", b"<\x00", b"\x00<")
_BOM = b"\xef\xbb\xbf"
# XML 1.0 forbids them, and archives hold them all the same.
_FORBIDDEN = bytes(set(range(32)) - set(b"\t\n\r"))
_LONE = re.compile("[\ud800-\udfff]+")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}".encode()


class XmlText:
    """The file as UTF-8, for expat: without what precedes the XML and what XML forbids. Bytes that are not of the
    file's encoding become a U+FFFD; `bad` has where, each at least once for every element."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lines_before = 0
        self._decode: codecs.IncrementalDecoder | None = None
        self._given = 0
        self.bad: list[int] = []

    def line(self, number: int) -> int:
        """In the file, of expat's."""
        return number + self._lines_before

    def next(self) -> bytes:
        """Empty at the end. Raises InvalidValue for an encoding that is not known."""
        while piece := self._source.read(PIECE_BYTES):
            if self._decode is None:
                piece = self._beginning(piece)
            if self._decode is not None and (given := self._utf8(self._decode.decode(piece))):
                return given
        return self._utf8(self._decode.decode(b"", final=True)) if self._decode else b""

    def _beginning(self, piece: bytes) -> bytes:
        if piece.startswith(_UTF_16):
            begins_little = piece[:2] in (b"\xff\xfe", b"<\x00")
            self._decode = _decoder("utf-16-le" if begins_little else "utf-16-be")
            return piece[2:] if piece.startswith((b"\xff\xfe", b"\xfe\xff")) else piece
        stripped = piece.removeprefix(_BOM).lstrip()
        self._lines_before += piece[: len(piece) - len(stripped)].count(b"\n")
        if stripped:
            declared = _DECLARED.match(stripped)
            self._decode = _decoder(declared[1].decode() if declared else "utf-8")
        return stripped

    def _utf8(self, text: str) -> bytes:
        try:
            given = text.encode().translate(None, _FORBIDDEN)
        except UnicodeEncodeError:
            given = self._mended(text)
        self._given += len(given)
        return given

    def _mended(self, text: str) -> bytes:
        given = bytearray()
        for sound in _LONE.split(text):
            given += sound.encode().translate(None, _FORBIDDEN)
            self.bad.append(self._given + len(given))
            given += _REPLACEMENT
        self.bad.pop()
        return bytes(given[: -len(_REPLACEMENT)])


def _decoder(name: str) -> codecs.IncrementalDecoder:
    """Raises InvalidValue."""
    try:
        if _KNOWN.fullmatch(name):
            return codecs.getincrementaldecoder(name)("surrogateescape")
    except LookupError:
        pass
    raise InvalidValue("file", f"Its encoding, {name}, is not known.", code="bad_encoding")
