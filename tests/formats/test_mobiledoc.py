import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidValue
from infrastructure.formats.archives.mobiledoc import mobiledoc_to_html

JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-2, 11), st.sampled_from(("p", "ul", "a", "image", "href", "<"))),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(("sections", "markups", "cards", "atoms", "src")), inner, max_size=4),
    ),
    max_leaves=30,
)


def html(sections: list[object], **others: object) -> str | None:
    return mobiledoc_to_html(json.dumps({"version": "0.3.1", "sections": sections, **others}))


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ([1, "p", [[0, [], 0, "a < b"]]], "<p>a &lt; b</p>"),
        ([1, "H2", [[0, [], 0, "T"]]], "<h2>T</h2>"),
        ([1, "aside", [[0, [], 0, "T"]]], "<blockquote>T</blockquote>"),
        ([1, "script", [[0, [], 0, "T"]]], "<p>T</p>"),
        ([1, "p", []], ""),
        ([1, "p", [[0, [0], 0, "a"], [0, [1], 1, "b"], [0, [], 1, "c"]]], "<p><strong>a<em>b</em>c</strong></p>"),
        ([1, "p", [[0, [0], 0, "a"]]], "<p><strong>a</strong></p>"),
        ([1, "p", [[0, [2], 1, "a"]]], '<p><a href="/x?a&amp;b">a</a></p>'),
        ([1, "p", [[0, [3], 1, "a"]]], "<p>a</p>"),
        ([1, "p", [[0, [], 0, "a"], [1, [], 0, 0], [1, [], 0, 1], [1, [], 0, 9]]], "<p>a<br>@ada</p>"),
        ([2, "a.png"], '<figure><img src="a.png"></figure>'),
        ([3, "ol", [[[0, [], 0, "a"]], [[0, [], 0, "b"]]]], "<ol><li>a</li><li>b</li></ol>"),
        ([10, 0], "<hr>"),
        ([10, 1], ""),
        ([10, 7], ""),
    ],
)
def test_sections_become_their_elements(section: list[object], expected: str) -> None:
    assert (
        html(
            [section],
            markups=[["strong"], ["em"], ["a", ["href", "/x?a&b"]], ["blink"]],
            atoms=[["soft-return", "", {}], ["mention", "@ada", {}]],
            cards=[["hr", {}], ["of-a-plugin", {}]],
        )
        == expected
    )


@pytest.mark.parametrize("document", ["", "x", "[]", "{}", '{"sections": 1}', "[" * 100_000])
def test_what_is_no_such_document_is_none(document: str) -> None:
    assert mobiledoc_to_html(document) is None


TEXT = "x" * 50_000
MARKERS: list[object] = [[0, [0], 1, "a"], [1, [], 0, 0]]


@pytest.mark.parametrize(
    ("sections", "others"),
    [
        ([[10, 0]] * 200, {"cards": [["html", {"html": TEXT}]]}),
        ([[1, "p", MARKERS * 200]], {"atoms": [["mention", TEXT, {}]]}),
        ([[3, "ul", [MARKERS] * 200]], {"atoms": [["mention", TEXT, {}]]}),
        ([[1, "p", MARKERS]] * 200, {"markups": [["a", ["href", TEXT]]]}),
    ],
)
def test_what_is_named_again_and_again_grows_to_a_bound(sections: list[object], others: dict[str, object]) -> None:
    with pytest.raises(InvalidValue) as refused:
        html(sections, **others)
    assert (refused.value.field, refused.value.code) == ("content", "too_long")


@pytest.mark.parametrize("pairs", [[["href"], "/x"], [{}, "/x"], ["href"], [1, "/x"], "href", ["href", []]])
def test_a_markup_with_odd_attributes_has_none(pairs: object) -> None:
    assert html([[1, "p", [[0, [0], 1, "a"]]]], markups=[["a", pairs]]) == "<p><a>a</a></p>"


@given(JSON, JSON, JSON, JSON)
def test_whatever_it_holds_it_is_text_in_the_end(
    sections: object, markups: object, atoms: object, cards: object
) -> None:
    document = {"sections": [sections] * 2, "markups": markups, "atoms": atoms, "cards": cards}
    assert isinstance(mobiledoc_to_html(json.dumps(document)), str)
