"""What all lists have in common: one item more than a page tells whether there is a next one, and the envelope."""

from collections.abc import Awaitable, Callable, Sequence

import msgspec

from application.pages import Count, Cursor, ListPage, PostQuery, UserQuery, digest, total_pages
from infrastructure.database.connections import Record
from infrastructure.database.pages.items import Item, encode
from infrastructure.database.pool import Reading


class Parameters:
    """The numbers of a statement's parameters, in the order of their first use."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, name: str, type_: str) -> str:
        if name not in self.names:
            self.names.append(name)
        return f"${self.names.index(name) + 1}::{type_}"


class Listing(msgspec.Struct, frozen=True):
    """The statements of a list: its page, the exact number of all its items, and one whose plan estimates that."""

    page: str
    page_names: tuple[str, ...]
    total: str
    estimate: str
    total_names: tuple[str, ...]


class Asked(msgspec.Struct, frozen=True):
    """A listing with its parameters' values, by name."""

    listing: Listing
    values: dict[str, object]

    def of_page(self) -> list[object]:
        return [self.values[name] for name in self.listing.page_names]

    def of_total(self) -> list[object]:
        return [self.values[name] for name in self.listing.total_names]

    def total_key(self) -> str:
        """The same for the same question."""
        return digest(f"{self.listing.total} {self.of_total()}".encode())


class _Envelope(msgspec.Struct, frozen=True):
    page: int | None
    page_size: int
    total: int | None
    total_pages: int | None
    next_cursor: str | None


def offset_of(query: PostQuery | UserQuery) -> int:
    return 0 if query.after is not None else (query.page - 1) * query.page_size


async def total_of(
    query: PostQuery | UserQuery, rows: Sequence[Record], count: Callable[[], Awaitable[int]]
) -> int | None:
    """`rows` is the page with what was read beyond it. Where it is the last one, nothing needs to be counted."""
    if query.count is Count.NONE:
        return None
    seen = offset_of(query) + len(rows)
    is_last = query.after is None and len(rows) <= query.page_size and (rows or query.page == 1)
    if is_last:
        return seen
    return max(await count(), seen) if query.count is Count.ESTIMATED else await count()


async def counted(reading: Reading, asked: Asked, count: Count) -> int:
    if count is Count.EXACT:
        return int(await reading.fetchval(asked.listing.total, *asked.of_total()))
    plans = msgspec.json.decode(await reading.fetchval(asked.listing.estimate, *asked.of_total()))
    return int(plans[0]["Plan"]["Plan Rows"])


def list_page(
    query: PostQuery | UserQuery, items: Sequence[Item], *, total: int | None, last: Cursor | None, public: bool
) -> ListPage:
    """`last` is where the next page goes on, None where there is none.

    The cursor of a list by views holds views, which change no ETag: there, it counts only whether there is one.
    """
    envelope = _Envelope(
        page=query.page if query.after is None else None,
        page_size=query.page_size,
        total=total,
        total_pages=None if total is None else total_pages(total, query.page_size),
        next_cursor=None if last is None else str(last),
    )
    ending = encode(envelope)
    key_is_views = last is not None and isinstance(last.key, int)
    tagged_ending = encode(msgspec.structs.replace(envelope, next_cursor="")) if key_is_views else ending
    return ListPage(
        body=b'{"items":[%b],%b' % (b",".join([item.full for item in items]), ending[1:]),
        etag=f'"{digest(b",".join([*[item.tagged for item in items], tagged_ending]))}"',
        public=public,
        page=envelope.page,
        total_pages=envelope.total_pages,
        next_cursor=envelope.next_cursor,
    )
