"""Cells under a header as rows. An empty cell is an absent field."""

from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from typing import TypeVar

from application.ports.formats import PostRow, RowProblem, UserRow
from domain.errors import InvalidValue
from domain.import_options import ImportKind
from domain.posts import ContentFormat, PostStatus, PostType
from infrastructure.formats.rows import (
    Row,
    bad_choice,
    field_names,
    instant,
    require_secrets,
    whole_number,
)

Choice = TypeVar("Choice", ContentFormat, PostType, PostStatus)

TAGS_PARTED_BY = "|"

_CONTENT_FORMATS = {each.value: each for each in ContentFormat}
_TYPES = {each.value: each for each in PostType}
_STATUSES = {each.value: each for each in PostStatus}


class Cells:
    """How a row is made of cells whose columns stand for `names`; those without a name (``) are passed over."""

    def __init__(self, kind: ImportKind, names: Sequence[str]) -> None:
        # One cell more than there are columns stands for all fields that have none.
        self._all = itemgetter(*(names.index(name) if name in names else len(names) for name in field_names(kind)))
        self._make = self._post if kind is ImportKind.POSTS else self._user

    def row(self, cells: list[str]) -> Row | RowProblem:
        """`cells` are as many as the names."""
        try:
            return self._make(cells)
        except InvalidValue as error:
            return RowProblem(error.field, error.code, error.message)

    def _post(self, cells: list[str]) -> PostRow:
        (
            title,
            author,
            slug,
            content,
            content_format,
            excerpt,
            tags,
            type_,
            status,
            published_at,
            views,
            source,
            external_id,
        ) = self._all([*cells, ""])
        if not title:
            raise _missing("title")
        return PostRow(
            title,
            author or None,
            slug or None,
            content or None,
            _chosen(_CONTENT_FORMATS, content_format, "content_format") if content_format else None,
            excerpt or None,
            tuple(tags.split(TAGS_PARTED_BY)) if tags else None,
            _chosen(_TYPES, type_, "type") if type_ else None,
            _chosen(_STATUSES, status, "status") if status else None,
            instant(published_at, "published_at") if published_at else None,
            whole_number(views, "views") if views else None,
            source or None,
            external_id or None,
        )

    def _user(self, cells: list[str]) -> UserRow:
        username, email, *others = self._all([*cells, ""])
        if not username:
            raise _missing("username")
        if not email:
            raise _missing("email")
        return require_secrets(UserRow(username, email, *(cell or None for cell in others)))


class Named(Mapping[str, str]):
    """Cells by the names of their columns, without those that have none: made by the million, looked at seldom."""

    __slots__ = ("_cells", "_names")

    def __init__(self, names: Sequence[str], cells: Sequence[str]) -> None:
        self._names = names
        self._cells = cells

    def __getitem__(self, name: str) -> str:
        if not name or name not in self._names:
            raise KeyError(name)
        return self._cells[self._names.index(name)]

    def __iter__(self) -> Iterator[str]:
        return filter(None, self._names)

    def __len__(self) -> int:
        return sum(map(bool, self._names))

    def __repr__(self) -> str:
        return repr(dict(self))


def _missing(field: str) -> InvalidValue:
    return InvalidValue(field, "It is required.", code="missing")


def _chosen(choices: Mapping[str, Choice], word: str, field: str) -> Choice:
    try:
        return choices[word]
    except KeyError:
        raise bad_choice(field) from None
