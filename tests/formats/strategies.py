"""Rows of every kind, for property tests."""

from datetime import UTC

from hypothesis import strategies as st

from application.ports.formats import PostRow, UserRow
from domain.posts import ContentFormat, PostStatus, PostType

characters = st.characters(codec="utf-8")
texts = st.text(characters, min_size=1, max_size=40)
said = st.one_of(st.none(), texts)
# A `|` parts tags in CSV, and an empty tag cannot be told from none.
tags = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="|"), min_size=1, max_size=10), max_size=3)

posts = st.builds(
    PostRow,
    title=texts,
    author=said,
    slug=said,
    content=st.one_of(st.none(), st.text(characters, min_size=1, max_size=200)),
    content_format=st.one_of(st.none(), st.sampled_from(ContentFormat)),
    excerpt=said,
    tags=tags.map(lambda found: tuple(found) or None),
    type=st.one_of(st.none(), st.sampled_from(PostType)),
    status=st.one_of(st.none(), st.sampled_from(PostStatus)),
    published_at=st.one_of(st.none(), st.datetimes(timezones=st.just(UTC)), st.datetimes()),
    views=st.one_of(st.none(), st.integers(0, 2**62)),
    source=said,
    external_id=said,
)
"""In JSON as in CSV: nothing in them is empty, which CSV cannot tell from absent."""

users = st.builds(
    UserRow,
    username=texts,
    email=texts,
    display_name=said,
    bio=said,
    website=said,
    role=said,
    password=said,
    password_hash=said,
)
