"""Slugs of titles in any script, through python-slugify."""

from slugify import slugify

from domain.posts import SLUG_MAX


def slug_words(title: str) -> str:
    """A `Slugger`. Cut at a word's end where that leaves something."""
    return slugify(title, max_length=SLUG_MAX, word_boundary=True, save_order=True)
