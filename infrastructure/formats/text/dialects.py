"""How a CSV is written, told by its beginning: what parts its cells, and what they are quoted with."""

import csv
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

DELIMITERS = ",;\t|"
_LINES_LOOKED_AT = 50


@dataclass(frozen=True, slots=True)
class Dialect:
    delimiter: str
    quote: str


def cells_of(line: str, dialect: Dialect) -> list[str]:
    """Raises csv.Error."""
    return next(csv.reader([line], delimiter=dialect.delimiter, quotechar=dialect.quote), [])


def dialect_of(lines: Sequence[str], knows: Callable[[str], bool]) -> Dialect:
    """By the first line, the header: the delimiter that parts it into the most names that are known, or into the most
    cells at all. The quote is `"`, unless most lines have cells in `'` and none has one in `"`. Raises csv.Error."""
    header = lines[0] if lines else ""
    split = {each: cells_of(header, Dialect(each, _quote(lines, each))) for each in DELIMITERS}
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
