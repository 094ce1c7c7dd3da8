"""CSV after RFC 4180: a header, then a record a row, whose quoted cells may hold line breaks. Cells are parted by
commas, semicolons, tabs or pipes and quoted with `"` or `'`, as the beginning of the file shows; or by what a first
line of Excel's (`sep=;`) names."""

import csv
from collections.abc import Iterator
from itertools import accumulate, chain, islice
from typing import BinaryIO

from application.ports.formats import FileShape, Reading, Record, RowProblem
from domain.imports import Checkpoint
from infrastructure.formats.rows import NOT_UTF_8, SHOWN_OF_OVERLONG
from infrastructure.formats.text.headers import Header
from infrastructure.formats.text.lines import Lines
from infrastructure.formats.text.sources import Text, TextReading, damage

# Of the whole process, and 128 KiB unless told; what bounds a cell is `max_row_bytes`.
csv.field_size_limit(2**31 - 1)


def read_csv(file: BinaryIO, shape: FileShape, *, start: Checkpoint) -> Reading:
    """A `Reader`. Empty cells are absent fields; rows without any cell filled are passed over.

    A record that breaks the quoting rules, or grows past `max_row_bytes`, is a problem of its first line, and reading
    goes on at the next line: a quote that nobody closed costs one row and not the rest of the file.
    """
    return TextReading(file, shape, start, _records)


def _records(text: Text, shape: FileShape, start: Checkpoint) -> Iterator[Record]:
    header = Header.of(text, shape)
    longest = shape.limits.max_row_bytes
    rows = _Rows(text, header, start if start.offset else header.first, longest)
    while True:
        try:
            yield from rows.sound()
        except (csv.Error, _TooLong) as error:
            if rows.is_cut_off and not isinstance(error, _TooLong):
                break
            yield rows.passed_over(error)
        else:
            break
    if rows.is_cut_off and text.damage is not None:
        yield rows.cut_off(text.damage)


class _TooLong(Exception):
    pass


class _Rows:
    """`held` are lines, of which the record that is being read begins at `next`; `ends` are where they end."""

    def __init__(self, text: Text, header: Header, start: Checkpoint, longest: int) -> None:
        self._text = text
        self._header = header
        self._longest = longest
        self._lines = Lines(text, start, longest=longest)
        self._fresh = iter(self._lines)
        self._offset, self._line = start.offset, start.line
        self._held: list[bytes] = []
        self._ends: list[int] = []
        self._next = 0
        self._dropped = 0
        self._has_bad_bytes = False

    @property
    def is_cut_off(self) -> bool:
        return self._lines.is_damaged

    def sound(self) -> Iterator[Record]:
        """Those that keep the quoting rules. Raises csv.Error and _TooLong."""
        text, ends, read, width = self._text, self._ends, self._header.read, self._header.width
        longest, offset, line = self._longest + 2, self._offset, self._line
        delimiter, quote = self._header.dialect.delimiter, self._header.dialect.quote
        self._dropped = -self._next
        reader = csv.reader(chain.from_iterable(self._texts()), delimiter=delimiter, quotechar=quote, strict=True)
        try:
            for cells in reader:
                following = reader.line_num - self._dropped
                end, end_line = ends[following - 1], line + following - self._next
                if end - offset > longest:
                    raise _TooLong
                if any(cells):
                    text.taken = end
                    if len(cells) == width and not (self._has_bad_bytes and _has_bad_bytes(cells)):
                        parsed, raw = read(cells)
                        yield Record(line, line, end, end_line, parsed, raw)
                    else:
                        shown = b"\n".join(self._held[self._next : following]).rstrip(b"\r")
                        yield Record(line, line, end, end_line, self._misfit(cells), shown)
                self._next, self._offset, self._line = following, end, end_line
                offset, line = end, end_line
        except csv.Error:
            pulled = reader.line_num - self._dropped
            if pulled and ends[min(pulled, len(ends)) - 1] - offset > longest:
                raise _TooLong from None
            raise

    def _texts(self) -> Iterator[list[str]]:
        """What `csv.reader` asks for: never further than the lines that came with those of its record."""
        if self._next < len(self._held):
            yield self._decoded(self._held[self._next :])
        for lines, besides in self._fresh:
            if self._ends and self._ends[-1] - self._offset > self._longest + 2:
                self._hold(lines, besides)
                raise _TooLong
            self._hold(lines, besides)
            yield self._decoded(lines)

    def _hold(self, lines: list[bytes], besides: int) -> None:
        """Instead of those before the record that is being read."""
        end = self._ends[-1] if self._ends else self._offset
        del self._held[: self._next], self._ends[: self._next]
        self._dropped += self._next
        self._next = 0
        self._has_bad_bytes = self._has_bad_bytes and bool(self._held)
        self._held += lines
        self._ends += islice(accumulate((len(line) + besides for line in lines), initial=end), 1, None)

    def _decoded(self, lines: list[bytes]) -> list[str]:
        try:
            return [line.decode() + "\n" for line in lines]
        except UnicodeDecodeError:
            self._has_bad_bytes = True
            return [line.decode(errors="surrogateescape") + "\n" for line in lines]

    def passed_over(self, error: csv.Error | _TooLong) -> Record:
        """The first line of the record that is being read, as damaged; the others are to be read again."""
        begun, following = self._line, self._line + 1
        shown = self._held[self._next][: self._longest + 1][:SHOWN_OF_OVERLONG].rstrip(b"\r")
        self._offset = self._text.taken = self._ends[self._next]
        self._line = following
        self._next += 1
        went_on = f"Reading went on in line {following}."
        if isinstance(error, _TooLong):
            message = f"It is longer than {self._longest} bytes, or a quote is opened and never closed. {went_on}"
            problem = RowProblem(None, "too_long", message)
        else:
            problem = RowProblem(None, "bad_csv", f"Its quotes are broken: {error}. {went_on}")
        return Record(begun, begun, self._offset, following, problem, shown)

    def cut_off(self, problem: RowProblem) -> Record:
        """The record that is being read, and what is left of its last line."""
        partial = b"\n".join([*self._held[self._next :], self._lines.partial])
        self._text.taken = self._offset + len(partial)
        return damage(self._line, self._line, self._offset, problem, partial)

    def _misfit(self, cells: list[str]) -> RowProblem:
        if _has_bad_bytes(cells):
            return NOT_UTF_8
        message = f"It has {len(cells)} cells; the header names {self._header.width}."
        return RowProblem(None, "wrong_width", message)


def _has_bad_bytes(cells: list[str]) -> bool:
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        return True
    return False
