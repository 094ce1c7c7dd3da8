"""Writing, changing, publishing and deleting posts."""

import asyncio
from datetime import timedelta

import pytest

from application.posts import NewPost, PostChanges
from domain.actors import Role
from domain.errors import InvalidValue, NotAllowed, PostNotFound, SlugTaken, UserNotFound, VersionMismatch
from domain.posts import ContentFormat, Post, PostStatus, PostType, Slug
from domain.users import User
from tests.application.house import House
from tests.builders import a_post, a_user, a_writing, an_actor

OPERATOR = an_actor(Role.OPERATOR)
OTHER = an_actor()


@pytest.fixture
async def ann(house: House) -> User:
    return await house.a_member("ann")


async def test_a_new_post_is_its_authors_draft_named_by_its_title(house: House, ann: User) -> None:
    post = await house.create_post(NewPost(a_writing("Grüße aus Österreich!", tags=("a", "a"))), actor=ann.actor)

    assert post == await house.stored_post(post)
    assert (post.author_id, post.status, post.published_at, post.version) == (ann.id, PostStatus.DRAFT, None, 1)
    assert post.slug == Slug("grusse-aus-osterreich")
    assert post.writing.tags == ("a",)


async def test_a_post_can_be_published_at_once(house: House, ann: User) -> None:
    post = await house.create_post(NewPost(a_writing(), status=PostStatus.PUBLISHED), actor=ann.actor)
    assert (post.is_published, post.published_at) == (True, house.clock.now())


async def test_equal_titles_have_slugs_of_their_own(house: House, ann: User) -> None:
    posts = [await house.a_post_of(ann, "Hello") for _ in range(11)]
    slugs = [post.slug.value for post in posts]
    assert slugs[:9] == ["hello", *(f"hello-{number}" for number in range(2, 10))]
    assert len(set(slugs)) == 11


async def test_equal_titles_at_once_have_slugs_of_their_own_too(house: House, ann: User) -> None:
    posts = await asyncio.gather(*(house.a_post_of(ann, "Hello") for _ in range(20)))
    assert len({post.slug for post in posts}) == 20


async def test_a_title_without_words_and_one_like_a_uuid_make_slugs_that_hide_nothing(house: House, ann: User) -> None:
    uuid = str(a_post().id)
    for title in ("!?", uuid, uuid[:23]):
        post = await house.a_post_of(ann, title)
        assert post.slug.value != uuid


async def test_a_slug_that_was_named_is_given_or_refused(house: House, ann: User) -> None:
    assert (await house.a_post_of(ann, "Hello", slug="named")).slug == Slug("named")
    with pytest.raises(SlugTaken, match="named"):
        await house.a_post_of(ann, "Other", slug="named")
    with pytest.raises(InvalidValue):
        await house.a_post_of(ann, "Other", slug="Not a slug")


async def test_operators_write_for_others_and_authors_do_not(house: House, ann: User) -> None:
    request = NewPost(a_writing(), author_id=ann.id)
    assert (await house.create_post(request, actor=OPERATOR)).author_id == ann.id
    with pytest.raises(NotAllowed):
        await house.create_post(request, actor=OTHER)
    with pytest.raises(UserNotFound):
        await house.create_post(NewPost(a_writing(), author_id=a_user().id), actor=OPERATOR)


async def test_what_is_named_changes_and_the_rest_stays(house: House, ann: User) -> None:
    post = await house.create_post(
        NewPost(a_writing("Old", content="Old.", excerpt="In short", tags=("a",))), actor=ann.actor
    )
    house.clock.advance(timedelta(hours=1))
    changed = await house.change_post(
        post.id,
        PostChanges(title="New", content_format=ContentFormat.HTML, tags=("b",), type=PostType.PAGE),
        actor=ann.actor,
        expected=1,
    )

    assert changed == await house.stored_post(post)
    assert changed.writing == a_writing(
        "New", content="Old.", content_format=ContentFormat.HTML, excerpt="In short", tags=("b",), type=PostType.PAGE
    )
    assert (changed.slug, changed.version, changed.updated_at) == (Slug("old"), 2, house.clock.now())


async def test_texts_can_be_emptied(house: House, ann: User) -> None:
    post = await house.create_post(NewPost(a_writing(excerpt="In short", tags=("a",))), actor=ann.actor)
    changed = await house.change_post(post.id, PostChanges(content="", clear_excerpt=True, tags=()), actor=ann.actor)
    assert (changed.writing.content, changed.writing.excerpt, changed.writing.tags) == ("", None, ())


async def test_a_slug_changes_where_another_is_named_and_free(house: House, ann: User) -> None:
    post, other = await house.a_post_of(ann, "One"), await house.a_post_of(ann, "Other")
    changed = await house.change_post(post.id, PostChanges(slug="uno"), actor=ann.actor)
    assert changed.slug == Slug("uno")

    with pytest.raises(SlugTaken):
        await house.change_post(post.id, PostChanges(slug=other.slug.value), actor=ann.actor)
    assert (await house.stored_post(post)).slug == Slug("uno")
    assert (await house.a_post_of(ann, "One")).slug == Slug("one")


async def test_a_change_to_what_is_stored_already_leaves_the_version(house: House, ann: User) -> None:
    post = await house.a_post_of(ann, "Same")
    house.clock.advance(timedelta(hours=1))
    changes = PostChanges(title="Same", slug="same", tags=(), status=PostStatus.DRAFT)
    assert await house.change_post(post.id, changes, actor=ann.actor) == post
    assert await house.stored_post(post) == post


async def test_an_old_version_is_neither_changed_nor_published_nor_deleted(house: House, ann: User) -> None:
    post = await house.a_post_of(ann)
    await house.change_post(post.id, PostChanges(title="New"), actor=ann.actor, expected=1)

    attempts = [
        house.change_post(post.id, PostChanges(title="Newer"), actor=ann.actor, expected=1),
        house.publish_post(post.id, actor=ann.actor, expected=1),
        house.unpublish_post(post.id, actor=ann.actor, expected=1),
        house.delete_post(post.id, actor=ann.actor, expected=1),
    ]
    for attempt in attempts:
        with pytest.raises(VersionMismatch) as refused:
            await attempt
        assert refused.value.current == 2
    assert (await house.stored_post(post)).writing.title == "New"


async def test_of_changes_to_one_version_at_once_one_is_made(house: House, ann: User) -> None:
    post = await house.a_post_of(ann)
    outcomes = await asyncio.gather(
        *(
            house.change_post(post.id, PostChanges(title=f"Title {number}"), actor=ann.actor, expected=1)
            for number in range(8)
        ),
        return_exceptions=True,
    )
    made = [outcome for outcome in outcomes if isinstance(outcome, Post)]
    assert len(made) == 1
    assert made[0] == await house.stored_post(post)
    assert sum(isinstance(outcome, VersionMismatch) for outcome in outcomes) == 7


async def test_changes_that_name_no_version_are_made_one_after_the_other(house: House, ann: User) -> None:
    post = await house.a_post_of(ann)
    await asyncio.gather(
        *(house.change_post(post.id, PostChanges(title=f"Title {n}"), actor=ann.actor) for n in range(8))
    )
    assert (await house.stored_post(post)).version == 9


async def test_publishing_and_withdrawing_keep_the_first_publication(house: House, ann: User) -> None:
    post = await house.a_post_of(ann)
    first = house.clock.now()
    published = await house.publish_post(post.id, actor=ann.actor)
    house.clock.advance(timedelta(days=1))
    withdrawn = await house.unpublish_post(post.id, actor=ann.actor)
    again = await house.change_post(post.id, PostChanges(status=PostStatus.PUBLISHED), actor=ann.actor)

    assert [p.published_at for p in (published, withdrawn, again)] == [first, first, first]
    assert [p.is_published for p in (published, withdrawn, again)] == [True, False, True]
    assert [p.version for p in (published, withdrawn, again)] == [2, 3, 4]


async def test_publishing_what_is_published_changes_nothing(house: House, ann: User) -> None:
    post = await house.a_post_of(ann)
    published = await house.publish_post(post.id, actor=ann.actor)
    assert await house.publish_post(post.id, actor=ann.actor) == published
    withdrawn = await house.unpublish_post(post.id, actor=ann.actor)
    assert await house.unpublish_post(post.id, actor=ann.actor) == withdrawn
    assert (await house.stored_post(post)).version == 3


async def test_anothers_draft_is_not_there_and_anothers_post_not_theirs(house: House, ann: User) -> None:
    draft = await house.a_post_of(ann)
    shown = await house.publish_post((await house.a_post_of(ann)).id, actor=ann.actor)
    for post, refusal in ((draft, PostNotFound), (shown, NotAllowed)):
        for attempt in (
            house.change_post(post.id, PostChanges(title="Mine"), actor=OTHER),
            house.publish_post(post.id, actor=OTHER),
            house.unpublish_post(post.id, actor=OTHER),
            house.delete_post(post.id, actor=OTHER),
        ):
            with pytest.raises(refusal):
                await attempt
        assert await house.stored_post(post) == post


async def test_operators_change_and_delete_anybodys_posts(house: House, ann: User) -> None:
    post = await house.a_post_of(ann)
    await house.publish_post(post.id, actor=OPERATOR)
    await house.change_post(post.id, PostChanges(title="Moderated"), actor=OPERATOR)
    await house.delete_post(post.id, actor=OPERATOR)
    with pytest.raises(PostNotFound):
        await house.stored_post(post)


async def test_a_deleted_post_is_gone_and_its_slug_free(house: House, ann: User) -> None:
    post = await house.a_post_of(ann, "Hello")
    await house.delete_post(post.id, actor=ann.actor, expected=1)
    for attempt in (
        house.delete_post(post.id, actor=ann.actor),
        house.change_post(post.id, PostChanges(title="x"), actor=ann.actor),
        house.publish_post(post.id, actor=ann.actor),
    ):
        with pytest.raises(PostNotFound):
            await attempt
    assert (await house.a_post_of(ann, "Hello")).slug == post.slug
