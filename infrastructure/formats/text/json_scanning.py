"""Where JSON values end, in bytes that may end before they do."""

import re

_TOKEN = re.compile(rb'"(?:[^"\\\n]++|\\.)*+"|[\[\]{},:]|"')
_KEY = re.compile(rb'\s*"((?:[^"\\\n]++|\\.)*+)"\s*:\s*')
_COMMA = re.compile(rb"\s*,")
_ARRAY = re.compile(rb"\s*\[")
_OBJECT = re.compile(rb"\s*\{")
_OF_OBJECTS = re.compile(rb"\[\s*([\]{])")
_IN_STRING = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
_BESIDE_BRACKETS = re.compile(rb'(?:[^"\[\]{}]++|"(?:[^"\\]++|\\.)*+")*+', re.DOTALL)
_NOT_BLANK = re.compile(rb"[^ \t\r\n]")
_QUOTE_OR_BRACKET = re.compile(rb'["\[\]{}]')
_NAME_MAX = 100
_NAMES_MAX = 20
_OPENED_BY = {b"]": b"[", b"}": b"{"}


class Malformed(Exception):
    """It is no JSON, whatever may follow."""


def value_end(text: bytes, begin: int) -> int | None:
    """Where the value ends that begins at `begin`; None where the text ends before. Raises Malformed."""
    opened: list[bytes] = []
    before = b":"
    for token in _TOKEN.finditer(text, begin):
        start, kind = token.start(), token[0][:1]
        if kind in b"[{":
            if opened and opened[-1] == b"{" and before != b":":
                raise Malformed
            opened.append(kind)
        elif kind in b"]}" and opened:
            if opened.pop() != _OPENED_BY[kind]:
                raise Malformed
        elif kind == b'"' and len(token[0]) == 1:
            if b"\n" in text[start:]:
                raise Malformed
            return None
        elif not opened and kind != b'"':
            return start
        if not opened:
            return token.end()
        before = kind
    return None


def array_begin(head: bytes, name: str = "") -> int | None:
    """Behind the bracket of the array that `head` is; else of the array of objects among its members that has `name`,
    else of the first one that is not empty, else of the first one."""
    if array := _ARRAY.match(head):
        return array.end()
    if not (outer := _OBJECT.match(head)):
        return None
    at: int | None = outer.end()
    first = filled = None
    while at is not None and (key := _KEY.match(head, at)):
        if array := _OF_OBJECTS.match(head, key.end()):
            if key[1].decode(errors="replace") == name:
                return key.end() + 1
            first = first or key.end() + 1
            if array[1] == b"{":
                filled = filled or key.end() + 1
        at = _after_member(head, key.end())
    return filled or first


class ArraysOfObjects:
    """`names` are the members of an object that hold some, told block by block from behind its brace, or behind any of
    its values. In bounded memory: long names are cut, and only so many are kept."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._depth = 1
        self._key = b""
        self._is_in_string = False
        self._is_array_begun = False
        self._half_escape = b""

    def feed(self, block: bytes) -> None:
        block = self._half_escape + block
        self._half_escape = b""
        at = 0
        while at < len(block) and self._depth and len(self.names) < _NAMES_MAX:
            at = self._string(block, at) if self._is_in_string else self._token(block, at)

    def _string(self, block: bytes, at: int) -> int:
        found = _IN_STRING.match(block, at)
        end = found.end() if found else at
        if self._depth == 1 and len(self._key) < _NAME_MAX:
            self._key += block[at : min(end, at + _NAME_MAX)]
        self._is_in_string = end == len(block) or block[end] != ord(b'"')
        if self._is_in_string:
            self._half_escape = block[end:]
            return len(block)
        return end + 1

    def _token(self, block: bytes, at: int) -> int:
        if self._depth > 1 and not self._is_array_begun and (beside := _BESIDE_BRACKETS.match(block, at)):
            at = beside.end()
        found = (_NOT_BLANK if self._is_array_begun else _QUOTE_OR_BRACKET).search(block, at)
        if not found:
            return len(block)
        token = found[0]
        if token == b"{" and self._is_array_begun:
            self.names.append(self._key[:_NAME_MAX].decode(errors="replace"))
        self._is_array_begun = token == b"[" and self._depth == 1
        if token == b'"':
            self._is_in_string = True
            self._key = b"" if self._depth == 1 else self._key
        elif token in b"[{":
            self._depth += 1
        elif token in b"]}":
            self._depth -= 1
        return found.end()


def _after_member(head: bytes, value: int) -> int | None:
    try:
        end = value_end(head, value)
    except Malformed:
        return None
    comma = None if end is None else _COMMA.match(head, end)
    return comma.end() if comma else None
