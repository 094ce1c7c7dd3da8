"""Ghost's editor since 2023, Lexical, reduced to HTML.

The rule: paragraphs, headings, lists, quotes, asides, code, links and the formats of text become their elements;
images, galleries, HTML, Markdown, horizontal rules, embeds, bookmarks, callouts, toggles, buttons, audio, video and
files become what a plain page has for them. Of other cards nothing is kept; of other nodes that hold nodes, those are.
"""

import json
from collections.abc import Callable, Mapping
from html import escape

from infrastructure.formats.archives.cards import attributes, card, texts

_FORMATS = ((16, "code"), (1, "strong"), (2, "em"), (4, "s"), (8, "u"), (32, "sub"), (64, "sup"), (128, "mark"))
_DEPTH_MAX = 100

Node = Mapping[str, object]


def lexical_to_html(document: str) -> str | None:
    """None where it is no such document."""
    try:
        parsed = json.loads(document)
    except (ValueError, RecursionError):
        return None
    root = parsed.get("root") if isinstance(parsed, dict) else None
    if not isinstance(root, dict):
        return None
    return "\n".join(filter(None, (_html(node, 0) for node in _children(root))))


def _html(node: Node, depth: int) -> str:
    kind = node.get("type")
    if depth > _DEPTH_MAX or not isinstance(kind, str):
        return ""
    if kind in ("text", "extended-text", "code-highlight"):
        return _text(node)
    if kind in ("linebreak", "tab"):
        return "<br>" if kind == "linebreak" else "\t"
    inner = "".join(_html(child, depth + 1) for child in _children(node))
    if kind in _ELEMENTS:
        return _ELEMENTS[kind](node, inner)
    return card(kind, node) or inner


def _children(node: Node) -> list[Node]:
    children = node.get("children")
    return [child for child in children if isinstance(child, dict)] if isinstance(children, list) else []


def _text(node: Node) -> str:
    html = escape(texts(node, "text"), quote=False)
    bits = node.get("format")
    if html and isinstance(bits, int):
        for bit, tag in _FORMATS:
            if bits & bit:
                html = f"<{tag}>{html}</{tag}>"
    return html


def _in(*tags: str) -> Callable[[Node, str], str]:
    before = "".join(f"<{tag}>" for tag in tags)
    after = "".join(f"</{tag}>" for tag in reversed(tags))
    return lambda _node, inner: before + inner + after


def _paragraph(_node: Node, inner: str) -> str:
    return f"<p>{inner}</p>" if inner else ""


def _heading(node: Node, inner: str) -> str:
    tag = node.get("tag")
    tag = tag if tag in ("h1", "h2", "h3", "h4", "h5", "h6") else "h2"
    return f"<{tag}>{inner}</{tag}>"


def _list(node: Node, inner: str) -> str:
    if node.get("listType") == "number" or node.get("tag") == "ol":
        start = node.get("start")
        told = f' start="{start}"' if isinstance(start, int) and start != 1 else ""
        return f"<ol{told}>{inner}</ol>"
    return f"<ul>{inner}</ul>"


def _link(node: Node, inner: str) -> str:
    return f"<a{attributes(href=texts(node, 'url'), title=texts(node, 'title'))}>{inner}</a>"


_ELEMENTS: Mapping[str, Callable[[Node, str], str]] = {
    "paragraph": _paragraph,
    "heading": _heading,
    "extended-heading": _heading,
    "list": _list,
    "listitem": _in("li"),
    "quote": _in("blockquote"),
    "extended-quote": _in("blockquote"),
    "aside": _in("blockquote"),
    "code": _in("pre", "code"),
    "link": _link,
    "autolink": _link,
}
