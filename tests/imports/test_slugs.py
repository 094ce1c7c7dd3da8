from hypothesis import given
from hypothesis import strategies as st
from slugify import slugify

from domain.posts import SLUG_MAX
from infrastructure.slugs import slug_words

LETTERS = st.text(st.characters(categories=["L", "N", "Zs", "Mn"]), max_size=30)
ODD = st.text("aé ß-東’“´`·—½²ﬁ①Ⅳµ", max_size=15)


@given(
    st.one_of(
        *(st.text("aZ09 -", max_size=130), st.text("aZ0 -,'.&#;é", max_size=20), st.text(max_size=20), LETTERS, ODD)
    )
)
def test_the_short_way_gives_what_slugify_gives(title: str) -> None:
    assert slug_words(title) == slugify(title, max_length=SLUG_MAX, word_boundary=True, save_order=True)
