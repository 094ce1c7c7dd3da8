"""All that strangers are shown of a site: pages of every kind and filter, without their views."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product

from application.caching.keys import PageKey, post_key, posts_key, user_key, users_key
from application.caching.tags import ALL, TOTALS, USERS
from application.pages import Count, ListPage, Order, Pages, PostQuery, SortBy, Types, UserQuery
from domain.actors import Role
from domain.errors import PostNotFound, UserNotFound
from infrastructure.memory.pages import MemoryPages
from infrastructure.memory.store import MemoryStore

_VIEWS = re.compile(rb'"views":\d+')
_TOTAL = re.compile(rb'"total":(\d+|null)')


@dataclass(frozen=True, slots=True)
class Shown:
    """`pages` by key; None where there is none. `totals` of lists, by the list's key."""

    pages: dict[PageKey, bytes | None]
    totals: dict[PageKey, bytes]

    def stale_after(self, later: "Shown", forgotten: Iterable[str]) -> list[str]:
        """What was shown before, is otherwise now, and depends on nothing that was `forgotten`."""
        gone = set(forgotten)
        pages = [
            key.text
            for key, page in self.pages.items()
            if page is not None and page != later.pages[key] and gone.isdisjoint(key.tags)
        ]
        totals = [
            f"total of {key.text}"
            for key, total in self.totals.items()
            if total != later.totals[key] and gone.isdisjoint((TOTALS if key.text.startswith("posts") else USERS, ALL))
        ]
        return pages + totals


def keys_of(store: MemoryStore, tags: Iterable[str]) -> list[PageKey]:
    """Of all posts and users that there are."""
    return list(_keys(store, tuple(tags)))


async def shown(store: MemoryStore, keys: Iterable[PageKey]) -> Shown:
    pages = MemoryPages(store)
    found = {key: await _page(pages, key) for key in keys}
    totals = {
        key: total[0] for key, page in found.items() if page is not None and (total := _TOTAL.search(page)) is not None
    }
    return Shown(found, totals)


async def _page(pages: Pages, key: PageKey) -> bytes | None:
    try:
        page = await key.read(pages)
    except (PostNotFound, UserNotFound):
        return None
    links = (page.page, page.total_pages, page.next_cursor) if isinstance(page, ListPage) else (page.viewed,)
    return b"%b %b %r" % (_VIEWS.sub(b"", page.body), page.etag.encode(), (page.public, *links))


def _keys(store: MemoryStore, tags: tuple[str, ...]) -> Iterator[PageKey]:
    for stored in store.tables.posts.rows.values():
        yield post_key(stored.post.id)
        yield post_key(stored.post.slug)
    authors = (None, *store.tables.users.rows)
    for author, tag in product(authors, (None, *tags)):
        for kind in Types:
            yield posts_key(PostQuery(author_id=author, tag=tag, type=kind))
        yield posts_key(PostQuery(author_id=author, tag=tag, page_size=1, page=2, fields=("title", "author")))
        yield posts_key(PostQuery(author_id=author, tag=tag, published=True, count=Count.NONE, fields=("title",)))
    for sort_by, order in product(SortBy, Order):
        yield posts_key(PostQuery(sort_by=sort_by, order=order, page_size=2, type=Types.ALL, count=Count.NONE))
    for user_id, with_posts in product(store.tables.users.rows, (False, True)):
        yield user_key(user_id, with_posts)
    for role, is_active, with_posts in product((None, *Role), (None, True, False), (False, True)):
        yield users_key(UserQuery(role=role, is_active=is_active, include_posts=with_posts))
    yield users_key(UserQuery(page_size=1, page=2))
