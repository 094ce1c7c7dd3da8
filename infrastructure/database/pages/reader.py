# ruff: noqa: S608 -- the texts are made of enums and numbers alone; every value is a parameter
"""The pages' reader: asks for the statement of what was asked, reads, and puts the answer's bytes together."""

from collections.abc import Sequence
from datetime import datetime

from application.pages import (
    NEWEST_POSTS_IN_A_LIST,
    NEWEST_POSTS_OF_A_USER,
    Cursor,
    ListPage,
    Page,
    PostQuery,
    SortBy,
    UserQuery,
    etag,
)
from domain.actors import Actor, sees_everything
from domain.errors import PostNotFound, UserNotFound
from domain.ids import PostId, UserId
from domain.posts import PostStatus, Slug, post_visible
from domain.users import email_visible, user_visible
from infrastructure.database.connections import Record
from infrastructure.database.database import Database
from infrastructure.database.pages import posts, users
from infrastructure.database.pages.items import USER_COLUMNS, USER_JOINS, Item, email_item, post_columns, user_item
from infrastructure.database.pages.lists import counted, list_page, offset_of, total_of

_POST = post_columns()
_ONE_POST = f"SELECT {_POST.select()}, p.version, p.status, p.author_id FROM posts p{_POST.joins()} WHERE p."
_POST_BY_ID = f"{_ONE_POST}id = $1"
_POST_BY_SLUG = f"{_ONE_POST}slug = $1"
_USER = f"SELECT {USER_COLUMNS} FROM users u {USER_JOINS} WHERE u.id = $1"

# How infinity, where the list has drafts that were never published, is written for asyncpg.
_INFINITY = datetime.max  # noqa: DTZ901 -- it must be naive


class SqlPages:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def post(self, ref: PostId | Slug, *, viewer: Actor | None) -> Page:
        async with self._database.reading() as reading:
            if isinstance(ref, Slug):
                row = await reading.fetchrow(_POST_BY_SLUG, ref.value)
            else:
                row = await reading.fetchrow(_POST_BY_ID, ref)
        if row is None:
            raise PostNotFound(str(ref))
        version, status, author_id = row[_POST.width :]
        if not post_visible(PostStatus(status), author_id, viewer=viewer):
            raise PostNotFound(str(ref))
        item = _POST.item(row)
        return Page(item.full, etag(version, item.tagged), public=status == PostStatus.PUBLISHED)

    async def posts(self, query: PostQuery, *, viewer: Actor | None) -> ListPage:
        cursor = query.cursor
        branches, author_id = posts.visible_branches(query, viewer)
        public = query.published is True
        if not branches or (query.tag is not None and not _is_storable(query.tag)):
            return list_page(query, [], total=await total_of(query, [], _none), last=None, public=public)
        offset = offset_of(query)
        shape = posts.PostListShape(
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
        listing = posts.post_listing(shape)
        values: dict[str, object] = {"author": author_id, "tag": query.tag, "offset": offset}
        if cursor is not None:
            values |= {"key": _INFINITY if cursor.key is None else cursor.key, "id": cursor.id}
        arguments = [values[name] for name in listing.page_names]
        async with self._database.reading() as reading:
            # Tags are anything from everywhere to nearly unique: no one plan is right for all of them.
            fetch = reading.fetch if query.tag is None else reading.fetch_planned_anew
            rows = await fetch(listing.page, *arguments)
            total = await total_of(query, rows, lambda: counted(reading, listing, query.count, values))
        columns = post_columns(query.fields)
        items = [columns.item(row) for row in rows[: query.page_size]]
        return list_page(query, items, total=total, last=_last(query, rows), public=public)

    async def user(self, user_id: UserId, *, include_posts: bool, viewer: Actor | None) -> Page:
        theirs: list[Item] | None = None
        async with self._database.reading() as reading:
            row = await reading.fetchrow(_USER, user_id)
            if row is None or not user_visible(user_id, is_active=row["is_active"], viewer=viewer):
                raise UserNotFound(user_id)
            if include_posts:
                statement, *seer = _newest_posts(users.OF_ONE, NEWEST_POSTS_OF_A_USER, viewer)
                theirs = [_POST.item(row) for row in await reading.fetch(statement, user_id, *seer)]
        item = user_item(row, with_email=email_visible(user_id, viewer=viewer), posts=theirs)
        return Page(item.full, etag(row["version"], item.tagged), public=False)

    async def users(self, query: UserQuery, *, viewer: Actor | None) -> ListPage:
        rows, theirs, total = await self._users(query, viewer, addresses=False)
        items = [
            user_item(
                row,
                with_email=email_visible(row["id"], viewer=viewer),
                posts=None if theirs is None else theirs[place],
            )
            for place, row in enumerate(rows[: query.page_size])
        ]
        return list_page(query, items, total=total, last=_last(query, rows), public=False)

    async def emails(self, query: UserQuery) -> ListPage:
        rows, _, total = await self._users(query, None, addresses=True)
        items = [email_item(row) for row in rows[: query.page_size]]
        return list_page(query, items, total=total, last=_last(query, rows), public=False)

    async def _users(
        self, query: UserQuery, viewer: Actor | None, *, addresses: bool
    ) -> tuple[Sequence[Record], list[list[Item]] | None, int | None]:
        """The rows of the page and one beyond, the posts of each where asked for, and the total."""
        cursor = query.cursor
        branches = (users.ACTIVE,) if addresses else users.visible_branches(query, viewer)
        with_posts = query.include_posts and not addresses
        if not branches:
            return [], [] if with_posts else None, await total_of(query, [], _none)
        offset = offset_of(query)
        shape = users.UserListShape(
            branches=branches,
            role=None if addresses else query.role,
            limit=query.page_size + 1,
            has_offset=offset > 0,
            has_cursor=cursor is not None,
            addresses=addresses,
        )
        listing = users.user_listing(shape)
        values: dict[str, object] = {"viewer": viewer.id if viewer else None, "offset": offset}
        if cursor is not None:
            values |= {"key": cursor.key, "id": cursor.id}
        theirs: list[list[Item]] | None = None
        async with self._database.reading() as reading:
            rows = await reading.fetch(listing.page, *[values[name] for name in listing.page_names])
            if with_posts:
                ids = [row["id"] for row in rows[: query.page_size]]
                statement, *seer = _newest_posts(users.OF_MANY, NEWEST_POSTS_IN_A_LIST, viewer)
                theirs = [[] for _ in ids]
                for row in await reading.fetch(statement, ids, *seer):
                    theirs[row[_POST.width]].append(_POST.item(row))
            total = await total_of(query, rows, lambda: counted(reading, listing, query.count, values))
        return rows, theirs, total


def _newest_posts(of: str, limit: int, viewer: Actor | None) -> tuple[str, *tuple[UserId, ...]]:
    """The statement, and its value that says whose drafts are shown too."""
    if viewer is None:
        return (users.newest_posts(of, limit, drafts=False, of_viewer_alone=False),)
    if sees_everything(viewer):
        return (users.newest_posts(of, limit, drafts=True, of_viewer_alone=False),)
    return users.newest_posts(of, limit, drafts=True, of_viewer_alone=True), viewer.id


def _last(query: PostQuery | UserQuery, rows: Sequence[Record]) -> Cursor | None:
    """Every row ends with its cursor's key and id."""
    if len(rows) <= query.page_size:
        return None
    row = rows[query.page_size - 1]
    return Cursor(query.sort, row[-2], row[-1])


def _is_storable(tag: str) -> bool:
    """PostgreSQL has no text with a NUL or with half of a surrogate pair, hence no such tag."""
    try:
        tag.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in tag


async def _none() -> int:
    return 0
