"""Deleting users: with what is theirs, not with their posts unless asked, and made anonymous where money has moved."""

import asyncio

import pytest

from domain.actors import Role
from domain.errors import (
    BadCredentials,
    InvalidToken,
    LastAdmin,
    NotAllowed,
    UserHasPosts,
    UserNotFound,
    VersionMismatch,
)
from domain.users import Profile, User
from tests.application.house import PASSWORD, House
from tests.builders import an_actor


@pytest.fixture
async def ann(house: House) -> User:
    return await house.a_member("ann")


async def with_history(house: House, user: User) -> None:
    account = await house.account_of(user)
    assert account is not None
    house.store.tables.entries.rows[account.id] = 1


async def test_a_user_goes_with_profile_sessions_and_account(house: House, ann: User) -> None:
    pair = await house.a_signed_in("ann")
    await house.delete_user(ann.id, actor=ann.actor)

    with pytest.raises(UserNotFound):
        await house.stored_user(ann.id)
    with pytest.raises(InvalidToken):
        await house.refresh(pair.refresh_token)
    assert await house.account_of(ann) is None
    await house.a_member("ann")


async def test_a_user_with_posts_stays_unless_they_are_to_go_too(house: House, ann: User) -> None:
    posts = [await house.a_post_of(ann, f"Post {number}") for number in range(3)]
    bob = await house.a_member("bob")
    kept = await house.a_post_of(bob)

    with pytest.raises(UserHasPosts):
        await house.delete_user(ann.id, actor=ann.actor)
    assert await house.stored_user(ann.id) == ann
    await house.delete_user(ann.id, actor=ann.actor, with_posts=True)

    assert set(house.store.tables.posts.rows) == {kept.id}
    assert not {post.slug.value for post in posts} & set(house.store.tables.slugs.rows)


async def test_who_has_money_in_their_history_is_made_anonymous(house: House, ann: User) -> None:
    await with_history(house, ann)
    pair = await house.a_signed_in("ann")
    await house.a_post_of(ann)
    await house.delete_user(ann.id, actor=ann.actor, with_posts=True)

    nobody = await house.stored_user(ann.id)
    assert (nobody.email, nobody.password_hash, nobody.is_active, nobody.profile) == (None, None, False, Profile())
    assert await house.account_of(ann) is not None
    assert [session.revoked_at for session in house.store.tables.sessions.rows.values()] == [house.clock.now()]
    assert house.store.tables.posts.rows == {}
    with pytest.raises(InvalidToken):
        await house.refresh(pair.refresh_token)
    with pytest.raises(BadCredentials):
        await house.sign_in(str(nobody.username), PASSWORD)
    await house.a_member("ann")


async def test_posts_keep_their_author_from_being_made_anonymous(house: House, ann: User) -> None:
    await with_history(house, ann)
    await house.a_post_of(ann)
    with pytest.raises(UserHasPosts):
        await house.delete_user(ann.id, actor=ann.actor)
    assert await house.stored_user(ann.id) == ann


async def test_users_are_deleted_by_themselves_and_by_administrators(house: House, ann: User) -> None:
    for role in (Role.AUTHOR, Role.OPERATOR):
        with pytest.raises(NotAllowed):
            await house.delete_user(ann.id, actor=an_actor(role))
    await house.delete_user(ann.id, actor=an_actor(Role.ADMIN))
    with pytest.raises(UserNotFound):
        await house.delete_user(ann.id, actor=an_actor(Role.ADMIN))


async def test_an_old_version_is_not_deleted(house: House, ann: User) -> None:
    with pytest.raises(VersionMismatch) as refused:
        await house.delete_user(ann.id, actor=ann.actor, expected=2)
    assert refused.value.current == 1
    await house.delete_user(ann.id, actor=ann.actor, expected=1)


async def test_the_last_administrator_cannot_be_deleted(house: House) -> None:
    admin = await house.a_member("admin", role=Role.ADMIN)
    with pytest.raises(LastAdmin):
        await house.delete_user(admin.id, actor=admin.actor)

    other = await house.a_member("other", role=Role.ADMIN)
    outcomes = await asyncio.gather(
        house.delete_user(admin.id, actor=admin.actor),
        house.delete_user(other.id, actor=other.actor),
        return_exceptions=True,
    )
    assert {type(outcome) for outcome in outcomes} == {type(None), LastAdmin}


async def test_a_post_written_meanwhile_keeps_its_author_or_is_refused(house: House, ann: User) -> None:
    outcomes = await asyncio.gather(
        house.delete_user(ann.id, actor=ann.actor), house.a_post_of(ann), return_exceptions=True
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert len(refused) == 1
    assert isinstance(refused[0], UserHasPosts | UserNotFound)
    assert len(house.store.tables.posts.rows) == len(house.store.tables.users.rows)
