"""Locks: what one unit of work holds, others wait for, and never without end."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from application.ports.work import UnitOfWork
from domain.errors import Busy, StaleVersion
from domain.users import User
from tests.builders import a_job, a_post, a_profile, a_session, a_user, imported
from tests.contract.adapters import Adapters, packed

Lock = Callable[[UnitOfWork], Awaitable[object]]


async def several_locks(adapters: Adapters) -> dict[str, Lock]:
    user = a_user()
    post, session, job = a_post(author=user.id), a_session(user), a_job()
    await adapters.keep(user, post, session, job)
    return {
        "user": lambda work: work.users.lock(user.id),
        "post": lambda work: work.posts.lock(post.id),
        "session": lambda work: work.sessions.lock(session.id),
        "import": lambda work: work.imports.lock(job.id),
    }


@pytest.mark.parametrize("name", ["user", "post", "session", "import"])
async def test_what_is_locked_is_waited_for(adapters: Adapters, name: str) -> None:
    locks = await several_locks(adapters)
    order: list[str] = []

    async def wait_for_it() -> None:
        async with adapters.begin() as work:
            await locks[name](work)
            order.append("second")

    async with adapters.begin() as work:
        await locks[name](work)
        waiting = asyncio.create_task(wait_for_it())
        for other in set(locks) - {name}:
            await locks[other](work)
        for _ in range(5):
            await work.posts.slugs_taken(["any"])
        order.append("first")
    await waiting
    assert order == ["first", "second"]


@pytest.mark.parametrize("name", ["user", "post", "session", "import"])
async def test_a_lock_is_given_back_when_its_holder_is_cancelled(adapters: Adapters, name: str) -> None:
    lock = (await several_locks(adapters))[name]
    is_held = asyncio.Event()

    async def hold() -> None:
        async with adapters.begin() as work:
            await lock(work)
            is_held.set()
            await asyncio.Event().wait()

    holding = asyncio.create_task(hold())
    await is_held.wait()
    holding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holding
    async with adapters.begin() as work:
        await lock(work)


async def test_who_is_cancelled_while_waiting_leaves_the_lock_to_others(adapters: Adapters) -> None:
    lock = (await several_locks(adapters))["user"]

    async def wait_for_it() -> None:
        async with adapters.begin() as work:
            await lock(work)

    async with adapters.begin() as work:
        await lock(work)
        cancelled, waiting = asyncio.create_task(wait_for_it()), asyncio.create_task(wait_for_it())
        for _ in range(5):
            await work.posts.slugs_taken(["any"])
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
    await waiting


async def test_changes_under_a_lock_are_made_one_after_the_other(adapters: Adapters) -> None:
    user = a_user(profile=a_profile(bio="0"))
    await adapters.keep(user)

    async def count_up() -> None:
        async with adapters.begin() as work:
            stored = await work.users.lock(user.id)
            await work.users.save(replace(stored, profile=a_profile(bio=str(int(stored.profile.bio) + 1))))
            await work.commit()

    await asyncio.gather(*(count_up() for _ in range(8)))
    stored = await adapters.user(user.id)
    assert (stored.profile.bio, stored.version) == ("8", 9)


async def test_a_save_waits_for_the_lock_and_then_sees_that_it_is_stale(adapters: Adapters) -> None:
    user = a_user()
    await adapters.keep(user)
    async with adapters.begin() as work:
        stored = await work.users.lock(user.id)
        waiting = asyncio.create_task(adapters.save(replace(user, profile=a_profile(bio="Late."))))
        await work.users.save(replace(stored, profile=a_profile(bio="First.")))
        for _ in range(5):
            await work.users.get(user.id)
        assert not waiting.done()
        await work.commit()
    with pytest.raises(StaleVersion):
        await waiting
    assert (await adapters.user(user.id)).profile.bio == "First."


async def test_reading_waits_for_no_lock(adapters: Adapters) -> None:
    user = a_user()
    await adapters.keep(user)
    async with adapters.begin() as work:
        await work.users.save(await work.users.lock(user.id))
        assert await adapters.user(user.id) == user
        assert (await adapters.actors.find(user.id)) == user.actor


async def test_a_lock_that_is_held_too_long_is_not_waited_for_any_longer(adapters: Adapters) -> None:
    user = a_user()
    await adapters.keep(user)
    async with adapters.begin() as holder:
        await holder.users.lock(user.id)
        async with adapters.begin() as work:
            with pytest.raises(Busy):
                await work.users.lock(user.id)
        await holder.users.save(user)
        await holder.commit()
    assert (await adapters.user(user.id)).version == 2


async def test_two_who_wait_for_each_other_do_not_wait_for_ever(adapters: Adapters) -> None:
    one, other = a_user(), a_user()
    await adapters.keep(one, other)
    both = asyncio.Barrier(2)

    async def lock_both(first: User, second: User) -> None:
        async with adapters.begin() as work:
            await work.users.lock(first.id)
            await both.wait()
            await work.users.lock(second.id)

    outcomes = await asyncio.gather(lock_both(one, other), lock_both(other, one), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} <= {Busy, type(None)}
    assert any(isinstance(outcome, Busy) for outcome in outcomes)
    async with adapters.begin() as work:
        await work.users.lock(one.id)
        await work.users.lock(other.id)


async def test_whether_an_author_has_posts_for_good_is_told_after_whoever_is_adding_one(adapters: Adapters) -> None:
    user = a_user()
    await adapters.keep(user)

    async def ask() -> bool:
        async with adapters.begin() as work:
            return await work.posts.exist_by_author(user.id, for_good=True)

    async with adapters.begin() as work:
        await work.posts.add(a_post(author=user.id))
        asking = asyncio.create_task(ask())
        for _ in range(5):
            await work.posts.slugs_taken(["any"])
        assert not asking.done()
        async with adapters.begin() as other:
            assert not await other.posts.exist_by_author(user.id)
        await work.commit()
    assert await asking


@pytest.mark.parametrize("is_imported", [False, True])
async def test_an_author_without_posts_for_good_is_given_none_until_the_end(
    adapters: Adapters, is_imported: bool
) -> None:
    user = a_user()
    await adapters.keep(user)
    order: list[str] = []

    async def write() -> None:
        post = a_post(author=user.id)
        async with adapters.begin() as work:
            if is_imported:
                await work.posts.add_many(packed([imported(post)]))
            else:
                await work.posts.add(post)
            order.append("written")
            await work.commit()

    async with adapters.begin() as work:
        await work.users.lock(user.id)
        assert not await work.posts.exist_by_author(user.id, for_good=True)
        writing = asyncio.create_task(write())
        for _ in range(5):
            await work.posts.slugs_taken(["any"])
        order.append("ended")
        await work.commit()
    await writing
    assert order == ["ended", "written"]
