"""Ghost's editor until 2023, Mobiledoc 0.3, reduced to HTML by the same rule as `lexical`: sections of text and lists
with their markups, images, and the cards that are known; soft returns are line breaks, other atoms their text."""

import json
from collections.abc import Sequence
from html import escape
from typing import TypeVar

from domain.errors import InvalidValue
from domain.posts import CONTENT_MAX
from infrastructure.formats.archives.cards import attributes, card

Item = TypeVar("Item")

_SECTIONS = {"p", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "pull-quote", "aside"}
_MARKUPS = {"a", "b", "code", "em", "i", "mark", "s", "strong", "sub", "sup", "u", "strike", "del"}


# Sections name cards, atoms and markups as often as they like: a small document may stand for any number of pages.
_BUILT_MAX = 4 * CONTENT_MAX


def mobiledoc_to_html(document: str) -> str | None:
    """None where it is no such document. Raises InvalidValue where it is too long."""
    try:
        parsed = json.loads(document)
    except (ValueError, RecursionError):
        return None
    if not isinstance(parsed, dict) or not isinstance(parsed.get("sections"), list):
        return None
    mobiledoc = _Mobiledoc(*(_list(parsed.get(name)) for name in ("markups", "atoms", "cards")))
    return "\n".join(filter(None, (mobiledoc.section(_list(section)) for section in parsed["sections"])))


class _Mobiledoc:
    """What may be named often is made once."""

    def __init__(self, markups: Sequence[object], atoms: Sequence[object], cards: Sequence[object]) -> None:
        self._markups = [_markup(each) for each in markups]
        self._atoms = [_atom(each) for each in atoms]
        self._cards = [_card(each) for each in cards]
        self._size = 0

    def section(self, section: Sequence[object]) -> str:
        """Raises InvalidValue once all of them together are too long."""
        match section:
            case [1, str(tag), list(markers), *_]:
                tag = tag.lower() if tag.lower() in _SECTIONS else "p"
                tag = "blockquote" if tag in ("pull-quote", "aside") else tag
                inner = self._inline(markers)
                return f"<{tag}>{inner}</{tag}>" if inner else ""
            case [2, str(source), *_]:
                return card("image", {"src": source})
            case [3, str(tag), list(items), *_]:
                tag = "ol" if tag.lower() == "ol" else "ul"
                return f"<{tag}>{''.join(f'<li>{self._inline(_list(item))}</li>' for item in items)}</{tag}>"
            case [10, int(index), *_]:
                return self._counted(_at(self._cards, index, ""))
        return ""

    def _inline(self, markers: Sequence[object]) -> str:
        html: list[str] = []
        opened: list[str] = []
        for marker in markers:
            match marker:
                case [int(kind), list(opens), int(closes), value, *_]:
                    for index in opens:
                        tag, told = _at(self._markups, index, ("", ""))
                        opened.append(tag)
                        if tag:
                            html.append(self._counted(f"<{tag}{told}>"))
                    html.append(self._counted(self._value(kind, value)))
                    html.extend(_closed(opened, closes))
        html.extend(_closed(opened, len(opened)))
        return "".join(html)

    def _value(self, kind: int, value: object) -> str:
        if kind == 0:
            return escape(value, quote=False) if isinstance(value, str) else ""
        return _at(self._atoms, value, "")

    def _counted(self, html: str) -> str:
        self._size += len(html)
        if self._size > _BUILT_MAX:
            raise InvalidValue("content", f"It is longer than {_BUILT_MAX} characters.", code="too_long")
        return html


def _markup(markup: object) -> tuple[str, str]:
    """The tag, empty where it is not known, and its attributes."""
    match markup:
        case [str(tag), *rest] if tag.lower() in _MARKUPS:
            pairs = _list(rest[0]) if rest else []
            told = {name: value for name, value in zip(pairs[::2], pairs[1::2], strict=False) if isinstance(name, str)}
            href = told.get("href")
            return tag.lower(), attributes(href=href) if tag.lower() == "a" and isinstance(href, str) else ""
    return "", ""


def _atom(atom: object) -> str:
    match atom:
        case ["soft-return", *_]:
            return "<br>"
        case [str(_), str(text), *_]:
            return escape(text, quote=False)
    return ""


def _card(given: object) -> str:
    match given:
        case [str(name), dict(payload), *_]:
            return card(name, payload)
    return ""


def _closed(opened: list[str], count: int) -> list[str]:
    """The ends of the last `count` that were opened, which they then are no more."""
    tags = [opened.pop() for _ in range(min(max(count, 0), len(opened)))]
    return [f"</{tag}>" for tag in tags if tag]


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _at(items: Sequence[Item], index: object, default: Item) -> Item:
    return items[index] if isinstance(index, int) and 0 <= index < len(items) else default
