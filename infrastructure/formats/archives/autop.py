"""Paragraphs that are only blank lines, as WordPress keeps them in what was not written in blocks, made `<p>`.

Outside block-level elements, blank lines part paragraphs and single line breaks become `<br>`. Within such elements,
and where WordPress marks blocks (`<!-- wp:`), nothing is touched.
"""

import re
from collections.abc import Iterator

_BLOCK = re.compile(
    r"<(/?)(address|article|aside|blockquote|center|details|div|dl|fieldset|figure|footer|form|h[1-6]"
    r"|header|hr|iframe|main|nav|object|ol|p|pre|script|section|style|table|ul|video|audio)\b[^<>]*>",
    re.IGNORECASE,
)
_ENDLESS = frozenset({"hr"})
_BLANK_LINES = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")


def paragraphs(html: str) -> str:
    html = html.replace("\r\n", "\n").replace("\r", "\n")
    if "<!-- wp:" in html or not html.strip():
        return html.strip()
    return "\n".join(_parts(html))


def _parts(html: str) -> Iterator[str]:
    begin = depth = 0
    for tag in _BLOCK.finditer(html):
        name = tag[2].lower()
        if not depth:
            yield from _wrapped(html[begin : tag.start()])
            begin = tag.start()
        if tag[1]:
            depth = max(depth - 1, 0)
        elif name not in _ENDLESS:
            depth += 1
        if not depth:
            yield html[begin : tag.end()]
            begin = tag.end()
    if depth:
        yield html[begin:].rstrip()
    else:
        yield from _wrapped(html[begin:])


def _wrapped(text: str) -> Iterator[str]:
    for paragraph in _BLANK_LINES.split(text):
        if lines := paragraph.strip():
            yield "<p>" + "<br>\n".join(line.strip() for line in lines.split("\n")) + "</p>"
