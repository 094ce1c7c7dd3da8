"""Rows of an import that failed, as they are kept: as they came, but for secrets."""

import json
import re
from collections.abc import Mapping
from dataclasses import fields
from math import isfinite

from application.ports.formats import Record, RowProblem, UserRow
from domain.import_options import ImportKind
from domain.imports import RowError

_SECRET = re.compile(r"pass|pwd|secret|token|credential|(api|private).?key", re.IGNORECASE)
_PUBLIC_OF_USERS = frozenset(each.name for each in fields(UserRow) if each.repr)
MASK = "***"
CUT = "… (cut)"
"""What a value that is kept in part ends with."""
_NAME_MAX = 100

ROW_SHOWN_MAX = 256 * 1024
"""How much of a row that failed is kept, in bytes of JSON."""
_VALUE_SHOWN_MAX = (64 * 1024, 4096, 1024, 256)


def row_error(record: Record, problem: RowProblem, kind: ImportKind) -> RowError:
    """Texts that came with the file are cut and cleaned where they may be anything."""
    name = problem.field
    if name is not None and (len(name) > _NAME_MAX or not name.isprintable()):
        name = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name[:_NAME_MAX])
    return RowError(record.line, name, problem.code, problem.message, _shown(record.raw, kind), record.place)


def _shown(raw: Mapping[str, object] | bytes, kind: ImportKind) -> Mapping[str, object] | str | None:
    """The row as it came, secrets masked and long values cut; None where it cannot be taken apart and may hold a secret
    anywhere."""
    row = raw if isinstance(raw, Mapping) else _json_object(raw)
    if row is not None:
        try:
            return _within_bounds(_masked_all(row, kind))
        except RecursionError:
            return None
    if kind is ImportKind.USERS or not isinstance(raw, bytes):
        return None
    text = raw[:ROW_SHOWN_MAX].decode(errors="backslashreplace")
    return None if _SECRET.search(text) else _cut(text, ROW_SHOWN_MAX)


def _masked_all(row: Mapping[str, object], kind: ImportKind) -> dict[str, object]:
    return {_storable(name): _masked(name, value, kind) for name, value in row.items()}


def _masked(name: str, value: object, kind: ImportKind) -> object:
    """A row of a user may hold a secret under any name that is not known for something else."""
    is_secret = name not in _PUBLIC_OF_USERS if kind is ImportKind.USERS else _SECRET.search(name)
    return MASK if is_secret and value not in (None, "") else _masked_within(value, kind)


def _masked_within(value: object, kind: ImportKind) -> object:
    if isinstance(value, Mapping):
        return _masked_all(value, kind)
    if isinstance(value, list):
        return [_masked_within(inner, kind) for inner in value]
    return _storable(value) if isinstance(value, str) else value


def _storable(text: str) -> str:
    """Half of a surrogate pair is written as its escape: no UTF-8 holds it."""
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()


def _within_bounds(row: Mapping[str, object]) -> Mapping[str, object] | str:
    """Its longest values become text, cut; where that is not enough, so does the whole row."""
    if len(_json(row)) <= ROW_SHOWN_MAX:
        return row
    besides = len(_json(dict.fromkeys(row, "")))
    sizes = {name: len(_json(value)) for name, value in row.items()} if besides <= ROW_SHOWN_MAX else {}
    for longest in _VALUE_SHOWN_MAX:
        if besides + sum(min(size, longest) for size in sizes.values()) <= ROW_SHOWN_MAX:
            return {name: _shorter(value, longest) if sizes[name] > longest else value for name, value in row.items()}
    return _cut(_json(row), ROW_SHOWN_MAX)


def _shorter(value: object, longest: int) -> str:
    return _cut(value if isinstance(value, str) else _json(value), longest)


def _cut(text: str, longest: int) -> str:
    """Such that it is JSON of `longest` bytes at most."""
    if len(_json(text)) <= longest:
        return text
    text = text[:longest]
    while (length := len(_json(text + CUT))) > longest:
        text = text[: min(len(text) * longest // length, len(text) - 1)]
    return text + CUT


def _json(value: object) -> str:
    """In ASCII, as it is stored."""
    return json.dumps(value, default=str)


def _json_object(raw: bytes) -> Mapping[str, object] | None:
    try:
        parsed = json.loads(raw, parse_constant=_refuse, parse_float=_number)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def _number(digits: str) -> float | str:
    """As text, where it is too large for a number: infinity is no JSON."""
    return number if isfinite(number := float(digits)) else digits


def _refuse(constant: str) -> None:
    """NaN and the infinities are Python's, and no JSON."""
    raise ValueError(constant)
