"""Text without any HTML."""

import re
from html import unescape

from infrastructure.formats.html import clean_html

# As they come out of the cleaner, where no text has a `<`.
_TAG = re.compile(r"""</?(\w+)(?:[^<>"]|"[^"]*")*>""")
_INLINE = {
    *("a", "abbr", "b", "bdi", "bdo", "big", "cite", "code", "del", "dfn", "em", "i", "ins", "kbd", "mark", "q", "s"),
    *("samp", "small", "span", "strike", "strong", "sub", "sup", "time", "tt", "u", "var", "wbr"),
}


def plain_text(html: str) -> str:
    """In one line: tags go, with scripts and their like whole, and what they part is parted by a space. Raises
    InvalidValue, as the cleaner does."""
    if "<" in html or "&" in html:
        html = unescape(_TAG.sub(lambda tag: "" if tag[1] in _INLINE else " ", clean_html(html)))
    return " ".join(html.split())
