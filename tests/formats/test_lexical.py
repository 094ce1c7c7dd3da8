import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrastructure.formats.archives.lexical import lexical_to_html

TYPES = st.sampled_from(
    ("paragraph", "text", "heading", "list", "link", "image", "callout", "toggle", "file", "other", 3)
)
NODES = st.recursive(
    st.one_of(st.none(), st.integers(), st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.fixed_dictionaries(
            {"type": TYPES},
            optional=dict.fromkeys(("children", "text", "format", "url", "src", "tag", "start", "listType"), inner),
        ),
    ),
    max_leaves=30,
)


def html(*nodes: object) -> str | None:
    return lexical_to_html(json.dumps({"root": {"type": "root", "children": nodes}}))


def text(words: str, bits: int = 0) -> dict[str, object]:
    return {"type": "extended-text", "text": words, "format": bits}


def node(kind: str, *children: object, **fields: object) -> dict[str, object]:
    return {"type": kind, "children": children, **fields}


@pytest.mark.parametrize(
    ("given_node", "expected"),
    [
        (node("paragraph", text("a < b")), "<p>a &lt; b</p>"),
        (node("paragraph"), ""),
        (node("paragraph", text("a", 3), {"type": "linebreak"}, text("b", 16)), None),
        (node("extended-heading", text("T"), tag="h3"), "<h3>T</h3>"),
        (node("heading", text("T"), tag="script"), "<h2>T</h2>"),
        (node("extended-quote", text("q")), "<blockquote>q</blockquote>"),
        (
            node("list", node("listitem", text("a")), listType="number", tag="ol", start=3),
            '<ol start="3"><li>a</li></ol>',
        ),
        (
            node("list", node("listitem", node("list", node("listitem", text("a"))))),
            "<ul><li><ul><li>a</li></ul></li></ul>",
        ),
        (node("link", text("a"), url="/x?a&b", title=""), '<a href="/x?a&amp;b">a</a>'),
        (node("of-a-plugin", text("kept")), "kept"),
        (node("code", text("a")), "<pre><code>a</code></pre>"),
        ({"type": "codeblock", "code": "a<b", "language": "c"}, '<pre><code class="language-c">a&lt;b</code></pre>'),
        ({"type": "horizontalrule"}, "<hr>"),
        (
            {"type": "image", "src": "a.png", "alt": "A", "caption": "<b>C</b>", "href": "/l"},
            '<figure><a href="/l"><img src="a.png" alt="A"></a><figcaption><b>C</b></figcaption></figure>',
        ),
        ({"type": "image"}, ""),
        (
            {"type": "gallery", "images": [{"src": "a.png"}, {"src": "b.png"}, {}, 1]},
            '<figure><img src="a.png"><img src="b.png"></figure>',
        ),
        ({"type": "html", "html": "<b>raw</b>"}, "<b>raw</b>"),
        ({"type": "markdown", "markdown": "*a*\n\nb"}, "<p>*a*</p>\n<p>b</p>"),
        ({"type": "embed", "html": "<i>e</i>", "url": "/u"}, "<figure><i>e</i></figure>"),
        ({"type": "embed", "url": "/u"}, '<figure><a href="/u">/u</a></figure>'),
        (
            {"type": "bookmark", "url": "/u", "metadata": {"title": "T"}},
            '<figure><a href="/u">T</a></figure>',
        ),
        ({"type": "callout", "calloutEmoji": "!", "calloutText": "<p>x</p>"}, "<blockquote>! <p>x</p></blockquote>"),
        ({"type": "callout", "calloutText": "x"}, "<blockquote>x</blockquote>"),
        ({"type": "toggle", "heading": "H", "content": "C"}, "<details><summary>H</summary>C</details>"),
        ({"type": "button", "buttonUrl": "/u", "buttonText": "B"}, '<p><a href="/u">B</a></p>'),
        ({"type": "video", "src": "v.mp4"}, '<figure><video src="v.mp4" controls></video></figure>'),
        ({"type": "file", "src": "f.pdf", "fileName": "F"}, '<p><a href="f.pdf">F</a></p>'),
        ({"type": "signup", "header": "x"}, ""),
    ],
)
def test_nodes_become_their_elements(given_node: dict[str, object], expected: str | None) -> None:
    if expected is None:
        expected = "<p><em><strong>a</strong></em><br><code>b</code></p>"
    assert html(given_node) == expected


@pytest.mark.parametrize("document", ["", "x", "[]", "{}", '{"root": 1}', "[" * 100_000])
def test_what_is_no_such_document_is_none(document: str) -> None:
    assert lexical_to_html(document) is None


def test_what_is_nested_without_end_is_cut() -> None:
    document = '{"root":{"children":[' + '{"type":"quote","children":[' * 300 + "]}" * 300 + "]}}"
    made = lexical_to_html(document)
    assert made is not None
    assert made.count("<blockquote>") == 101


@given(st.lists(NODES, max_size=4))
def test_whatever_it_holds_it_is_text_in_the_end(nodes: list[object]) -> None:
    assert isinstance(html(*nodes), str)
