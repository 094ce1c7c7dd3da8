"""How a CSV is written, told by its beginning: what parts its cells, and what they are quoted with."""

import csv
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

DELIMITERS = ",;\t|"
_LINES_LOOKED_AT = 50
# Any one character of UTF-8 but quotes.
_TOLD = re.compile(rb"""(?i:"?sep=([^\r\n"'\x80-\xff]|[\xc2-\xf4][\x80-\xbf]{1,3})"?\r?(?:\n|\Z))""")


@dataclass(frozen=True, slots=True)
class Dialect:
    delimiter: str
    quote: str


def told_delimiter(head: bytes) -> tuple[str, int]:
    """Of a first line such as `sep=;`, which Excel reads and is no row: what it names, and where the next line begins.
    Empty and 0 where there is none."""
    told = _TOLD.match(head)
    return (told[1].decode(errors="replace")[0], told.end()) if told else ("", 0)


def cells_of(line: str, dialect: Dialect) -> list[str]:
    """Raises csv.Error."""
    return next(csv.reader([line], delimiter=dialect.delimiter, quotechar=dialect.quote), [])


def dialect_of(lines: Sequence[str], knows: Callable[[str], bool], delimiters: str = DELIMITERS) -> Dialect:
    """By the first line, the header: that of `delimiters` which parts it into the most names that are known, or into
    the most cells at all. The quote is `"`, unless most lines have cells in `'` and none has one in `"`. Raises
    csv.Error."""
    header = lines[0] if lines else ""
    split = {each: cells_of(header, Dialect(each, _quote(lines, each))) for each in delimiters}
    delimiter = max(split, key=lambda each: (len({cell for cell in split[each] if knows(cell)}), len(split[each])))
    return Dialect(delimiter, _quote(lines, delimiter))


def _quote(lines: Sequence[str], delimiter: str) -> str:
    part = re.escape(delimiter)
    single = re.compile(rf"(?:^|{part})'(?:[^']|'')*'(?={part}|$)")
    double = re.compile(rf'(?:^|{part})"')
    looked_at = [line for line in lines[:_LINES_LOOKED_AT] if line]
    if any(double.search(line) for line in looked_at):
        return '"'
    return "'" if sum(1 for line in looked_at if single.search(line)) * 2 > len(looked_at) else '"'
