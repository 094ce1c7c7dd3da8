"""Isolation: what a unit of work sees of others that are at work beside it."""

import asyncio
from dataclasses import replace

import pytest

from application.ports.imports import ImportQuery
from application.ports.work import Isolation
from domain.errors import Busy, StaleVersion, UserNotFound
from domain.users import User
from tests.builders import NOON, SECOND, a_message, a_post, a_profile, a_user
from tests.contract.adapters import Adapters


async def save_bio(adapters: Adapters, user: User, bio: str) -> None:
    async with adapters.begin() as work:
        stored = await work.users.lock(user.id)
        await work.users.save(replace(stored, profile=a_profile(bio=bio)))
        await work.commit()


async def test_read_committed_sees_what_others_commit_meanwhile(adapters: Adapters) -> None:
    user = a_user()
    await adapters.keep(user)
    async with adapters.begin() as work:
        before = await work.users.get(user.id)
        await save_bio(adapters, user, "New.")
        assert (await work.users.get(user.id)).profile.bio == "New."
        with pytest.raises(StaleVersion) as refused:
            await work.users.save(before)
        assert refused.value.current == 2


@pytest.mark.parametrize("isolation", [Isolation.REPEATABLE_READ, Isolation.SERIALIZABLE])
async def test_repeatable_read_sees_what_it_saw_first(adapters: Adapters, isolation: Isolation) -> None:
    user, other = a_user(), a_user()
    await adapters.keep(user)
    async with adapters.begin(isolation=isolation) as work:
        before = await work.users.get(user.id)
        await save_bio(adapters, user, "New.")
        await adapters.keep(other)
        assert await work.users.get(user.id) == before
        with pytest.raises(UserNotFound):
            await work.users.get(other.id)
        await work.commit()


@pytest.mark.parametrize("isolation", [Isolation.REPEATABLE_READ, Isolation.SERIALIZABLE])
async def test_repeatable_read_refuses_to_write_what_has_changed_since(
    adapters: Adapters, isolation: Isolation
) -> None:
    user = a_user()
    await adapters.keep(user)
    async with adapters.begin(isolation=isolation) as work:
        before = await work.users.get(user.id)
        await save_bio(adapters, user, "New.")
        with pytest.raises(Busy):
            await work.users.save(before)
    async with adapters.begin(isolation=isolation) as work:
        await work.users.get(user.id)
        await save_bio(adapters, user, "Newer.")
        with pytest.raises(Busy):
            await work.users.lock(user.id)
    assert (await adapters.user(user.id)).profile.bio == "Newer."


async def test_serializable_refuses_what_no_order_of_units_explains(adapters: Adapters) -> None:
    """Write skew: each reads what the other writes. Under REPEATABLE READ both are committed."""
    one, other = a_user(), a_user()
    await adapters.keep(one, other)

    async def leave(leaving: User, staying: User, isolation: Isolation, both_have_read: asyncio.Barrier) -> None:
        async with adapters.begin(isolation=isolation) as work:
            assert (await work.users.get(staying.id)).is_active
            stored = await work.users.get(leaving.id)
            await both_have_read.wait()
            await work.users.save(replace(stored, is_active=False))
            await work.commit()

    both = asyncio.Barrier(2)
    outcomes = await asyncio.gather(
        leave(one, other, Isolation.SERIALIZABLE, both),
        leave(other, one, Isolation.SERIALIZABLE, both),
        return_exceptions=True,
    )
    assert sorted(map(repr, map(type, outcomes))) == sorted(map(repr, [Busy, type(None)]))
    assert [(await adapters.user(user.id)).is_active for user in (one, other)].count(True) == 1


async def test_serializable_sees_what_would_have_been_among_what_it_read(adapters: Adapters) -> None:
    """Phantoms: each adds what the other found missing."""
    user = a_user()
    await adapters.keep(user)
    both = asyncio.Barrier(2)

    async def add_the_first(isolation: Isolation) -> None:
        async with adapters.begin(isolation=isolation) as work:
            assert not await work.posts.exist_by_author(user.id)
            await both.wait()
            await work.posts.add(a_post(author=user.id))
            await work.commit()

    outcomes = await asyncio.gather(*(add_the_first(Isolation.SERIALIZABLE) for _ in range(2)), return_exceptions=True)
    assert sorted(map(repr, map(type, outcomes))) == sorted(map(repr, [Busy, type(None)]))


async def test_repeatable_read_claims_no_message_that_was_claimed_since(adapters: Adapters) -> None:
    await adapters.keep(a_message())
    async with adapters.begin(isolation=Isolation.REPEATABLE_READ) as work:
        assert await work.imports.newest(ImportQuery(1)) == []
        async with adapters.begin() as other:
            assert len(await other.outbox.claim(1, at=NOON, until=NOON + SECOND)) == 1
            await other.commit()
        with pytest.raises(Busy):
            await work.outbox.claim(1, at=NOON, until=NOON + SECOND)


async def test_isolation_is_of_one_unit_alone(adapters: Adapters) -> None:
    user = a_user()
    await adapters.keep(user)
    for _ in range(3):
        async with adapters.begin(isolation=Isolation.SERIALIZABLE) as work:
            await work.users.get(user.id)
    async with adapters.begin() as work:
        await work.users.get(user.id)
        await save_bio(adapters, user, "New.")
        assert (await work.users.get(user.id)).profile.bio == "New."
