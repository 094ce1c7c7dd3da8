"""Changing users: all or nothing, guarded by version, sessions ended where they must be."""

import asyncio
from datetime import timedelta

import pytest

from application.users import UserChanges
from domain.actors import Role
from domain.errors import (
    BadCredentials,
    Busy,
    InvalidToken,
    InvalidValue,
    LastAdmin,
    NotAllowed,
    UsernameTaken,
    UserNotFound,
    VersionMismatch,
)
from domain.users import User
from tests.application.house import PASSWORD, House
from tests.builders import a_user, an_actor

NEW_PASSWORD = "another long password"


@pytest.fixture
async def ann(house: House) -> User:
    return await house.a_member("ann")


async def test_what_is_named_changes_and_the_rest_stays(house: House, ann: User) -> None:
    house.clock.advance(timedelta(hours=1))
    changed = await house.change_user(
        ann.id, UserChanges(username="anna", profile={"bio": "Writes."}), actor=ann.actor, expected=1
    )

    assert changed == await house.stored_user(ann.id)
    assert (str(changed.username), changed.email, changed.profile.bio) == ("anna", ann.email, "Writes.")
    assert (changed.version, changed.updated_at, changed.created_at) == (2, house.clock.now(), ann.created_at)
    await house.sign_in("anna", PASSWORD)


async def test_a_change_to_what_is_stored_already_leaves_the_version(house: House, ann: User) -> None:
    house.clock.advance(timedelta(hours=1))
    changes = UserChanges(username="ann", email="ANN@example.com", profile={}, role=Role.AUTHOR, is_active=True)
    assert await house.change_user(ann.id, changes, actor=ann.actor) == ann
    assert await house.stored_user(ann.id) == ann


async def test_a_change_of_an_old_version_is_refused_with_the_current_one(house: House, ann: User) -> None:
    await house.change_user(ann.id, UserChanges(username="anna"), actor=ann.actor, expected=1)
    with pytest.raises(VersionMismatch) as refused:
        await house.change_user(ann.id, UserChanges(username="annie"), actor=ann.actor, expected=1)
    assert refused.value.current == 2
    assert str((await house.stored_user(ann.id)).username) == "anna"


async def test_changes_are_made_all_or_none(house: House, ann: User) -> None:
    await house.a_member("bob")
    with pytest.raises(UsernameTaken):
        await house.change_user(
            ann.id, UserChanges(username="BOB", profile={"bio": "Writes."}), actor=ann.actor, expected=1
        )
    with pytest.raises(NotAllowed):
        await house.change_user(ann.id, UserChanges(profile={"bio": "Writes."}, role=Role.ADMIN), actor=ann.actor)
    assert await house.stored_user(ann.id) == ann


async def test_who_changes_the_case_of_a_name_takes_it_from_nobody(house: House, ann: User) -> None:
    changed = await house.change_user(ann.id, UserChanges(username="ANN"), actor=ann.actor)
    assert str(changed.username) == "ANN"


async def test_an_unknown_user_cannot_be_changed(house: House) -> None:
    nobody = a_user()
    with pytest.raises(UserNotFound):
        await house.change_user(nobody.id, UserChanges(username="x"), actor=an_actor(Role.ADMIN))


async def test_a_new_password_needs_the_one_it_replaces(house: House, ann: User) -> None:
    for current in (None, "wrong password"):
        with pytest.raises(InvalidValue) as refused:
            await house.change_user(
                ann.id, UserChanges(password=NEW_PASSWORD, current_password=current), actor=ann.actor
            )
        assert refused.value.field == "current_password"
    await house.a_signed_in("ann")


async def test_a_new_password_ends_every_session(house: House, ann: User) -> None:
    pairs = [await house.a_signed_in("ann") for _ in range(2)]
    await house.a_member("bob")
    other = await house.a_signed_in("bob")

    await house.change_user(
        ann.id, UserChanges(password=NEW_PASSWORD, current_password=PASSWORD), actor=ann.actor, expected=1
    )

    for pair in pairs:
        with pytest.raises(InvalidToken):
            await house.refresh(pair.refresh_token)
    await house.refresh(other.refresh_token)
    await house.sign_in("ann", NEW_PASSWORD)
    with pytest.raises(BadCredentials):
        await house.sign_in("ann", PASSWORD)


@pytest.mark.parametrize(
    "changes", [UserChanges(role=Role.OPERATOR), UserChanges(is_active=False), UserChanges(password=NEW_PASSWORD)]
)
async def test_a_role_a_deactivation_and_a_password_end_sessions(house: House, ann: User, changes: UserChanges) -> None:
    pair = await house.a_signed_in("ann")
    await house.change_user(ann.id, changes, actor=an_actor(Role.ADMIN))
    with pytest.raises(InvalidToken):
        await house.refresh(pair.refresh_token)


async def test_a_new_name_ends_no_session(house: House, ann: User) -> None:
    pair = await house.a_signed_in("ann")
    await house.change_user(ann.id, UserChanges(username="anna"), actor=ann.actor)
    await house.refresh(pair.refresh_token)


async def test_others_passwords_are_set_by_administrators_alone(house: House, ann: User) -> None:
    changes = UserChanges(password=NEW_PASSWORD)
    for role in (Role.AUTHOR, Role.OPERATOR):
        with pytest.raises(NotAllowed):
            await house.change_user(ann.id, changes, actor=an_actor(role))
    await house.change_user(ann.id, changes, actor=an_actor(Role.ADMIN))
    await house.sign_in("ann", NEW_PASSWORD)


async def test_who_reactivates_an_author_is_an_operator(house: House, ann: User) -> None:
    gone = await house.change_user(ann.id, UserChanges(is_active=False), actor=ann.actor)
    assert not gone.is_active
    back = await house.change_user(ann.id, UserChanges(is_active=True), actor=an_actor(Role.OPERATOR))
    assert back.is_active


@pytest.mark.parametrize("changes", [UserChanges(role=Role.AUTHOR), UserChanges(is_active=False)])
async def test_the_last_administrator_stays_one(house: House, changes: UserChanges) -> None:
    admin = await house.a_member("admin", role=Role.ADMIN)
    gone = await house.a_member("gone", role=Role.ADMIN)
    await house.saved(gone, is_active=False)

    with pytest.raises(LastAdmin):
        await house.change_user(admin.id, changes, actor=admin.actor)
    await house.change_user(gone.id, UserChanges(is_active=True), actor=admin.actor)
    await house.change_user(admin.id, changes, actor=admin.actor)


async def test_the_last_administrator_may_change_what_else_they_like(house: House) -> None:
    admin = await house.a_member("admin", role=Role.ADMIN)
    changed = await house.change_user(admin.id, UserChanges(username="root"), actor=admin.actor)
    assert str(changed.username) == "root"


@pytest.mark.parametrize("themselves", [True, False])
async def test_two_administrators_cannot_both_leave_at_once(house: House, themselves: bool) -> None:
    one, other = [await house.a_member(name, role=Role.ADMIN) for name in ("one", "other")]
    changes = UserChanges(role=Role.AUTHOR)
    outcomes = await asyncio.gather(
        house.change_user(one.id, changes, actor=(one if themselves else other).actor),
        house.change_user(other.id, changes, actor=(other if themselves else one).actor),
        return_exceptions=True,
    )
    assert {type(outcome) for outcome in outcomes} == {User, LastAdmin}


async def test_who_becomes_an_administrator_meanwhile_is_not_taken_for_none(house: House, ann: User) -> None:
    """The change looks at an author and then waits for a lock, behind which the author is made an administrator."""
    async with house.store.begin() as work:
        promoted = (await work.users.lock(ann.id)).with_role(Role.ADMIN, by=an_actor(Role.ADMIN), at=house.clock.now())
        await work.users.save(promoted)
        change = asyncio.create_task(house.change_user(ann.id, UserChanges(is_active=False), actor=ann.actor))
        for _ in range(10):
            await asyncio.sleep(0)
        await work.commit()
    with pytest.raises(Busy):
        await change
    assert (await house.stored_user(ann.id)).is_active


async def test_who_may_change_nothing_is_refused_a_change_of_nothing_too(house: House, ann: User) -> None:
    ben = await house.a_member("ben")
    with pytest.raises(NotAllowed):
        await house.change_user(ann.id, UserChanges(), actor=ben.actor)


async def test_a_deactivated_user_is_not_there_for_others(house: House, ann: User) -> None:
    ben = await house.a_member("ben")
    await house.change_user(ann.id, UserChanges(is_active=False), actor=ann.actor)

    for changes, expected in ((UserChanges(), None), (UserChanges(), 99), (UserChanges(password=NEW_PASSWORD), None)):
        with pytest.raises(UserNotFound):
            await house.change_user(ann.id, changes, actor=ben.actor, expected=expected)
    with pytest.raises(UserNotFound):
        await house.delete_user(ann.id, actor=ben.actor, expected=99)


async def test_of_two_changes_by_one_old_password_only_the_first_is_made(house: House, ann: User) -> None:
    changes = [UserChanges(password=f"{NEW_PASSWORD} {n}", current_password=PASSWORD) for n in range(2)]
    answers = await asyncio.gather(
        *(house.change_user(ann.id, change, actor=ann.actor) for change in changes), return_exceptions=True
    )
    assert sorted(type(answer).__name__ for answer in answers) == ["Busy", "User"]


@pytest.mark.parametrize("username", ["deleted-0123456789ab", "Deleted-me"])
async def test_names_of_deleted_users_are_nobody_elses(house: House, ann: User, username: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        await house.change_user(ann.id, UserChanges(username=username), actor=ann.actor)
    assert (refused.value.field, refused.value.code) == ("username", "reserved")
