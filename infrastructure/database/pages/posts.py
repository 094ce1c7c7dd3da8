# ruff: noqa: S608 -- the texts are made of enums and numbers alone; every value is a parameter
"""The statements that list posts, one for each shape of list; their values are parameters.

A list is a union of branches, each of one status and one type: with these in front every index of `posts` gives a
branch in order (docs/decisions/0001-post-indexes.md). Limits stand in the text, since a plan made for an unknown limit
would be made for a tenth of the table.
"""

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from application.pages import Order, PostQuery, SortBy, Types
from domain.actors import Actor, sees_everything
from domain.ids import UserId
from domain.posts import PostStatus, PostType
from infrastructure.database.pages.items import post_columns
from infrastructure.database.pages.lists import Asked, Listing, Parameters, offset_of

_COLUMNS = {SortBy.PUBLISHED_AT: "listed_at", SortBy.CREATED_AT: "created_at"}
_CURSOR_KEYS = {SortBy.PUBLISHED_AT: "p.published_at", SortBy.CREATED_AT: "p.created_at", SortBy.VIEWS: "k.key"}


# How infinity, where the list has drafts that were never published, is written for asyncpg.
_INFINITY = datetime.max  # noqa: DTZ901 -- it must be naive


class Branch(NamedTuple):
    status: PostStatus
    type: PostType
    by_author: bool
    """Of the one author that is the statement's parameter."""


class PostListShape(NamedTuple):
    branches: tuple[Branch, ...]
    sort_by: SortBy
    order: Order
    limit: int
    wanted: tuple[str, ...]
    has_tag: bool
    has_offset: bool
    has_cursor: bool
    cursor_has_views: bool


def asked_posts(query: PostQuery, viewer: Actor | None) -> Asked | None:
    """None where there is nothing to see. Raises InvalidValue."""
    return _asked_by_strangers(query) if viewer is None else _asked_by(query, viewer)


@lru_cache(maxsize=2048)
def _asked_by_strangers(query: PostQuery) -> Asked | None:
    """Remembered: what strangers ask for, they ask for again."""
    return _asked_by(query, None)


def _asked_by(query: PostQuery, viewer: Actor | None) -> Asked | None:
    cursor = query.cursor
    branches, author_id = _visible_branches(query, viewer)
    if not branches or (query.tag is not None and not _is_storable(query.tag)):
        return None
    offset = offset_of(query)
    shape = PostListShape(
        branches=branches,
        sort_by=query.sort_by,
        order=query.order,
        limit=query.page_size + 1,
        wanted=query.fields,
        has_tag=query.tag is not None,
        has_offset=offset > 0,
        has_cursor=cursor is not None,
        cursor_has_views=cursor is not None and query.sort_by is SortBy.VIEWS and cursor.key != 0,
    )
    values: dict[str, object] = {"author": author_id, "tag": query.tag, "offset": offset}
    if cursor is not None:
        values |= {"key": _INFINITY if cursor.key is None else cursor.key, "id": cursor.id}
    return Asked(post_listing(shape), values)


def _visible_branches(query: PostQuery, viewer: Actor | None) -> tuple[tuple[Branch, ...], UserId | None]:
    """What `post_visible` lets the viewer see of what was asked for, and the author that the branches speak of."""
    types = tuple(PostType) if query.type is Types.ALL else (PostType(query.type),)
    found = []
    if query.published is not False:
        found += [Branch(PostStatus.PUBLISHED, type_, query.author_id is not None) for type_ in types]
    author_id = query.author_id
    if query.published is not True:
        if sees_everything(viewer):
            found += [Branch(PostStatus.DRAFT, type_, author_id is not None) for type_ in types]
        elif viewer is not None and author_id in (None, viewer.id):
            author_id = viewer.id
            found += [Branch(PostStatus.DRAFT, type_, by_author=True) for type_ in types]
    return tuple(found), author_id


def _is_storable(tag: str) -> bool:
    """PostgreSQL has no text with a NUL or with half of a surrogate pair, hence no such tag."""
    try:
        tag.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in tag


@lru_cache(maxsize=512)
def post_listing(shape: PostListShape) -> Listing:
    parameters = Parameters()
    page = _page(shape, parameters)
    counted = Parameters()
    conditions = [_conditions(branch, shape, counted) for branch in shape.branches]
    totals = [f"(SELECT count(*) FROM posts p WHERE {condition})" for condition in conditions]
    return Listing(
        page=page,
        page_names=tuple(parameters.names),
        total=f"SELECT {' + '.join(totals)}",
        estimate=f"EXPLAIN (FORMAT JSON) SELECT FROM posts p WHERE ({') OR ('.join(conditions)})",
        total_names=tuple(counted.names),
    )


def _page(shape: PostListShape, parameters: Parameters) -> str:
    """Its rows, each followed by the cursor's key and the id."""
    columns = post_columns(shape.wanted)
    direction = shape.order.upper()
    key = _CURSOR_KEYS[shape.sort_by]
    if shape.sort_by is SortBy.VIEWS:
        keys = _keys_by_views(shape, parameters)
        selected, joins = columns.select("k.key"), columns.joins(views=False)
    else:
        selected, joins = columns.select(), columns.joins()
        if len(shape.branches) == 1 and not shape.has_offset:
            walk = _walk("p.*", shape.branches[0], shape, parameters)
            order = f"ORDER BY p.{_COLUMNS[shape.sort_by]} {direction}, p.id {direction}"
            return f"SELECT {selected}, {key}, p.id FROM ({walk}) p{joins} {order}"
        keys = _keys_by_time(shape, parameters)
    order = f"ORDER BY k.key {direction}, k.id {direction}"
    return f"SELECT {selected}, {key}, p.id FROM ({keys}) k JOIN posts p ON p.id = k.id{joins} {order}"


def _keys_by_time(shape: PostListShape, parameters: Parameters) -> str:
    walks = [
        f"({_walk(f'p.id, p.{_COLUMNS[shape.sort_by]} AS key', branch, shape, parameters)})"
        for branch in shape.branches
    ]
    return _merged(" UNION ALL ".join(walks), shape, parameters)


def _walk(selected: str, branch: Branch, shape: PostListShape, parameters: Parameters) -> str:
    column, direction = _COLUMNS[shape.sort_by], shape.order.upper()
    conditions = _conditions(branch, shape, parameters)
    if shape.has_cursor:
        conditions += f" AND (p.{column}, p.id) {_beyond(shape)} {_cursor('timestamptz', parameters)}"
    order = f"ORDER BY p.{column} {direction}, p.id {direction}"
    return f"SELECT {selected} FROM posts p WHERE {conditions} {order} LIMIT {_enough(shape, parameters)}"


def _keys_by_views(shape: PostListShape, parameters: Parameters) -> str:
    """Posts with views by these, and posts without, which have no row in post_views, by id: one after the other, and
    the second only as far as the first leaves room."""
    is_descending = shape.order is Order.DESC
    halves = [_viewed, _unviewed] if is_descending else [_unviewed, _viewed]
    if shape.has_cursor and shape.cursor_has_views is not is_descending:
        halves = halves[1:]
    first = _half(halves[0], shape, parameters, is_first=True)
    if len(halves) == 1:
        return _merged(first, shape, parameters)
    second = _half(halves[1], shape, parameters, is_first=False)
    both = f"SELECT id, key FROM first_half UNION ALL {second}"
    return f"WITH first_half AS MATERIALIZED (SELECT id, key FROM ({first}) h) {_merged(both, shape, parameters)}"


def _half(
    walk: Callable[[PostListShape, Parameters, bool], str],
    shape: PostListShape,
    parameters: Parameters,
    *,
    is_first: bool,
) -> str:
    """In the first half the list begins, or goes on after the cursor."""
    direction, enough = shape.order.upper(), _enough(shape, parameters)
    selected = walk(shape, parameters, is_first and shape.has_cursor)
    if not is_first:
        selected += f" AND (SELECT count(*) FROM first_half) < {enough}"
    ending = f"ORDER BY key {direction}, id {direction} LIMIT {enough}"
    walks = [f"({selected} AND {conditions} {ending})" for conditions in _broadly(shape, parameters)]
    return " UNION ALL ".join(walks)


def _viewed(shape: PostListShape, parameters: Parameters, after: bool) -> str:
    walked = "SELECT v.post_id AS id, v.views AS key FROM post_views v JOIN posts p ON p.id = v.post_id WHERE true"
    return f"{walked} AND (v.views, v.post_id) {_beyond(shape)} {_cursor('bigint', parameters)}" if after else walked


def _unviewed(shape: PostListShape, parameters: Parameters, after: bool) -> str:
    walked = (
        "SELECT p.id AS id, 0::bigint AS key FROM posts p"
        " WHERE NOT EXISTS (SELECT FROM post_views v WHERE v.post_id = p.id)"
    )
    return f"{walked} AND p.id {_beyond(shape)} {parameters('id', 'uuid')}" if after else walked


def _merged(keys: str, shape: PostListShape, parameters: Parameters) -> str:
    direction = shape.order.upper()
    offset = f" OFFSET {parameters('offset', 'bigint')}" if shape.has_offset else ""
    return f"SELECT id, key FROM ({keys}) b ORDER BY key {direction}, id {direction} LIMIT {shape.limit}{offset}"


def _conditions(branch: Branch, shape: PostListShape, parameters: Parameters) -> str:
    conditions = f"p.status = '{branch.status.value}' AND p.type = '{branch.type.value}'"
    return conditions + _narrowed(branch.by_author, shape, parameters)


def _broadly(shape: PostListShape, parameters: Parameters) -> list[str]:
    """The branches in as few conditions as possible, for an index that has neither status nor type."""
    found = []
    for by_author in (False, True):
        branches = [branch for branch in shape.branches if branch.by_author is by_author]
        if branches:
            statuses, types = {branch.status for branch in branches}, {branch.type for branch in branches}
            conditions = ["true"]
            if len(statuses) == 1:
                conditions.append(f"p.status = '{branches[0].status.value}'")
            if len(types) == 1:
                conditions.append(f"p.type = '{branches[0].type.value}'")
            found.append(" AND ".join(conditions) + _narrowed(by_author, shape, parameters))
    return found


def _narrowed(by_author: bool, shape: PostListShape, parameters: Parameters) -> str:
    author = f" AND p.author_id = {parameters('author', 'uuid')}" if by_author else ""
    return author + (f" AND p.tags @> ARRAY[{parameters('tag', 'text')}]" if shape.has_tag else "")


def _beyond(shape: PostListShape) -> str:
    return "<" if shape.order is Order.DESC else ">"


def _cursor(type_: str, parameters: Parameters) -> str:
    return f"({parameters('key', type_)}, {parameters('id', 'uuid')})"


def _enough(shape: PostListShape, parameters: Parameters) -> str:
    """So many for a page, wherever in the list it is."""
    return f"{shape.limit} + {parameters('offset', 'bigint')}" if shape.has_offset else str(shape.limit)
