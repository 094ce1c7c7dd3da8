"""Lists of posts: every sort, order, filter and viewer, by number of page and by cursor, against plain Python."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import product

import pytest

from application.pages import POST_FIELDS, Count, ListPage, Order, PostQuery, SortBy, Types
from domain.actors import Actor, Role
from domain.errors import InvalidValue
from domain.posts import PostStatus, PostType
from domain.users import User
from tests.builders import NOON, SECOND, a_post, a_user, a_writing, an_actor
from tests.contract.adapters import Adapters, import_post
from tests.contract.looks import ENVELOPE, Json, Seen, decoded, expected, post_look, require_post_shape

OPERATOR = an_actor(Role.OPERATOR)
SORTS = list(product(SortBy, Order))
SIZE = 40


@dataclass(frozen=True, slots=True)
class Archive:
    """Posts that share their times, their views and their tags with many others, in no order at all."""

    authors: tuple[User, ...]
    seen: tuple[Seen, ...]

    def look(self, seen: Seen) -> Json:
        author = next(author for author in self.authors if author.id == seen.post.author_id)
        return post_look(seen.post, author, seen.views)

    @property
    def viewers(self) -> dict[str, Actor | None]:
        ann, bob, _ = self.authors
        return {"stranger": None, "ann": ann.actor, "bob": bob.actor, "nobody": an_actor(), "operator": OPERATOR}


def an_archive(size: int, *, seed: int = 7) -> Archive:
    chance = random.Random(seed)
    authors = a_user("ann"), a_user("bob"), a_user("cy", is_active=False)
    instants = [NOON + number * SECOND for number in range(4)]
    seen = []
    for _ in range(size):
        status = chance.choice(list(PostStatus))
        published_at = chance.choice(instants) if status is PostStatus.PUBLISHED or chance.random() < 0.5 else None
        tags = tuple(chance.sample(["red", "green", "blue"], chance.randrange(4)))
        post_type = chance.choice([PostType.POST, PostType.POST, PostType.PAGE])
        post = a_post(
            author=chance.choice(authors).id,
            writing=a_writing(tags=tags, type=post_type),
            status=status,
            published_at=published_at,
            created_at=chance.choice(instants),
        )
        seen.append(Seen(post, chance.choice([0, 0, 1, 5, 2**40])))
    chance.shuffle(seen)
    return Archive(authors, tuple(seen))


@pytest.fixture
async def archive(adapters: Adapters) -> Archive:
    archive = an_archive(SIZE)
    await adapters.keep(*archive.authors, *archive.seen)
    return archive


async def pages_by_number(adapters: Adapters, query: PostQuery, viewer: Actor | None) -> AsyncIterator[ListPage]:
    number = 0
    while True:
        number += 1
        page = await adapters.pages.posts(replace(query, page=number), viewer=viewer)
        yield page
        if page.next_cursor is None:
            return


async def pages_by_cursor(adapters: Adapters, query: PostQuery, viewer: Actor | None) -> AsyncIterator[ListPage]:
    page = await adapters.pages.posts(query, viewer=viewer)
    yield page
    while page.next_cursor is not None:
        page = await adapters.pages.posts(replace(query, after=page.next_cursor), viewer=viewer)
        yield page


def some_queries() -> Iterator[PostQuery]:
    """Every sort with every type and status, and with filters drawn at random."""
    chance = random.Random(11)
    for (by, order), types, published in product(SORTS, Types, (None, True, False)):
        yield PostQuery(
            page_size=chance.choice([2, 3, 7, 100]),
            sort_by=by,
            order=order,
            type=types,
            published=published,
            tag=chance.choice([None, None, "red", "no such tag"]),
        )


@pytest.mark.parametrize("viewer", ["stranger", "ann", "bob", "nobody", "operator"])
@pytest.mark.parametrize("of", [None, 0, 2], ids=["all", "ann's", "cy's"])
async def test_walks_by_number_and_by_cursor_are_what_sorting_gives(
    adapters: Adapters, archive: Archive, viewer: str, of: int | None
) -> None:
    author_id = None if of is None else archive.authors[of].id
    for query in some_queries():
        asked = replace(query, author_id=author_id)
        whole = [archive.look(one) for one in expected(archive.seen, asked, archive.viewers[viewer])]
        for walk in (pages_by_number, pages_by_cursor):
            pages = [page async for page in walk(adapters, asked, archive.viewers[viewer])]
            found = [decoded(page.body) for page in pages]
            assert [item for page in found for item in page["items"]] == whole, asked
            assert {page["total"] for page in found} == {len(whole)}, asked
            assert all(len(page["items"]) == asked.page_size for page in found[:-1]), asked
            assert len(pages) == max(1, -(-len(whole) // asked.page_size)), asked


async def test_the_envelope_tells_where_the_page_is(adapters: Adapters, archive: Archive) -> None:
    query = PostQuery(page=2, page_size=4, type=Types.ALL)
    whole = expected(archive.seen, query, OPERATOR)
    page = await adapters.pages.posts(query, viewer=OPERATOR)
    body = decoded(page.body)

    assert tuple(body) == ENVELOPE
    assert [item["id"] for item in body["items"]] == [str(one.post.id) for one in whole[4:8]]
    assert (body["page"], body["page_size"], body["total"], body["total_pages"]) == (2, 4, SIZE, SIZE // 4)
    assert (page.page, page.total_pages, page.next_cursor) == (2, SIZE // 4, body["next_cursor"])
    for item in body["items"]:
        require_post_shape(item)

    after = await adapters.pages.posts(replace(query, after=page.next_cursor), viewer=OPERATOR)
    body = decoded(after.body)
    assert tuple(body) == ENVELOPE
    assert [item["id"] for item in body["items"]] == [str(one.post.id) for one in whole[8:12]]
    assert (body["page"], body["total"], after.page) == (None, SIZE, None)


async def test_what_is_not_counted_is_null_and_the_way_on_stays(adapters: Adapters, archive: Archive) -> None:
    exact = await adapters.pages.posts(PostQuery(page_size=4), viewer=OPERATOR)
    none = await adapters.pages.posts(PostQuery(page_size=4, count=Count.NONE), viewer=OPERATOR)
    body = decoded(none.body)
    assert (body["total"], body["total_pages"], none.total_pages) == (None, None, None)
    assert (body["items"], none.next_cursor) == (decoded(exact.body)["items"], exact.next_cursor)


async def test_an_estimate_is_no_less_than_what_was_seen(adapters: Adapters, archive: Archive) -> None:
    query = PostQuery(page_size=5, count=Count.ESTIMATED, type=Types.ALL)
    walked = 0
    bodies = [decoded(page.body) async for page in pages_by_number(adapters, query, OPERATOR)]
    for body in bodies:
        walked += len(body["items"])
        assert body["total"] >= walked
        assert body["total_pages"] == -(-body["total"] // 5)
    assert bodies[-1]["total"] == walked == SIZE


async def test_a_page_beyond_the_end_is_empty_and_keeps_the_total(adapters: Adapters, archive: Archive) -> None:
    page = await adapters.pages.posts(PostQuery(page=1_000_000, page_size=100, type=Types.ALL), viewer=OPERATOR)
    body = decoded(page.body)
    assert (body["items"], body["page"], body["total"], body["next_cursor"]) == ([], 1_000_000, SIZE, None)


async def test_a_list_of_nothing_has_no_pages(adapters: Adapters) -> None:
    for viewer in (None, an_actor(), OPERATOR):
        for published in (None, True, False):
            page = await adapters.pages.posts(PostQuery(published=published), viewer=viewer)
            assert decoded(page.body) == dict(zip(ENVELOPE, ([], 1, 20, 0, 0, None), strict=True))


@pytest.mark.parametrize("tag", ["\x00", "a\x00b", "\ud800", "", "RED", "re", "%", "red,green", "{red}"])
async def test_a_tag_that_no_post_has_finds_nothing(adapters: Adapters, archive: Archive, tag: str) -> None:
    body = decoded((await adapters.pages.posts(PostQuery(tag=tag, type=Types.ALL), viewer=OPERATOR)).body)
    assert (body["items"], body["total"]) == ([], 0)


@pytest.mark.parametrize(("by", "order"), SORTS)
@pytest.mark.parametrize(
    "names",
    [("title",), ("views",), ("views", "id"), ("author",), ("slug", "published_at"), POST_FIELDS[::-1]],
    ids=lambda names: "-".join(names)[:20],
)
async def test_only_the_fields_asked_for_are_there_in_their_order(
    adapters: Adapters, archive: Archive, by: SortBy, order: Order, names: tuple[str, ...]
) -> None:
    query = PostQuery(page_size=7, sort_by=by, order=order, fields=names, type=Types.ALL)
    whole = [archive.look(one) for one in expected(archive.seen, query, OPERATOR)]
    found = [decoded(page.body)["items"] async for page in pages_by_cursor(adapters, query, OPERATOR)]
    wanted = [name for name in POST_FIELDS if name in names]
    assert [item for items in found for item in items] == [{name: look[name] for name in wanted} for look in whole]
    assert list(found[0][0]) == wanted


async def test_a_list_of_published_posts_is_the_same_for_everybody_and_no_other(
    adapters: Adapters, archive: Archive
) -> None:
    for published in (True, False, None):
        query = PostQuery(published=published, type=Types.ALL, page_size=100)
        pages = [await adapters.pages.posts(query, viewer=viewer) for viewer in archive.viewers.values()]
        assert {page.public for page in pages} == {published is True}
        assert (len({page.body for page in pages}) == 1) is (published is True)
        assert (len({page.etag for page in pages}) == 1) is (published is True)


@pytest.mark.parametrize("by", SortBy)
async def test_the_etag_of_a_list_is_that_of_what_it_shows_without_the_views(adapters: Adapters, by: SortBy) -> None:
    ann = a_user("ann")
    posts = [a_post(author=ann.id, published_at=NOON) for _ in range(3)]
    await adapters.keep(ann, *(Seen(post, views) for views, post in enumerate(posts, 10)))
    query = PostQuery(page_size=2, sort_by=by)

    async def etag(query: PostQuery = query) -> str:
        return (await adapters.pages.posts(query, viewer=None)).etag

    async def with_views(*views: int) -> None:
        async with adapters.begin() as work:
            for post, count in zip(posts, views, strict=True):
                await work.posts.delete(post.id)
                await import_post(work, Seen(post, count))
            await work.commit()

    before = await etag()
    assert before == await etag()
    assert len({before, await etag(replace(query, page=2)), await etag(replace(query, count=Count.NONE))}) == 3
    await with_views(20, 21, 22)
    assert await etag() == before
    await adapters.save(replace(posts[2], writing=a_writing("Another title")))
    assert await etag() != before


async def test_a_cursor_of_another_order_and_one_forged_are_refused(adapters: Adapters, archive: Archive) -> None:
    page = await adapters.pages.posts(PostQuery(page_size=1), viewer=OPERATOR)
    for query in (
        PostQuery(after=page.next_cursor, order=Order.ASC),
        PostQuery(after=page.next_cursor, sort_by=SortBy.VIEWS),
        PostQuery(after="forged"),
    ):
        with pytest.raises(InvalidValue):
            await adapters.pages.posts(query, viewer=OPERATOR)


async def test_a_cursor_of_a_post_that_is_gone_goes_on_where_it_was(adapters: Adapters, archive: Archive) -> None:
    for by, order in SORTS:
        query = PostQuery(page_size=5, sort_by=by, order=order, type=Types.ALL, published=True)
        whole = expected(archive.seen, query, None)
        page = await adapters.pages.posts(query, viewer=None)
        async with adapters.begin() as work:
            await work.posts.delete(whole[4].post.id)
            following = PostQuery(page_size=5, sort_by=by, order=order, type=Types.ALL, published=True)
            await work.commit()
        rest = await adapters.pages.posts(replace(following, after=page.next_cursor), viewer=None)
        ids = [item["id"] for item in decoded(rest.body)["items"]]
        assert ids == [str(one.post.id) for one in whole[5:10]]
        archive = replace(archive, seen=tuple(one for one in archive.seen if one != whole[4]))


@pytest.mark.parametrize(("by", "order"), SORTS)
async def test_a_walk_by_cursor_sees_every_post_once_while_others_come_and_go(
    adapters: Adapters, by: SortBy, order: Order
) -> None:
    archive = an_archive(40)
    extra = an_archive(40, seed=8)
    coming, going = extra.seen[:20], extra.seen[20:]
    going = tuple(replace(one, post=replace(one.post, author_id=archive.authors[0].id)) for one in going)
    coming = tuple(replace(one, post=replace(one.post, author_id=archive.authors[0].id)) for one in coming)
    await adapters.keep(*archive.authors, *archive.seen, *going)
    query = PostQuery(page_size=3, sort_by=by, order=order, type=Types.ALL, count=Count.NONE)

    async def change() -> None:
        for added, deleted in zip(coming, going, strict=True):
            async with adapters.begin() as work:
                await import_post(work, added)
                await work.posts.delete(deleted.post.id)
                await work.commit()
            await asyncio.sleep(0)

    changing = asyncio.create_task(change())
    walked = [
        item["id"] async for page in pages_by_cursor(adapters, query, OPERATOR) for item in decoded(page.body)["items"]
    ]
    await changing

    stable = [str(one.post.id) for one in expected(archive.seen, query, OPERATOR)]
    assert len(walked) == len(set(walked))
    assert [item for item in walked if item in set(stable)] == stable


async def test_times_a_microsecond_apart_are_told_apart_in_any_century(adapters: Adapters) -> None:
    ann = a_user("ann")
    base = NOON.replace(year=9990)
    posts = [a_post(author=ann.id, published_at=base + timedelta(microseconds=number)) for number in range(6)]
    await adapters.keep(ann, *posts[::-1])
    for order, wanted in ((Order.ASC, posts), (Order.DESC, posts[::-1])):
        query = PostQuery(page_size=1, order=order)
        pages = [page async for page in pages_by_cursor(adapters, query, None)]
        assert [decoded(page.body)["items"][0]["id"] for page in pages] == [str(post.id) for post in wanted]
