"""A single post as a viewer is shown it."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from domain.actors import Actor, Role
from domain.errors import PostNotFound
from domain.posts import VIEWS_MAX, ContentFormat, Post, PostStatus, PostType, Slug
from domain.users import User
from tests.builders import NOON, a_post, a_profile, a_user, a_writing, an_actor
from tests.contract.adapters import Adapters
from tests.contract.looks import Seen, decoded, post_look, require_post_shape
from tests.contract.texts import NASTY, NASTY_LINES, NASTY_TAGS

OPERATOR = an_actor(Role.OPERATOR)
OTHER = an_actor()


@pytest.fixture
async def ann(adapters: Adapters) -> User:
    user = a_user("Ann", profile=a_profile(NASTY.replace("\t", "")))
    await adapters.keep(user)
    return user


def a_full_post(author: User) -> Post:
    writing = a_writing(
        NASTY.replace("\t", ""),
        content=NASTY_LINES,
        content_format=ContentFormat.HTML,
        excerpt=NASTY_LINES,
        tags=NASTY_TAGS,
        type=PostType.PAGE,
    )
    return a_post(
        author=author.id,
        writing=writing,
        published_at=datetime(1000, 1, 1, microsecond=1, tzinfo=UTC),
        created_at=datetime(9998, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    )


async def test_a_post_is_shown_whole_by_id_and_by_slug(adapters: Adapters, ann: User) -> None:
    full, plain = a_full_post(ann), a_post(author=ann.id, published_at=NOON)
    await adapters.keep(Seen(full, VIEWS_MAX), plain)
    for post, views in ((full, VIEWS_MAX), (plain, 0)):
        by_id = await adapters.pages.post(post.id, viewer=None)
        assert decoded(by_id.body) == post_look(post, ann, views)
        require_post_shape(decoded(by_id.body))
        assert await adapters.pages.post(post.slug, viewer=None) == by_id


async def test_a_published_post_is_the_same_for_everybody(adapters: Adapters, ann: User) -> None:
    post = a_post(author=ann.id, published_at=NOON)
    await adapters.keep(post)
    pages = {await adapters.pages.post(post.id, viewer=viewer) for viewer in (None, OTHER, ann.actor, OPERATOR)}
    assert len(pages) == 1
    assert pages.pop().public


@pytest.mark.parametrize("published_at", [None, NOON])
async def test_a_draft_is_there_for_its_author_and_for_operators(
    adapters: Adapters, ann: User, published_at: datetime | None
) -> None:
    draft = a_post(author=ann.id, published_at=published_at, status=PostStatus.DRAFT)
    await adapters.keep(draft)
    for viewer in (ann.actor, OPERATOR):
        page = await adapters.pages.post(draft.slug, viewer=viewer)
        assert decoded(page.body) == post_look(draft, ann)
        assert not page.public
    for stranger in (None, OTHER):
        for ref in (draft.id, draft.slug):
            with pytest.raises(PostNotFound, match=str(ref)):
                await adapters.pages.post(ref, viewer=stranger)


async def test_an_unknown_post_is_not_found(adapters: Adapters) -> None:
    nothing = a_post()
    for ref in (nothing.id, nothing.slug):
        for viewer in (None, OPERATOR):
            with pytest.raises(PostNotFound, match=str(ref)):
                await adapters.pages.post(ref, viewer=viewer)


async def test_a_post_of_who_was_deactivated_stays(adapters: Adapters, ann: User) -> None:
    post = a_post(author=ann.id, published_at=NOON)
    await adapters.keep(post)
    await adapters.save(replace(ann, is_active=False))
    assert decoded((await adapters.pages.post(post.id, viewer=None)).body) == post_look(post, ann)


async def test_the_etag_names_the_version_and_changes_with_what_is_shown(adapters: Adapters, ann: User) -> None:
    post = a_post(author=ann.id, published_at=NOON)
    await adapters.keep(post)

    async def etag(viewer: Actor | None = None) -> str:
        return (await adapters.pages.post(post.id, viewer=viewer)).etag

    first = await etag()
    assert first.startswith('"1-')
    assert first == await etag(OPERATOR)

    await adapters.save(replace(ann, profile=a_profile("Another name")))
    second = await etag()
    assert second.startswith('"1-')
    assert second != first

    await adapters.save(replace(post, writing=a_writing("Another title")))
    assert (await etag()).startswith('"2-')


async def test_views_change_no_etag(adapters: Adapters, ann: User) -> None:
    post = a_post(author=ann.id, published_at=NOON)
    await adapters.keep(Seen(post, 1))
    before = await adapters.pages.post(post.id, viewer=None)
    async with adapters.begin() as work:
        await work.posts.delete(post.id)
        await work.commit()
    await adapters.keep(Seen(post, 2))
    after = await adapters.pages.post(post.id, viewer=None)

    assert after.etag == before.etag
    assert [decoded(page.body)["views"] for page in (before, after)] == [1, 2]


async def test_a_page_shows_what_is_committed_and_nothing_else(adapters: Adapters, ann: User) -> None:
    post = a_post(author=ann.id, published_at=NOON)
    async with adapters.begin() as work:
        await work.posts.add(post)
        with pytest.raises(PostNotFound):
            await adapters.pages.post(post.id, viewer=OPERATOR)
        await work.commit()
    await adapters.pages.post(post.id, viewer=None)
    async with adapters.begin() as work:
        await work.posts.save(replace(post, slug=Slug("moved")))
        assert decoded((await adapters.pages.post(post.id, viewer=None)).body) == post_look(post, ann)
