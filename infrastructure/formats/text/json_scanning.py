"""Where JSON values end, in bytes that may end before they do."""

import re

_TOKEN = re.compile(rb'"(?:[^"\\\n]++|\\.)*+"|[\[\]{},:]|"')
_KEY = re.compile(rb'\s*"((?:[^"\\\n]++|\\.)*+)"\s*:\s*')
_COMMA = re.compile(rb"\s*,")
_ARRAY = re.compile(rb"\s*\[")
_OBJECT = re.compile(rb"\s*\{")
_OF_OBJECTS = re.compile(rb"\[\s*[\]{]")
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
    else of the first one."""
    if array := _ARRAY.match(head):
        return array.end()
    if not (outer := _OBJECT.match(head)):
        return None
    at: int | None = outer.end()
    first = None
    while at is not None and (key := _KEY.match(head, at)):
        if _OF_OBJECTS.match(head, key.end()):
            if key[1].decode(errors="replace") == name:
                return key.end() + 1
            first = first or key.end() + 1
        at = _after_member(head, key.end())
    return first


def _after_member(head: bytes, value: int) -> int | None:
    try:
        end = value_end(head, value)
    except Malformed:
        return None
    comma = None if end is None else _COMMA.match(head, end)
    return comma.end() if comma else None
