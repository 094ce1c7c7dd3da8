"""Slugs of titles in any script, through python-slugify."""

import re
from unicodedata import normalize

from slugify import slugify
from text_unidecode import unidecode  # type: ignore[import-untyped]  # slugify's own, without types

from domain.posts import SLUG_MAX

_PLAIN = re.compile(r"[A-Za-z0-9 -]*")


def slug_words(title: str) -> str:
    """A `Slugger`. Cut at a word's end where that leaves something."""
    plain = title if title.isascii() else unidecode(normalize("NFKD", title))
    if len(plain) < SLUG_MAX and _PLAIN.fullmatch(plain):
        # What slugify makes of it, in a tenth of the time: an import has millions of titles.
        return "-".join(plain.lower().replace("-", " ").split())
    # Named, since the default looks for another library at every call and so depends on what is installed.
    return slugify(title, max_length=SLUG_MAX, word_boundary=True, save_order=True, backend="text-unidecode")
