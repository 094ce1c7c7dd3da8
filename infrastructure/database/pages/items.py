"""Rows to the JSON of single items. A post's views are kept apart: they are in the answer and not in its ETag."""

from dataclasses import fields
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from application.pages import POST_FIELDS, AuthorShape, EmailShape, ProfileShape, UserShape
from infrastructure.database.connections import Record

encode = msgspec.json.Encoder().encode


class Item(NamedTuple):
    """`tagged` is what the ETag is made of."""

    full: bytes
    tagged: bytes


def _struct(name: str, names: tuple[str, ...]) -> type[Any]:
    return msgspec.defstruct(name, [(field, object) for field in names], frozen=True, gc=False)


def _names(shape: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(shape))


_Author = _struct("Author", _names(AuthorShape))
_Profile = _struct("Profile", _names(ProfileShape))
_User = _struct("User", _names(UserShape))
_Email = _struct("Email", _names(EmailShape))

_PROFILE_COLUMNS = len(_names(ProfileShape))
_USER_COLUMNS = len(_names(UserShape)) - 1


class PostColumns:
    """What is selected of `posts p`, its author `u` with profile `f`, and its `views`, and how that becomes JSON."""

    def __init__(self, names: tuple[str, ...]) -> None:
        plain = tuple(name for name in names if name not in ("author", "views"))
        self.has_author = "author" in names
        self.has_views = "views" in names
        self._plain = len(plain)
        self._post = _struct("Post", (*plain, "author") if self.has_author else plain)
        self._comma = b"," if plain or self.has_author else b""
        author = ("p.author_id", "u.username", "f.display_name") if self.has_author else ()
        self._selected = (*(f"p.{name}" for name in plain), *author)

    def select(self, views: str = "coalesce(v.views, 0)") -> str:
        return ", ".join((*self._selected, views) if self.has_views else self._selected)

    @property
    def width(self) -> int:
        return len(self._selected) + self.has_views

    def joins(self, *, views: bool = True) -> str:
        author = " JOIN users u ON u.id = p.author_id JOIN profiles f ON f.user_id = u.id" if self.has_author else ""
        return author + (" LEFT JOIN post_views v ON v.post_id = p.id" if self.has_views and views else "")

    def item(self, row: Record) -> Item:
        n = self._plain
        if self.has_author:
            tagged = encode(self._post(*row[:n], _Author(row[n], row[n + 1], row[n + 2])))
            n += 3
        else:
            tagged = encode(self._post(*row[:n]))
        if not self.has_views:
            return Item(tagged, tagged)
        return Item(b'%b%b"views":%d}' % (tagged[:-1], self._comma, row[n]), tagged)


@lru_cache(maxsize=256)
def post_columns(wanted: tuple[str, ...] = ()) -> PostColumns:
    """Of the fields wanted, in the shape's order; all of them where none is named."""
    return PostColumns(tuple(name for name in POST_FIELDS if not wanted or name in wanted))


USER_COLUMNS = (
    "u.id, u.username, u.role, u.is_active, u.created_at, u.updated_at, u.version,"
    " f.display_name, f.bio, f.avatar_url, f.website, u.email"
)
USER_JOINS = "JOIN profiles f ON f.user_id = u.id"


def user_item(row: Record, *, with_email: bool, posts: list[Item] | None) -> Item:
    """`row` begins with USER_COLUMNS."""
    end = _USER_COLUMNS + _PROFILE_COLUMNS
    bare = encode(_User(*row[:_USER_COLUMNS], _Profile(*row[_USER_COLUMNS:end])))[:-1]
    if with_email:
        bare = b'%b,"email":%b' % (bare, encode(row[end]))
    if posts is None:
        whole = bare + b"}"
        return Item(whole, whole)
    full = b",".join([post.full for post in posts])
    tagged = b",".join([post.tagged for post in posts])
    return Item(b'%b,"posts":[%b]}' % (bare, full), b'%b,"posts":[%b]}' % (bare, tagged))


def email_item(row: Record) -> Item:
    whole = encode(_Email(row[0], row[1]))
    return Item(whole, whole)
