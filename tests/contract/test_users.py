"""Users: kept whole, unique, and not lost in a race."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from domain.actors import Role
from domain.errors import BylineError, EmailTaken, StaleVersion, UserHasPosts, UsernameTaken, UserNotFound
from domain.users import EmailAddress, Profile, User, Username
from tests.builders import NOON, a_job, a_post, a_profile, a_session, a_token, a_user
from tests.contract.adapters import Adapters
from tests.contract.texts import NASTY, NASTY_LINES


async def test_a_user_is_kept_whole(adapters: Adapters) -> None:
    user = a_user(
        "Ann.B-c_9",
        email="ANN+tag@example.com",
        role=Role.OPERATOR,
        is_active=False,
        password_hash="$argon2id$" + NASTY,
        profile=Profile(NASTY.replace("\t", ""), NASTY_LINES, "https://example.com/é?a=%20", "http://[::1]:8080/"),
        created_at=NOON + timedelta(microseconds=123_457),
    )
    user = replace(user, updated_at=NOON + timedelta(days=1, microseconds=1))
    await adapters.keep(user)
    assert await adapters.user(user.id) == user


async def test_an_anonymous_user_is_kept_whole(adapters: Adapters) -> None:
    user, other = a_user().anonymised(at=NOON), a_user().anonymised(at=NOON)
    await adapters.keep(user, other)
    assert await adapters.user(user.id) == user


async def test_an_unknown_user_is_not_found(adapters: Adapters) -> None:
    nobody = a_user()
    async with adapters.begin() as work:
        with pytest.raises(UserNotFound):
            await work.users.get(nobody.id)
        with pytest.raises(UserNotFound):
            await work.users.lock(nobody.id)
        assert await work.users.find_by_login("nobody") is None
        await work.users.delete(nobody.id)


@pytest.mark.parametrize("login", ["Ann", "ann", "ANN", "ann@example.com", "ANN@EXAMPLE.COM"])
async def test_a_login_is_a_name_or_an_address_in_any_case(adapters: Adapters, login: str) -> None:
    user = a_user("Ann")
    await adapters.keep(user, a_user("annB"))
    async with adapters.begin() as work:
        assert await work.users.find_by_login(login) == user


@pytest.mark.parametrize("login", ["", "@", "a\x00b", "\x00", "\ud800", "an", "ann@", "%", "é", "x" * 10_000, "ann "])
async def test_a_login_that_nobody_can_have_finds_nobody(adapters: Adapters, login: str) -> None:
    await adapters.keep(a_user("ann"))
    async with adapters.begin() as work:
        assert await work.users.find_by_login(login) is None
        assert await work.users.stored_by_login([login]) == {}


async def test_a_save_counts_the_version_up(adapters: Adapters) -> None:
    user = a_user(profile=a_profile(bio="Old."))
    await adapters.keep(user)
    changed = replace(
        user,
        username=Username("other"),
        email=EmailAddress("other@example.com"),
        role=Role.ADMIN,
        is_active=False,
        password_hash="hash",
        profile=a_profile("Other", bio="New.", website="https://example.com"),
        updated_at=NOON + timedelta(1),
    )
    async with adapters.begin() as work:
        saved = await work.users.save(changed)
        await work.commit()
    assert saved == replace(changed, version=2)
    assert await adapters.user(user.id) == saved
    async with adapters.begin() as work:
        assert await work.users.find_by_login(str(user.username)) is None
        assert await work.users.find_by_login(str(user.email)) is None


async def test_a_stale_copy_cannot_be_saved(adapters: Adapters) -> None:
    user = a_user()
    await adapters.keep(user)
    await adapters.save(replace(user, profile=a_profile(bio="First.")))
    with pytest.raises(StaleVersion) as refused:
        await adapters.save(replace(user, profile=a_profile(bio="Second.")))
    assert refused.value.current == 2
    assert (await adapters.user(user.id)).profile.bio == "First."


async def test_a_copy_of_what_was_deleted_cannot_be_saved(adapters: Adapters) -> None:
    user = a_user()
    await adapters.keep(user)
    async with adapters.begin() as work:
        await work.users.delete(user.id)
        await work.commit()
    with pytest.raises(StaleVersion) as refused:
        await adapters.save(user)
    assert refused.value.current is None


async def test_of_copies_saved_at_once_one_is_kept(adapters: Adapters) -> None:
    user = a_user()
    await adapters.keep(user)
    outcomes = await asyncio.gather(
        *(adapters.save(replace(user, profile=a_profile(bio=f"{number}"))) for number in range(6)),
        return_exceptions=True,
    )
    assert outcomes.count(None) == 1
    assert sum(isinstance(outcome, StaleVersion) for outcome in outcomes) == 5
    assert (await adapters.user(user.id)).version == 2


TAKEN: list[tuple[Callable[[User], User], type[BylineError]]] = [
    (lambda user: replace(user, username=Username("ANN")), UsernameTaken),
    (lambda user: replace(user, email=EmailAddress("Ann@Example.com")), EmailTaken),
]


@pytest.mark.parametrize(("alike", "refusal"), TAKEN)
async def test_names_and_addresses_are_unique_in_any_case(
    adapters: Adapters, alike: Callable[[User], User], refusal: type[BylineError]
) -> None:
    ann, bob = a_user("ann"), a_user("bob")
    await adapters.keep(ann, bob)
    with pytest.raises(refusal):
        await adapters.keep(alike(a_user()))
    with pytest.raises(refusal):
        await adapters.save(alike(bob))
    assert await adapters.user(bob.id) == bob


@pytest.mark.parametrize(("alike", "refusal"), TAKEN)
async def test_of_many_who_take_one_name_at_once_one_has_it(
    adapters: Adapters, alike: Callable[[User], User], refusal: type[BylineError]
) -> None:
    users = [alike(a_user()) for _ in range(6)]
    outcomes = await asyncio.gather(*(adapters.keep(user) for user in users), return_exceptions=True)
    assert outcomes.count(None) == 1
    assert sum(isinstance(outcome, refusal) for outcome in outcomes) == 5
    winner = users[outcomes.index(None)]
    assert await adapters.user(winner.id) == winner


async def test_a_name_is_free_again_when_who_took_it_is_rolled_back(adapters: Adapters) -> None:
    ann, other = a_user("ann"), a_user("Ann", email="other@example.com")
    async with adapters.begin() as work:
        await work.users.add(ann)
        waiting = asyncio.create_task(adapters.keep(other))
        for _ in range(5):
            await work.users.get(ann.id)
        assert not waiting.done()
    await waiting
    assert await adapters.user(other.id) == other


async def test_a_name_is_free_again_when_it_is_given_up(adapters: Adapters) -> None:
    ann, bob = a_user("ann"), a_user("bob")
    await adapters.keep(ann, bob)
    await adapters.save(replace(ann, username=Username("anna"), email=None))
    await adapters.save(replace(bob, username=Username("Ann"), email=EmailAddress("ann@example.com")))
    async with adapters.begin() as work:
        await work.users.delete(bob.id)
        await work.users.add(a_user("ann"))
        await work.commit()


async def test_a_deleted_user_goes_with_profile_sessions_and_tokens(adapters: Adapters) -> None:
    user, other = a_user(), a_user()
    session, kept = a_session(user), a_session(other)
    token, kept_token = a_token(session), a_token(kept)
    await adapters.keep(user, other, session, kept, token, kept_token)
    async with adapters.begin() as work:
        await work.users.delete(user.id)
        await work.commit()
    async with adapters.begin() as work:
        assert await work.sessions.find_token(token.digest) is None
        assert await work.sessions.find_token(kept_token.digest) == kept_token
    with pytest.raises(UserNotFound):
        await adapters.user(user.id)
    await adapters.keep(user)


async def test_a_user_with_posts_cannot_be_deleted(adapters: Adapters) -> None:
    user = a_user()
    post = a_post(author=user.id)
    await adapters.keep(user, post)
    async with adapters.begin() as work:
        with pytest.raises(UserHasPosts):
            await work.users.delete(user.id)
    async with adapters.begin() as work:
        await work.posts.delete(post.id)
        await work.users.delete(user.id)
        await work.commit()


async def test_imports_outlive_who_started_them(adapters: Adapters) -> None:
    user = a_user()
    job = a_job(created_by=user.id)
    await adapters.keep(user, job)
    async with adapters.begin() as work:
        await work.users.delete(user.id)
        await work.commit()
    assert await adapters.job(job.id) == replace(job, created_by=None)


async def test_active_administrators_are_locked_in_id_order(adapters: Adapters) -> None:
    admins = [a_user(role=Role.ADMIN) for _ in range(3)]
    others = [a_user(role=Role.ADMIN, is_active=False), a_user(role=Role.OPERATOR), a_user()]
    await adapters.keep(*reversed(admins), *others)
    async with adapters.begin() as work:
        assert await work.users.lock_active_admins() == sorted(admin.id for admin in admins)


async def test_an_administrator_who_leaves_while_locks_are_waited_for_is_not_counted(adapters: Adapters) -> None:
    one, other = a_user(role=Role.ADMIN), a_user(role=Role.ADMIN)
    await adapters.keep(one, other)

    async def count() -> list[object]:
        async with adapters.begin() as work:
            return list(await work.users.lock_active_admins())

    async with adapters.begin() as work:
        await work.users.save(replace(await work.users.lock(one.id), role=Role.AUTHOR))
        counting = asyncio.create_task(count())
        for _ in range(5):
            await work.users.get(one.id)
        assert not counting.done()
        await work.commit()
    assert await counting == [other.id]


async def test_actors_are_active_users(adapters: Adapters) -> None:
    operator, gone = a_user(role=Role.OPERATOR), a_user(is_active=False)
    await adapters.keep(operator, gone)
    assert await adapters.actors.find(operator.id) == operator.actor
    assert await adapters.actors.find(gone.id) is None
    assert await adapters.actors.find(a_user().id) is None
    await adapters.save(replace(operator, role=Role.ADMIN))
    assert await adapters.actors.find(operator.id) == replace(operator, role=Role.ADMIN).actor


async def test_times_are_kept_in_utc(adapters: Adapters) -> None:
    user = a_user(created_at=datetime(1000, 1, 1, tzinfo=UTC))
    user = replace(user, updated_at=datetime(9998, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC))
    await adapters.keep(user)
    kept = await adapters.user(user.id)
    assert kept == user
    assert kept.updated_at.utcoffset() == timedelta(0)
