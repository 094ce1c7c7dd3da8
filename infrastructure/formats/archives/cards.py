"""Ghost's cards, which its two editors share, as plain HTML."""

from collections.abc import Callable, Iterable, Mapping
from html import escape

Card = Mapping[str, object]


def card(kind: str, payload: Card) -> str:
    """Empty for a kind that is not known."""
    build = _CARDS.get(kind)
    return build(payload) if build else ""


def texts(payload: Card, *names: str) -> str:
    """The first of them that is a text with something in it; empty where none is."""
    return next((value for name in names if isinstance(value := payload.get(name), str) and value), "")


def attributes(**values: str) -> str:
    return "".join(f' {name}="{escape(value)}"' for name, value in values.items() if value)


def _figure(inner: str, caption: str) -> str:
    told = f"<figcaption>{caption}</figcaption>" if caption else ""
    return f"<figure>{inner}{told}</figure>" if inner else ""


def _image(payload: Card) -> str:
    source = texts(payload, "src")
    if not source:
        return ""
    image = f"<img{attributes(src=source, alt=texts(payload, 'alt'), title=texts(payload, 'title'))}>"
    if href := texts(payload, "href"):
        image = f"<a{attributes(href=href)}>{image}</a>"
    return _figure(image, texts(payload, "caption"))


def _gallery(payload: Card) -> str:
    images = payload.get("images")
    listed: Iterable[object] = images if isinstance(images, list) else ()
    return _figure(
        "".join(
            f"<img{attributes(src=texts(image, 'src'), alt=texts(image, 'alt'))}>"
            for image in listed
            if isinstance(image, dict) and texts(image, "src")
        ),
        texts(payload, "caption"),
    )


def _html(payload: Card) -> str:
    return texts(payload, "html")


def _markdown(payload: Card) -> str:
    """As it is written, a paragraph at each blank line: what renders it is none of a reader's business."""
    paragraphs = texts(payload, "markdown").replace("\r\n", "\n").split("\n\n")
    return "\n".join(f"<p>{escape(text.strip(), quote=False)}</p>" for text in paragraphs if text.strip())


def _code(payload: Card) -> str:
    language = texts(payload, "language")
    told = attributes(**{"class": f"language-{language}"}) if language else ""
    code = f"<pre><code{told}>{escape(texts(payload, 'code'), quote=False)}</code></pre>"
    return _figure(code, caption) if (caption := texts(payload, "caption")) else code


def _embed(payload: Card) -> str:
    return _figure(texts(payload, "html") or _link(texts(payload, "url"), ""), texts(payload, "caption"))


def _link(url: str, words: str) -> str:
    return f"<a{attributes(href=url)}>{escape(words or url, quote=False)}</a>" if url else ""


def _bookmark(payload: Card) -> str:
    metadata = payload.get("metadata")
    title = texts(metadata, "title") if isinstance(metadata, dict) else ""
    return _figure(_link(texts(payload, "url"), title), texts(payload, "caption"))


def _callout(payload: Card) -> str:
    emoji = texts(payload, "calloutEmoji")
    return f"<blockquote>{escape(emoji)} {texts(payload, 'calloutText')}</blockquote>".replace("> ", ">", 1)


def _toggle(payload: Card) -> str:
    return f"<details><summary>{texts(payload, 'heading')}</summary>{texts(payload, 'content')}</details>"


def _button(payload: Card) -> str:
    link = _link(texts(payload, "buttonUrl"), texts(payload, "buttonText"))
    return f"<p>{link}</p>" if link else ""


def _media(tag: str) -> Callable[[Card], str]:
    def build(payload: Card) -> str:
        source = texts(payload, "src")
        return _figure(f"<{tag}{attributes(src=source)} controls></{tag}>", texts(payload, "caption")) if source else ""

    return build


def _file(payload: Card) -> str:
    link = _link(texts(payload, "src"), texts(payload, "fileTitle", "fileName"))
    return f"<p>{link}</p>" if link else ""


_CARDS: Mapping[str, Callable[[Card], str]] = {
    "image": _image,
    "gallery": _gallery,
    "html": _html,
    "markdown": _markdown,
    "card-markdown": _markdown,
    "code": _code,
    "codeblock": _code,
    "hr": lambda _payload: "<hr>",
    "horizontalrule": lambda _payload: "<hr>",
    "embed": _embed,
    "bookmark": _bookmark,
    "callout": _callout,
    "toggle": _toggle,
    "button": _button,
    "audio": _media("audio"),
    "video": _media("video"),
    "file": _file,
}
