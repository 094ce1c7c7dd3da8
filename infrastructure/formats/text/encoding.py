"""In which encoding a text is, where it is not UTF-8.

The rule, judged by the first SAMPLE_BYTES of the file alone, so that it is the same whenever the file is read:

1. A byte order mark says so; without one, NULs at every other byte are UTF-16's.
2. What is UTF-8 is UTF-8. So is what is meant to be, and has rows that fail alone as `bad_encoding`: well-formed
   sequences are as many as bad bytes, or fewer than one line in ten has a bad byte, or it is all but ASCII and has
   bytes (FE, FF) that no UTF-8 and hardly any other such text has.
3. Else charset-normalizer tells, among the encodings that people's files are in.
"""

import codecs
import re
from collections.abc import Sequence
from functools import lru_cache

from charset_normalizer import from_bytes

SAMPLE_BYTES = 256 * 1024
UTF_8 = "utf-8"

_MARKS = (
    (codecs.BOM_UTF8, UTF_8),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LATIN = ("cp1252", "cp1250", "cp1254", "cp1257")
_OTHERS = ("cp1251", "koi8_r", "cp932", "euc_jp", "gb18030", "big5", "cp949", "cp1253", "cp1255", "cp1256", "cp866")

_HIGH_RUN = re.compile(rb"[\x80-\xff]+")
_WELL_FORMED = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]"
    rb"|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}"
)
_BAD = re.compile(rb"[\x80-\xff]")

# Mean length of what is not ASCII: letters with accents stand alone, other scripts in words.
_RUN_OF_LATIN, _RUN_OF_OTHERS = 1.5, 2.5


@lru_cache(maxsize=8)
def encoding_of(sample: bytes) -> str:
    for mark, encoding in _MARKS:
        if sample.startswith(mark):
            return encoding
    if utf_16 := _unmarked_utf_16(sample):
        return utf_16
    if _is_meant_as_utf_8(sample):
        return UTF_8
    return _told_by_its_letters(sample) or UTF_8


def _unmarked_utf_16(sample: bytes) -> str | None:
    pairs = len(sample) // 2
    if pairs < 2:
        return None
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if odd > pairs * 0.4 and even < pairs * 0.05:
        return "utf-16-le"
    if even > pairs * 0.4 and odd < pairs * 0.05:
        return "utf-16-be"
    return None


def _is_meant_as_utf_8(sample: bytes) -> bool:
    try:
        codecs.getincrementaldecoder(UTF_8)().decode(sample)
    except UnicodeDecodeError:
        pass
    else:
        return True
    rest, well_formed = _WELL_FORMED.subn(b"", sample)
    bad = len(_BAD.findall(rest))
    if well_formed >= bad:
        return True
    lines = sample.split(b"\n")
    if sum(1 for line in lines if _BAD.search(_WELL_FORMED.sub(b"", line))) * 10 < sum(1 for line in lines if line):
        return True
    return bad * 10 < len(sample) and (b"\xfe" in rest or b"\xff" in rest)


def _told_by_its_letters(sample: bytes) -> str | None:
    runs = _HIGH_RUN.findall(sample)
    mean = sum(map(len, runs)) / len(runs)
    among: Sequence[str] = (*_LATIN, *_OTHERS)
    if mean < _RUN_OF_LATIN:
        among = _LATIN
    elif mean > _RUN_OF_OTHERS:
        among = _OTHERS
    matches = list(from_bytes(sample, cp_isolation=list(among)))
    if not matches:
        return None
    best = matches[0]
    # Of those that it finds alike, the one that most files of the kind are in.
    alike = [each for each in matches if (each.chaos, each.coherence) == (best.chaos, best.coherence)]
    names = [name for each in alike for name in (each.encoding, *each.could_be_from_charset)]
    return min((name for name in names if name in among), key=among.index)
