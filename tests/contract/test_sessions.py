"""Sessions and their refresh tokens."""

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.errors import InvalidToken, UserNotFound
from domain.sessions import Session
from domain.users import User
from tests.builders import NOON, SECOND, a_session, a_token, a_user
from tests.contract.adapters import Adapters


@pytest.fixture
async def ann(adapters: Adapters) -> User:
    user = a_user("ann")
    await adapters.keep(user)
    return user


async def stored(adapters: Adapters, session: Session) -> Session:
    async with adapters.begin() as work:
        return await work.sessions.lock(session.id)


async def test_sessions_and_tokens_are_kept_whole(adapters: Adapters, ann: User) -> None:
    session = replace(a_session(ann), revoked_at=NOON + SECOND)
    token = replace(a_token(session), digest=bytes(range(32)), used_at=NOON + SECOND)
    await adapters.keep(session, token)
    assert await stored(adapters, session) == session
    async with adapters.begin() as work:
        assert await work.sessions.find_token(token.digest) == token
        assert await work.sessions.find_token(b"\0" * 32) is None


async def test_a_session_is_of_a_user_and_a_token_of_a_session(adapters: Adapters, ann: User) -> None:
    with pytest.raises(UserNotFound):
        await adapters.keep(a_session(a_user()))
    with pytest.raises(InvalidToken):
        await adapters.keep(a_token(a_session(ann)))
    with pytest.raises(InvalidToken):
        await stored(adapters, a_session(ann))


async def test_a_token_is_marked_as_used(adapters: Adapters, ann: User) -> None:
    session = a_session(ann)
    token, other = a_token(session), a_token(session)
    await adapters.keep(session, token, other)
    used = replace(token, used_at=NOON + SECOND)
    async with adapters.begin() as work:
        await work.sessions.mark_used(used)
        await work.commit()
    async with adapters.begin() as work:
        assert await work.sessions.find_token(token.digest) == used
        assert await work.sessions.find_token(other.digest) == other


async def test_a_session_is_revoked_once(adapters: Adapters, ann: User) -> None:
    session, other = a_session(ann), a_session(ann)
    await adapters.keep(session, other)
    async with adapters.begin() as work:
        await work.sessions.revoke(session.id, at=NOON)
        await work.sessions.revoke(session.id, at=NOON + SECOND)
        await work.sessions.revoke(a_session(ann).id, at=NOON)
        await work.commit()
    assert (await stored(adapters, session)).revoked_at == NOON
    assert (await stored(adapters, other)).revoked_at is None


async def test_every_session_of_a_user_is_revoked_and_nobody_elses(adapters: Adapters, ann: User) -> None:
    bob = a_user("bob")
    revoked, live, others = replace(a_session(ann), revoked_at=NOON), a_session(ann), a_session(bob)
    await adapters.keep(bob, revoked, live, others)
    async with adapters.begin() as work:
        await work.sessions.revoke_of(ann.id, at=NOON + SECOND)
        await work.commit()
    assert [(await stored(adapters, session)).revoked_at for session in (revoked, live, others)] == [
        NOON,
        NOON + SECOND,
        None,
    ]


async def test_sessions_whose_last_token_has_expired_are_forgotten_a_batch_at_a_time(
    adapters: Adapters, ann: User
) -> None:
    day = timedelta(days=1)
    expired = [a_session(ann) for _ in range(3)]
    renewed, without = a_session(ann), a_session(ann)
    tokens = [a_token(session, lifetime=day) for session in (*expired, renewed)]
    kept = a_token(renewed, lifetime=2 * day)
    await adapters.keep(*expired, renewed, without, *tokens, kept)

    async def sweep(limit: int, *, before: timedelta) -> int:
        async with adapters.begin() as work:
            gone = await work.sessions.delete_expired(before=NOON + before, limit=limit)
            await work.commit()
        return gone

    assert await sweep(10, before=day - SECOND) == 1
    assert [await sweep(2, before=day) for _ in range(3)] == [2, 1, 0]
    async with adapters.begin() as work:
        assert await work.sessions.find_token(tokens[0].digest) is None
        assert await work.sessions.find_token(kept.digest) == kept
        assert await work.sessions.lock(renewed.id) == renewed


async def test_the_sweep_passes_over_sessions_in_use(adapters: Adapters, ann: User) -> None:
    used, idle = a_session(ann), a_session(ann)
    await adapters.keep(used, idle)
    async with adapters.begin() as user:
        await user.sessions.lock(used.id)
        async with adapters.begin() as sweep:
            assert await sweep.sessions.delete_expired(before=NOON, limit=10) == 1
            await sweep.commit()
    assert await stored(adapters, used) == used
