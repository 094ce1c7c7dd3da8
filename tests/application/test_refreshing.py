"""Staying signed in: rotation, grace, reuse, and signing out."""

import asyncio
from datetime import timedelta

import pytest

from application.auth import TokenPair
from domain.errors import InvalidToken, TokenReused
from tests.application.house import GRACE, REFRESH_TTL, House

SECOND = timedelta(seconds=1)


@pytest.fixture
async def pair(house: House) -> TokenPair:
    await house.a_member("ann")
    return await house.a_signed_in("ann")


async def test_every_refresh_gives_a_new_pair(house: House, pair: TokenPair) -> None:
    second = await house.refresh(pair.refresh_token)
    third = await house.refresh(second.refresh_token)

    assert len({pair.refresh_token, second.refresh_token, third.refresh_token}) == 3
    assert await house.authenticate(third.access_token) == await house.authenticate(pair.access_token)


async def test_a_client_whose_answer_was_lost_may_repeat_within_the_grace(house: House, pair: TokenPair) -> None:
    await house.refresh(pair.refresh_token)
    house.clock.advance(GRACE)
    again = await house.refresh(pair.refresh_token)
    await house.refresh(again.refresh_token)


async def test_a_token_that_comes_back_later_ends_the_whole_family(house: House, pair: TokenPair) -> None:
    newest = await house.refresh((await house.refresh(pair.refresh_token)).refresh_token)
    other_session = await house.a_signed_in("ann")
    house.clock.advance(GRACE + SECOND)

    with pytest.raises(TokenReused):
        await house.refresh(pair.refresh_token)
    with pytest.raises(InvalidToken):
        await house.refresh(newest.refresh_token)
    await house.refresh(other_session.refresh_token)


async def test_refreshes_at_once_are_all_answered_within_the_grace(house: House, pair: TokenPair) -> None:
    pairs = await asyncio.gather(*(house.refresh(pair.refresh_token) for _ in range(5)))
    assert len({pair.refresh_token for pair in pairs}) == 5


async def test_a_refresh_token_expires(house: House, pair: TokenPair) -> None:
    house.clock.advance(REFRESH_TTL)
    with pytest.raises(InvalidToken) as refused:
        await house.refresh(pair.refresh_token)
    assert not isinstance(refused.value, TokenReused)


async def test_an_unknown_token_is_refused(house: House, pair: TokenPair) -> None:
    for token in ("", "unknown", pair.access_token, "\ud800"):
        with pytest.raises(InvalidToken):
            await house.refresh(token)


async def test_who_was_deactivated_stays_signed_in_no_longer(house: House, pair: TokenPair) -> None:
    user = await house.authenticate(pair.access_token)
    await house.saved(await house.stored_user(user.id), is_active=False)
    with pytest.raises(InvalidToken):
        await house.refresh(pair.refresh_token)


async def test_signing_out_ends_the_session_and_may_be_repeated(house: House, pair: TokenPair) -> None:
    await house.sign_out(pair.refresh_token)
    await house.sign_out(pair.refresh_token)
    await house.sign_out("unknown")
    with pytest.raises(InvalidToken):
        await house.refresh(pair.refresh_token)


async def test_only_the_digest_of_a_token_is_stored(house: House, pair: TokenPair) -> None:
    (digest,) = house.store.tables.tokens.rows
    assert digest == house.tokens.digest(pair.refresh_token)
    assert pair.refresh_token.encode() not in digest


async def test_the_sweep_forgets_sessions_whose_last_token_has_expired(house: House, pair: TokenPair) -> None:
    for _ in range(4):
        await house.a_signed_in("ann")
    house.clock.advance(REFRESH_TTL - SECOND)
    kept = await house.refresh(pair.refresh_token)
    house.clock.advance(SECOND)

    assert await house.sweep_sessions() == 4
    assert await house.sweep_sessions() == 0
    await house.refresh(kept.refresh_token)
