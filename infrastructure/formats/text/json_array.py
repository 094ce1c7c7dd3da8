"""A JSON array of objects, or an object that has one: each of its elements is a record, wherever it stands in its line.

An element ends where the next one is seen to begin: at a `{` before a `"`, outside of every text, and behind a `}`, a
comma or a line break. So a damaged one is a single problem, and reading goes on at the next, whatever is missing.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO

from application.ports.formats import FileShape, Reading, Record, RowProblem
from domain.errors import InvalidValue
from domain.imports import Checkpoint
from infrastructure.formats.rows import SHOWN_OF_OVERLONG, Row
from infrastructure.formats.text.json_scanning import ArraysOfObjects, Malformed, array_begin, value_end
from infrastructure.formats.text.objects import Objects, Raw, Read
from infrastructure.formats.text.sources import Text, TextReading

_BLANK = b" \t\r\n"
_LINE_FEED = 10
_BETWEEN = re.compile(rb"[ \t\r\n,]*")
_BEGIN = re.compile(rb'\{[ \t\r\n]*"')
_SEPARATED = re.compile(rb"[ \t\r\n]*(?:[,\]]|\Z)")
# Where reading goes on after a damaged one, if that is sooner.
_ON_NEXT_LINE = re.compile(rb",[ \t\r]*\n[ \t\r\n]*(?=[\[{])")
# What is kept of an element that is too long, to see what stands before the next.
_LOOKED_BACK = 1_000

_TRUNCATED = RowProblem(None, "truncated", "The file ends before its array does: what followed is not there.")
_BROKEN_END = RowProblem(None, "bad_json", "It is not valid JSON, and nothing could be read after it.")
_TRAILING = RowProblem(None, "bad_json", "There is more after the end of the array, which was not read.")


def read_json_array(file: BinaryIO, shape: FileShape, *, start: Checkpoint) -> Reading:
    """A `Reader`. Checkpoints count records: the array is read from its beginning, and those before are passed over."""
    return TextReading(file, shape, start, _records)


def _records(text: Text, shape: FileShape, start: Checkpoint) -> Iterator[Record]:
    passed = start.offset
    elements = _Elements(text, shape)
    for number, (line, parsed, raw) in enumerate(elements, 1):
        if number > passed:
            text.taken = elements.offset
            yield Record(line, number, number, elements.line, parsed, raw)


def _more_arrays(names: list[str]) -> RowProblem:
    told = ", ".join(map(repr, names))
    message = f"One array of an object is read. Those beside it were not: {told}. Import each from a file of its own."
    return RowProblem(None, "more_arrays", message)


class _Elements:
    """Each with the line where it begins; `line` and `offset` are where the last one ended.

    Of the text, `buffer` is what is read ahead, and the element that is next begins `at` there.
    """

    def __init__(self, text: Text, shape: FileShape) -> None:
        self._text = text
        self._shape = shape
        self._longest = shape.limits.max_row_bytes
        self._read = Objects(shape).read
        self._buffer = b""
        self._at = 0
        self._searched = 0
        self._passed = 0
        self._is_broken_off = False
        self.line = 1

    @property
    def offset(self) -> int:
        return self._passed + self._at

    def __iter__(self) -> Iterator[tuple[int, Row | RowProblem, Raw]]:
        """Raises InvalidValue where there is no array."""
        head = self._text.head
        begin = array_begin(head, self._shape.kind)
        if begin is None and self._text.damage is None:
            raise InvalidValue("file", "It is no JSON array of objects, and no object that has one.", code="bad_format")
        self._more()
        self._go_to(len(head) if begin is None else begin)
        while self._is_more():
            line = self.line
            if self._buffer.startswith(b"]", self._at):
                self._go_to(self._at + 1)
                problem, shown = self._after_the_end(head[:begin])
                if problem is not None:
                    yield line, problem, shown
                return
            parsed, raw = self._element()
            yield line, parsed, raw
        if not self._is_broken_off:
            yield self.line, self._text.damage or _TRUNCATED, b""

    def _is_more(self) -> bool:
        """At the next element, or at the end of the array."""
        while True:
            between = _BETWEEN.match(self._buffer, self._at)
            if between:
                self._go_to(between.end())
            if self._at < len(self._buffer):
                return True
            if not self._more():
                return False

    def _element(self) -> Read:
        while (end := self._next_begin()) is None:
            is_long = len(self._buffer) - self._at > self._longest
            if is_long or not self._more():
                by_brackets = self._end_by_brackets()
                if by_brackets is not None:
                    return self._taken(by_brackets)
                return self._overlong() if is_long else self._last()
        size = end - self._at
        raw = self._buffer[self._at : end].rstrip(_BLANK).removesuffix(b",").rstrip(_BLANK)
        if len(raw) > self._longest:
            return self._overlong()
        parsed, shown = self._read(raw)
        if not isinstance(parsed, RowProblem):
            self._go_to(end)
            return parsed, shown
        by_brackets = self._end_by_brackets()
        if by_brackets is not None and by_brackets - self._at != len(raw):
            return self._taken(by_brackets)
        begin = self._at
        is_damaged = by_brackets is None or parsed.code == "bad_json"
        sooner = _ON_NEXT_LINE.search(self._buffer, self._at, self._at + size) if is_damaged else None
        self._go_to(sooner.end() if sooner else self._at + size)
        if is_damaged:
            parsed = replace(parsed, message=f"{parsed.message} Reading went on in line {self.line}.")
        return parsed, self._buffer[begin : self._at].rstrip(_BLANK + b",") if sooner else shown

    def _taken(self, end: int) -> Read:
        raw = self._buffer[self._at : end]
        self._go_to(end)
        return self._read(raw)

    def _last(self) -> Read:
        """No other is seen to follow, up to the end of the file."""
        rest = self._buffer[self._at :]
        self._go_to(len(self._buffer))
        self._is_broken_off = True
        is_closed = rest.rstrip(_BLANK + b"}").endswith(b"]")
        return self._text.damage or (_BROKEN_END if is_closed else _TRUNCATED), rest[:SHOWN_OF_OVERLONG]

    def _overlong(self) -> Read:
        self._searched = 0
        shown = self._buffer[self._at : self._at + self._longest + 1][:SHOWN_OF_OVERLONG]
        while (end := self._next_begin()) is None:
            self._go_to(max(self._at, len(self._buffer) - _LOOKED_BACK))
            if not self._more():
                end = len(self._buffer)
                self._is_broken_off = True
                break
        self._go_to(end)
        message = f"It is longer than {self._longest} bytes, or is never closed. Reading went on in line {self.line}."
        return RowProblem(None, "too_long", message), shown

    def _next_begin(self) -> int | None:
        """Of the element after this one, as far as the buffer shows it."""
        buffer = self._buffer
        for found in _BEGIN.finditer(buffer, max(self._searched, self._at + 1)):
            before = found.start() - 1
            while before > self._at and buffer[before] in _BLANK and buffer[before] != _LINE_FEED:
                before -= 1
            if buffer[before] in b"},\n":
                self._searched = found.start()
                return found.start()
        brace = buffer.rfind(b"{", self._at + 1)
        is_open = brace >= 0 and not buffer[brace + 1 :].strip(_BLANK)
        self._searched = brace if is_open else len(buffer)
        return None

    def _end_by_brackets(self) -> int | None:
        """None where they are broken, or do not close within the limit, or something else follows than the next."""
        while True:
            try:
                end = value_end(self._buffer, self._at)
            except Malformed:
                return None
            if end is not None:
                if end - self._at > self._longest:
                    return None
                return end if _SEPARATED.match(self._buffer, end) else None
            if len(self._buffer) - self._at > self._longest or not self._more():
                return None

    def _after_the_end(self, before: bytes) -> tuple[RowProblem | None, bytes]:
        """Reads it all: the file may be cut off there. Of an object, what stands beside the array is nobody's, unless
        it is another array of objects."""
        others = ArraysOfObjects()
        is_array = before.strip() == b"["
        if not is_array:
            # The array itself is closed at once, so that it holds none.
            others.feed(before.lstrip()[1:] + b"]")
        rest = self._buffer[self._at :].strip()
        others.feed(self._buffer[self._at :])
        while self._more():
            others.feed(self._buffer)
            self._go_to(len(self._buffer))
            rest = rest or self._buffer.strip()
        if self._text.damage is not None:
            return self._text.damage, b""
        if is_array:
            return (_TRAILING if rest else None), rest[:SHOWN_OF_OVERLONG]
        return (_more_arrays(others.names) if others.names else None), b""

    def _go_to(self, position: int) -> None:
        self.line += self._buffer.count(b"\n", self._at, position)
        self._at = position

    def _more(self) -> bool:
        """Whether there was more to read."""
        block = self._text.block()
        self._buffer = self._buffer[self._at :] + block
        self._passed += self._at
        self._searched = max(self._searched - self._at, 0)
        self._at = 0
        return bool(block)
