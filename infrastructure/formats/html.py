"""HTML made harmless, through nh3 (ammonia): what posts are written with is kept, all else goes, but for its text.

Scripts, styles and their like go with what they hold. Frames go too, since what they show may change after anybody has
looked at it; a link to what one showed stays in its place.
"""

import re
from html import escape, unescape

import nh3

from domain.errors import InvalidValue

_TAGS = {
    *("p", "br", "hr", "div", "span", "section", "article", "aside", "header", "footer", "address", "wbr"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "pre", "code", "kbd", "samp", "var", "q", "cite"),
    *("ul", "ol", "li", "dl", "dt", "dd", "details", "summary"),
    *("table", "caption", "colgroup", "col", "thead", "tbody", "tfoot", "tr", "th", "td"),
    *("a", "abbr", "b", "bdi", "bdo", "del", "dfn", "em", "i", "ins", "mark", "s", "small", "strong", "sub", "sup"),
    *("time", "u", "strike", "tt", "big", "center", "ruby", "rb", "rp", "rt", "rtc"),
    *("figure", "figcaption", "img", "picture", "source", "audio", "video", "track"),
}
_ATTRIBUTES = {
    "*": {"class", "dir", "id", "lang", "title"},
    "a": {"href", "hreflang", "name", "target"},
    "img": {"alt", "height", "loading", "src", "width"},
    "source": {"media", "src", "type"},
    "audio": {"controls", "loop", "muted", "preload", "src"},
    "video": {"controls", "height", "loop", "muted", "playsinline", "poster", "preload", "src", "width"},
    "track": {"kind", "label", "src", "srclang"},
    "blockquote": {"cite"},
    "q": {"cite"},
    "del": {"cite", "datetime"},
    "ins": {"cite", "datetime"},
    "time": {"datetime"},
    "details": {"open"},
    "ol": {"reversed", "start", "type"},
    "li": {"value"},
    "col": {"span"},
    "colgroup": {"span"},
    "td": {"align", "colspan", "headers", "rowspan"},
    "th": {"align", "colspan", "headers", "rowspan", "scope"},
}
_WITH_WHAT_THEY_HOLD = {"script", "style", "noscript", "template", "object", "svg", "math"}
_SCHEMES = {"http", "https", "mailto", "tel"}

_FRAME = re.compile(r"<iframe\b([^<>]*)>(?:[^<]*</iframe\s*>)?", re.IGNORECASE)
_FRAME_SOURCE = re.compile(r"""\ssrc\s*=\s*(?:"([^"<>]*)"|'([^'<>]*)')""", re.IGNORECASE)
_SHOWABLE = re.compile(r"(?:https?:)?//", re.IGNORECASE)

# An HTML parser takes time, and makes elements, by how deep it is at every tag: so much is ample for any post.
_DEPTH_MAX = 500
_WORK_MAX = 2_000_000
_TAG = re.compile(r"<!--.*?(?:-->|\Z)|<(/?)([a-z][^\s/>]*)", re.IGNORECASE | re.DOTALL)
# They end without an end tag.
_SELF_ENDING = {
    *("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"),
    *("p", "li", "dd", "dt", "tr", "td", "th", "thead", "tbody", "tfoot"),
}

_clean = nh3.Cleaner(
    tags=_TAGS,
    attributes=_ATTRIBUTES,
    clean_content_tags=_WITH_WHAT_THEY_HOLD,
    url_schemes=_SCHEMES,
    link_rel="nofollow noopener noreferrer",
).clean


def clean_html(html: str) -> str:
    """An `HtmlCleaner`. What it returns it returns again as it is. Raises InvalidValue for what is nested so deeply
    that it would take minutes, or gigabytes, to parse."""
    if html.count("<") > _DEPTH_MAX:
        _require_shallow(html)
    if "<iframe" in html or "<IFRAME" in html:
        html = _FRAME.sub(_linked, html)
    return _clean(html)


def _require_shallow(html: str) -> None:
    open_tags: dict[str, int] = {}
    depth = work = 0
    for tag in _TAG.finditer(html):
        name = tag[2].lower() if tag[2] else "p"
        if tag[1]:
            if open_tags.get(name):
                open_tags[name] -= 1
                depth -= 1
        elif name not in _SELF_ENDING:
            open_tags[name] = open_tags.get(name, 0) + 1
            depth += 1
        work += depth
        if depth > _DEPTH_MAX or work > _WORK_MAX:
            message = "Its HTML is nested too deeply, or has too many tags that nothing ends."
            raise InvalidValue("content", message, code="too_deep")


def _linked(frame: re.Match[str]) -> str:
    source = _FRAME_SOURCE.search(frame[1])
    url = unescape((source[1] or source[2] or "") if source else "").strip()
    if not _SHOWABLE.match(url):
        return ""
    url = f"https:{url}" if url.startswith("//") else url
    return f'<a href="{escape(url)}">{escape(url)}</a>'
