# ruff: noqa: S608 -- the texts are made of enums and numbers alone; every value is a parameter
"""The pages' reader: asks for the statement of what was asked, reads, and puts the answer's bytes together."""

from collections.abc import Sequence
from uuid import UUID

from application.caching.tags import TOTALS, USERS
from application.pages import (
    NEWEST_POSTS_IN_A_LIST,
    NEWEST_POSTS_OF_A_USER,
    Count,
    Cursor,
    ListPage,
    Page,
    PostQuery,
    Totals,
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
from infrastructure.database.pages.items import USER_COLUMNS, USER_JOINS, Item, email_item, post_columns, user_item
from infrastructure.database.pages.lists import Asked, counted, list_page, total_of
from infrastructure.database.pages.posts import asked_posts
from infrastructure.database.pages.users import OF_MANY, OF_ONE, asked_addresses, asked_users, newest_posts

_POST = post_columns()
_ONE_POST = f"SELECT {_POST.select()}, p.version, p.status, p.author_id, p.id FROM posts p{_POST.joins()} WHERE p."
_POST_BY_ID = f"{_ONE_POST}id = $1"
_POST_BY_SLUG = f"{_ONE_POST}slug = $1"
_USER = f"SELECT {USER_COLUMNS} FROM users u {USER_JOINS} WHERE u.id = $1"


class SqlPages:
    """`totals` keeps how many items the lists have that strangers see."""

    def __init__(self, database: Database, totals: Totals | None = None) -> None:
        self._database = database
        self._totals = totals

    async def post(self, ref: PostId | Slug, *, viewer: Actor | None) -> Page:
        async with self._database.reading() as reading:
            if isinstance(ref, Slug):
                row = await reading.fetchrow(_POST_BY_SLUG, ref.value)
            else:
                row = await reading.fetchrow(_POST_BY_ID, ref)
        if row is None:
            raise PostNotFound(str(ref))
        version, status, author_id, post_id = row[_POST.width :]
        if not post_visible(PostStatus(status), author_id, viewer=viewer):
            raise PostNotFound(str(ref))
        item = _POST.item(row)
        is_published = status == PostStatus.PUBLISHED
        viewed = PostId(UUID(bytes=post_id.bytes)) if is_published else None
        return Page(item.full, etag(version, item.tagged), is_published, viewed)

    async def posts(self, query: PostQuery, *, viewer: Actor | None) -> ListPage:
        rows, total = await self._listed(query, asked_posts(query, viewer), kept_by=None if viewer else TOTALS)
        columns = post_columns(query.fields)
        items = [columns.item(row) for row in rows[: query.page_size]]
        return list_page(query, items, total=total, last=_last(query, rows), public=query.published is True)

    async def user(self, user_id: UserId, *, include_posts: bool, viewer: Actor | None) -> Page:
        theirs: list[Item] | None = None
        async with self._database.reading() as reading:
            row = await reading.fetchrow(_USER, user_id)
            if row is None or not user_visible(user_id, is_active=row["is_active"], viewer=viewer):
                raise UserNotFound(user_id)
            if include_posts:
                statement, *seer = _newest(OF_ONE, NEWEST_POSTS_OF_A_USER, viewer)
                theirs = [_POST.item(row) for row in await reading.fetch(statement, user_id, *seer)]
        item = user_item(row, with_email=email_visible(user_id, viewer=viewer), posts=theirs)
        return Page(item.full, etag(row["version"], item.tagged), public=False)

    async def users(self, query: UserQuery, *, viewer: Actor | None) -> ListPage:
        rows, total = await self._listed(query, asked_users(query, viewer), kept_by=None if viewer else USERS)
        shown = rows[: query.page_size]
        theirs: list[list[Item]] | None = None
        if query.include_posts:
            theirs = await self._newest_posts([row["id"] for row in shown], viewer)
        items = [
            user_item(
                row,
                with_email=email_visible(row["id"], viewer=viewer),
                posts=None if theirs is None else theirs[place],
            )
            for place, row in enumerate(shown)
        ]
        return list_page(query, items, total=total, last=_last(query, rows), public=False)

    async def emails(self, query: UserQuery) -> ListPage:
        rows, total = await self._listed(query, asked_addresses(query), kept_by=None)
        items = [email_item(row) for row in rows[: query.page_size]]
        return list_page(query, items, total=total, last=_last(query, rows), public=False)

    async def _listed(
        self, query: PostQuery | UserQuery, asked: Asked | None, *, kept_by: str | None
    ) -> tuple[Sequence[Record], int | None]:
        """The rows of the page and one beyond, and the total, which may be kept under the tag `kept_by`."""
        if asked is None:
            return [], None if query.count is Count.NONE else 0
        async with self._database.reading() as reading:
            # Tags are anything from everywhere to nearly unique: no one plan is right for all of them.
            fetch = reading.fetch_planned_anew if asked.values.get("tag") is not None else reading.fetch
            rows = await fetch(asked.listing.page, *asked.of_page())

        async def count() -> int:
            async with self._database.reading() as reading:
                return await counted(reading, asked, query.count)

        async def kept() -> int:
            if kept_by is None or self._totals is None or query.count is not Count.EXACT:
                return await count()
            return await self._totals(asked.total_key(), count, tag=kept_by)

        return rows, await total_of(query, rows, kept)

    async def _newest_posts(self, user_ids: Sequence[UserId], viewer: Actor | None) -> list[list[Item]]:
        theirs: list[list[Item]] = [[] for _ in user_ids]
        statement, *seer = _newest(OF_MANY, NEWEST_POSTS_IN_A_LIST, viewer)
        async with self._database.reading() as reading:
            for row in await reading.fetch(statement, user_ids, *seer):
                theirs[row[_POST.width]].append(_POST.item(row))
        return theirs


def _newest(of: str, limit: int, viewer: Actor | None) -> tuple[str, *tuple[UserId, ...]]:
    """The statement, and its value that says whose drafts are shown too."""
    if viewer is None:
        return (newest_posts(of, limit, drafts=False, of_viewer_alone=False),)
    if sees_everything(viewer):
        return (newest_posts(of, limit, drafts=True, of_viewer_alone=False),)
    return newest_posts(of, limit, drafts=True, of_viewer_alone=True), viewer.id


def _last(query: PostQuery | UserQuery, rows: Sequence[Record]) -> Cursor | None:
    """Every row ends with its cursor's key and id."""
    if len(rows) <= query.page_size:
        return None
    row = rows[query.page_size - 1]
    return Cursor(query.sort, row[-2], row[-1])
