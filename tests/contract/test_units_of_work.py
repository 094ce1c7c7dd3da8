"""Units of work: all or nothing, isolated, and their connections given back."""

import asyncio

import pytest

from application.ports.imports import ImportQuery
from domain.actors import Role
from domain.errors import StaleVersion, UsernameTaken, UserNotFound
from domain.imports import RowError
from domain.users import User
from tests.builders import (
    NOON,
    SECOND,
    a_job,
    a_message,
    a_post,
    a_session,
    a_token,
    a_user,
    an_account,
)
from tests.contract.adapters import Adapters, add


class Interruption(Exception):
    pass


async def exists(adapters: Adapters, user: User) -> bool:
    try:
        await adapters.user(user.id)
    except UserNotFound:
        return False
    return True


async def test_what_was_committed_is_kept(adapters: Adapters) -> None:
    user = a_user()
    async with adapters.begin() as work:
        await work.users.add(user)
        await work.commit()
    assert await adapters.user(user.id) == user


async def test_what_was_not_committed_is_not_kept(adapters: Adapters) -> None:
    user = a_user()
    async with adapters.begin() as work:
        await work.users.add(user)
    assert not await exists(adapters, user)


async def test_an_error_takes_everything_back(adapters: Adapters) -> None:
    user, kept = a_user(), a_user()
    await adapters.keep(kept)

    async def fail_halfway() -> None:
        async with adapters.begin() as work:
            await work.users.add(user)
            await work.users.delete(kept.id)
            raise Interruption

    with pytest.raises(Interruption):
        await fail_halfway()
    assert not await exists(adapters, user)
    assert await exists(adapters, kept)


async def test_a_cancelled_unit_takes_everything_back(adapters: Adapters) -> None:
    user = a_user()
    added = asyncio.Event()

    async def hang() -> None:
        async with adapters.begin() as work:
            await work.users.add(user)
            added.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(hang())
    await added.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert adapters.checked_out() == 0
    await adapters.keep(user)


async def test_a_unit_sees_its_own_writes_and_others_do_not(adapters: Adapters) -> None:
    user = a_user()
    async with adapters.begin() as work:
        await work.users.add(user)
        await work.accounts.add(an_account(user))
        assert await work.users.get(user.id) == user
        assert await work.users.find_by_login(str(user.username)) == user
        assert not await exists(adapters, user)
        await work.users.save(user)
        assert (await work.users.get(user.id)).version == 2
        await work.accounts.delete_of(user.id)
        await work.users.delete(user.id)
        assert await work.users.find_by_login(str(user.username)) is None
        await work.commit()


async def test_a_unit_finds_its_own_writes_among_all_others(adapters: Adapters) -> None:
    known, user, admin = a_user(), a_user(), a_user(role=Role.ADMIN)
    old, new, session, job, message = (
        a_post(author=known.id),
        a_post(author=user.id),
        a_session(user),
        a_job(),
        a_message(),
    )
    await adapters.keep(known, old)
    async with adapters.begin() as work:
        for one in (user, admin, new, session, a_token(session), job, message):
            await add(work, one)
        await work.imports.add_errors(job.id, [RowError(1, None, "bad_row", "No.", None)])
        await work.posts.delete(old.id)

        assert await work.users.lock_active_admins() == [admin.id]
        assert await work.posts.exist_by_author(user.id)
        assert not await work.posts.exist_by_author(known.id)
        assert await work.imports.newest(ImportQuery(10)) == [job]
        assert await work.imports.claimable(10, at=NOON) == [job.id]
        assert len(await work.imports.errors(job.id, after=0, limit=10)) == 1
        assert await work.sessions.delete_expired(before=NOON, limit=10) == 0
        assert [m.id for m in await work.outbox.claim(10, at=NOON, until=NOON + SECOND)] == [message.id]
        assert await work.outbox.claim(10, at=NOON, until=NOON + SECOND) == []
        assert await work.posts.delete_by_author(user.id) == 1


async def test_a_refused_statement_leaves_nothing_to_do_but_to_end(adapters: Adapters) -> None:
    taken, user = a_user("ann"), a_user()
    await adapters.keep(taken)
    async with adapters.begin() as work:
        await work.users.add(user)
        with pytest.raises(UsernameTaken):
            await work.users.add(a_user("ANN"))
        with pytest.raises(RuntimeError):
            await work.users.get(taken.id)
        with pytest.raises(RuntimeError):
            await work.commit()
    assert not await exists(adapters, user)


async def test_what_was_only_not_found_or_stale_leaves_the_unit_at_work(adapters: Adapters) -> None:
    user = a_user()
    await adapters.keep(user)
    async with adapters.begin() as work:
        with pytest.raises(UserNotFound):
            await work.users.get(a_user().id)
        await work.users.save(user)
        with pytest.raises(StaleVersion):
            await work.users.save(user)
        await work.commit()
    assert (await adapters.user(user.id)).version == 2


async def test_an_ended_unit_does_nothing_more(adapters: Adapters) -> None:
    user = a_user()
    async with adapters.begin() as work:
        await work.users.add(user)
        await work.commit()
        with pytest.raises(RuntimeError):
            await work.users.get(user.id)
    with pytest.raises(RuntimeError):
        await work.users.delete(user.id)
    with pytest.raises(RuntimeError):
        await work.commit()
    assert await exists(adapters, user)


async def test_steps_run_in_order_after_the_commit_with_the_connection_given_back(adapters: Adapters) -> None:
    user = a_user()
    seen: list[object] = []

    async def look() -> None:
        seen.append((adapters.checked_out(), await exists(adapters, user)))

    async def fail() -> None:
        seen.append("failed")
        raise Interruption

    async with adapters.begin() as work:
        work.after_commit(look)
        work.after_commit(fail)
        work.after_commit(look)
        await work.users.add(user)
        await work.commit()
        assert seen == []
    assert seen == [(0, True), "failed", (0, True)]


async def test_steps_of_a_unit_that_was_not_committed_never_run(adapters: Adapters) -> None:
    seen: list[str] = []

    async def step() -> None:
        seen.append("ran")

    async def fail() -> None:
        async with adapters.begin() as work:
            work.after_commit(step)
            raise Interruption

    async with adapters.begin() as work:
        work.after_commit(step)
    with pytest.raises(Interruption):
        await fail()
    assert seen == []


async def test_an_error_after_the_commit_undoes_nothing(adapters: Adapters) -> None:
    user = a_user()
    seen: list[str] = []

    async def step() -> None:
        seen.append("ran")

    async def fail_after_the_commit() -> None:
        async with adapters.begin() as work:
            work.after_commit(step)
            await work.users.add(user)
            await work.commit()
            raise Interruption

    with pytest.raises(Interruption):
        await fail_after_the_commit()
    assert await exists(adapters, user)
    assert seen == ["ran"]


async def test_units_may_be_open_side_by_side(adapters: Adapters) -> None:
    one, other = a_user(), a_user()
    async with adapters.begin() as first, adapters.begin() as second:
        await first.users.add(one)
        await second.users.add(other)
        assert adapters.checked_out() == 2
        await first.commit()
    assert await exists(adapters, one)
    assert not await exists(adapters, other)
