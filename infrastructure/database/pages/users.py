# ruff: noqa: S608 -- the texts are made of enums and numbers alone; every value is a parameter
"""The statements that list users, their addresses, and their newest posts."""

from functools import lru_cache
from typing import NamedTuple

from application.pages import UserQuery
from domain.actors import Actor, Role, sees_everything
from domain.posts import PostStatus, PostType
from infrastructure.database.pages.items import USER_COLUMNS, USER_JOINS, post_columns
from infrastructure.database.pages.lists import Asked, Listing, Parameters, offset_of


class Branch(NamedTuple):
    is_active: bool
    itself: bool
    """None but the viewer."""


_ACTIVE = Branch(is_active=True, itself=False)


class UserListShape(NamedTuple):
    branches: tuple[Branch, ...]
    role: Role | None
    limit: int
    has_offset: bool
    has_cursor: bool
    addresses: bool
    """Only the addresses, of those who have one."""


def asked_users(query: UserQuery, viewer: Actor | None) -> Asked | None:
    """None where there is nothing to see. Raises InvalidValue."""
    branches = _visible_branches(query, viewer)
    return _asked(query, branches, viewer, role=query.role, addresses=False) if branches else None


def asked_addresses(query: UserQuery) -> Asked:
    """Raises InvalidValue."""
    return _asked(query, (_ACTIVE,), None, role=None, addresses=True)


def _asked(
    query: UserQuery, branches: tuple[Branch, ...], viewer: Actor | None, *, role: Role | None, addresses: bool
) -> Asked:
    cursor = query.cursor
    offset = offset_of(query)
    shape = UserListShape(
        branches=branches,
        role=role,
        limit=query.page_size + 1,
        has_offset=offset > 0,
        has_cursor=cursor is not None,
        addresses=addresses,
    )
    values: dict[str, object] = {"viewer": viewer.id if viewer else None, "offset": offset}
    if cursor is not None:
        values |= {"key": cursor.key, "id": cursor.id}
    return Asked(user_listing(shape), values)


def _visible_branches(query: UserQuery, viewer: Actor | None) -> tuple[Branch, ...]:
    """What `user_visible` lets the viewer see of what was asked for."""
    found = []
    if query.is_active is not False:
        found.append(_ACTIVE)
    if query.is_active is not True and viewer is not None:
        found.append(Branch(is_active=False, itself=not sees_everything(viewer)))
    return tuple(found)


@lru_cache(maxsize=128)
def user_listing(shape: UserListShape) -> Listing:
    """Newest first; each row ends with `created_at` and `id`."""
    parameters = Parameters()
    page = _page(shape, parameters)
    counted = Parameters()
    conditions = [_conditions(branch, shape, counted) for branch in shape.branches]
    totals = [f"(SELECT count(*) FROM users u WHERE {condition})" for condition in conditions]
    return Listing(
        page=page,
        page_names=tuple(parameters.names),
        total=f"SELECT {' + '.join(totals)}",
        estimate=f"EXPLAIN (FORMAT JSON) SELECT FROM users u WHERE ({' OR '.join(conditions)})",
        total_names=tuple(counted.names),
    )


def _page(shape: UserListShape, parameters: Parameters) -> str:
    walks = [f"({_walk(branch, shape, parameters)})" for branch in shape.branches]
    offset = f" OFFSET {parameters('offset', 'bigint')}" if shape.has_offset else ""
    keys = (
        f"SELECT id, created_at FROM ({' UNION ALL '.join(walks)}) b"
        f" ORDER BY created_at DESC, id DESC LIMIT {shape.limit}{offset}"
    )
    selected, joins = ("u.id, u.email", "") if shape.addresses else (USER_COLUMNS, f" {USER_JOINS}")
    return (
        f"SELECT {selected}, k.created_at, k.id FROM ({keys}) k JOIN users u ON u.id = k.id{joins}"
        " ORDER BY k.created_at DESC, k.id DESC"
    )


def _walk(branch: Branch, shape: UserListShape, parameters: Parameters) -> str:
    conditions = _conditions(branch, shape, parameters)
    if shape.has_cursor:
        cursor = f"({parameters('key', 'timestamptz')}, {parameters('id', 'uuid')})"
        conditions += f" AND (u.created_at, u.id) < {cursor}"
    enough = f"{shape.limit} + {parameters('offset', 'bigint')}" if shape.has_offset else str(shape.limit)
    order = "ORDER BY u.created_at DESC, u.id DESC"
    return f"SELECT u.id, u.created_at FROM users u WHERE {conditions} {order} LIMIT {enough}"


def _conditions(branch: Branch, shape: UserListShape, parameters: Parameters) -> str:
    conditions = f"u.is_active = {branch.is_active}"
    if branch.itself:
        conditions += f" AND u.id = {parameters('viewer', 'uuid')}"
    if shape.role is not None:
        conditions += f" AND u.role = '{shape.role.value}'"
    if shape.addresses:
        conditions += " AND u.email IS NOT NULL"
    return conditions


OF_ONE = "(SELECT $1::uuid, 0) a(id, place)"
OF_MANY = "(SELECT u.id, u.place - 1 FROM unnest($1::uuid[]) WITH ORDINALITY u(id, place)) a(id, place)"


@lru_cache(maxsize=16)
def newest_posts(users: str, limit: int, drafts: bool, of_viewer_alone: bool) -> str:
    """Of `users`, $1, at most `limit` each: rows of `post_columns()`, each followed by the user's place in $1.

    With `drafts`, and `of_viewer_alone` only where the user is $2.
    """
    columns = post_columns()
    walks = [_newest(PostStatus.PUBLISHED, type_, limit) for type_ in PostType]
    if drafts:
        own = " AND a.id = $2::uuid" if of_viewer_alone else ""
        walks += [_newest(PostStatus.DRAFT, type_, limit, own) for type_ in PostType]
    keys = f"SELECT id, key FROM ({' UNION ALL '.join(walks)}) b ORDER BY key DESC, id DESC LIMIT {limit}"
    return (
        f"SELECT {columns.select()}, a.place FROM {users}"
        f" CROSS JOIN LATERAL ({keys}) k JOIN posts p ON p.id = k.id{columns.joins()}"
        " ORDER BY a.place, k.key DESC, k.id DESC"
    )


def _newest(status: PostStatus, type_: PostType, limit: int, condition: str = "") -> str:
    return (
        f"(SELECT p.id, p.listed_at AS key FROM posts p WHERE p.author_id = a.id{condition}"
        f" AND p.status = '{status.value}' AND p.type = '{type_.value}'"
        f" ORDER BY p.listed_at DESC, p.id DESC LIMIT {limit})"
    )
