"""Users by the hundred: added, found, locked and described set-wise."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from application.ports.repositories import Stored
from domain.errors import BylineError, UsernameTaken
from domain.users import Profile, User
from tests.builders import NOON, SECOND, a_job, a_profile, a_user, an_account
from tests.contract.adapters import Adapters
from tests.contract.test_users import TAKEN
from tests.contract.texts import NASTY, NASTY_LINES


async def test_many_users_are_added_with_their_accounts_and_origin(adapters: Adapters) -> None:
    job = a_job()
    known = a_user("known")
    users = [
        a_user(f"Many{number}", profile=a_profile(NASTY.replace("\t", ""), bio=NASTY_LINES), email=email)
        for number, email in enumerate([None, None, "Many@example.com"])
    ]
    await adapters.keep(known, job)
    async with adapters.begin() as work:
        await work.users.add_many(users, [an_account(user, currency="CHF") for user in users], origin=job.id)
        await work.commit()

    for user in users:
        assert await adapters.user(user.id) == user
    async with adapters.begin() as work:
        assert (await work.accounts.get_of(users[0].id)).balance.currency == "CHF"
        logins = ["many0", "many@example.com", "known", "known@example.com", "nobody", "nobody@example.com"]
        assert await work.users.stored_by_login(logins) == {
            "many0": Stored(users[0].id, job.id),
            "many@example.com": Stored(users[2].id, job.id),
            "known": Stored(known.id, None),
            "known@example.com": Stored(known.id, None),
        }
        assert await work.users.stored_by_login([]) == {}


@pytest.mark.parametrize(("alike", "refusal"), TAKEN)
async def test_of_many_users_none_is_added_where_one_is_taken(
    adapters: Adapters, alike: Callable[[User], User], refusal: type[BylineError]
) -> None:
    await adapters.keep(a_user("ann"))
    users = [a_user("fine"), alike(a_user("alike"))]
    async with adapters.begin() as work:
        with pytest.raises(refusal):
            await work.users.add_many(users, [], origin=a_job().id)
    async with adapters.begin() as work:
        assert await work.users.find_by_login("fine") is None


async def test_of_many_users_who_take_one_name_among_themselves_none_is_added(adapters: Adapters) -> None:
    async with adapters.begin() as work:
        with pytest.raises(UsernameTaken):
            await work.users.add_many([a_user("ann"), a_user("Ann", email=None)], [], origin=a_job().id)


async def test_a_saved_user_keeps_its_origin(adapters: Adapters) -> None:
    job, user = a_job(), a_user("ann")
    async with adapters.begin() as work:
        await work.users.add_many([user], [], origin=job.id)
        await work.users.save(user)
        await work.users.save_profiles([user])
        assert await work.users.stored_by_login(["ann"]) == {"ann": Stored(user.id, job.id)}
        await work.commit()


async def test_many_users_are_locked_in_id_order_without_those_that_are_gone(adapters: Adapters) -> None:
    users = [a_user() for _ in range(3)]
    await adapters.keep(*users)
    async with adapters.begin() as work:
        ids = [user.id for user in reversed(users)]
        assert await work.users.lock_many([ids[0], *ids, a_user().id]) == users
        assert await work.users.lock_many([]) == []


async def test_profiles_are_saved_with_the_next_version_and_nothing_else_is(adapters: Adapters) -> None:
    users = [a_user(password_hash="kept", profile=a_profile("Old", bio="Old.")) for _ in range(3)]
    await adapters.keep(*users)
    described = [
        replace(
            user,
            profile=Profile(NASTY.replace("\t", ""), NASTY_LINES, "https://example.com/a", website),
            updated_at=NOON + SECOND,
            is_active=False,
            password_hash=None,
        )
        for user, website in zip(users[:2], ("https://example.com/b", None), strict=True)
    ]
    async with adapters.begin() as work:
        await work.users.lock_many([user.id for user in users])
        await work.users.save_profiles([*described, a_user()])
        await work.users.save_profiles([])
        await work.commit()
    for user, new in zip(users, described, strict=False):
        saved = replace(user, profile=new.profile, updated_at=new.updated_at, version=2)
        assert await adapters.user(user.id) == saved
    assert await adapters.user(users[2].id) == users[2]


async def test_profiles_saved_under_a_lock_are_saved_one_after_the_other(adapters: Adapters) -> None:
    users = [a_user(profile=a_profile(bio="0")) for _ in range(3)]
    await adapters.keep(*users)

    async def count_up(some: list[User]) -> None:
        async with adapters.begin() as work:
            locked = await work.users.lock_many([user.id for user in some])
            counted = [replace(user, profile=a_profile(bio=str(int(user.profile.bio) + 1))) for user in locked]
            await work.users.save_profiles(counted)
            await work.commit()

    await asyncio.gather(*(count_up(some) for some in (users, users[::-1], users[1:], users[:1], users)))
    for user, bio in zip(users, ("4", "4", "4"), strict=True):
        stored = await adapters.user(user.id)
        assert (stored.profile.bio, stored.version) == (bio, int(bio) + 1)
