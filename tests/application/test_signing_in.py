"""Signing in: alike for all who may not; hashes renewed; access tokens that speak for whom they should."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from application.auth import TokenPair
from application.users import UserChanges
from domain.actors import Role
from domain.errors import BadCredentials, InvalidToken
from infrastructure.security.passwords import Argon2Hasher
from tests.application.house import ACCESS_TTL, PASSWORD, CountingArgon2, House


@pytest.mark.parametrize("login", ["ann", "ANN", "ann@example.com", "Ann@Example.COM"])
async def test_one_signs_in_by_name_or_address_in_any_case(house: House, login: str) -> None:
    ann = await house.a_member("Ann")
    pair = await house.sign_in(login, PASSWORD)

    assert await house.authenticate(pair.access_token) == ann.actor
    assert pair.expires_in == ACCESS_TTL.total_seconds()


async def test_all_who_may_not_are_answered_alike_and_after_like_work(house: House) -> None:
    await house.a_member("ann")
    gone = await house.a_member("gone")
    nobody = await house.a_member("nobody")
    await house.saved(gone, is_active=False)
    await house.saved(nobody, password_hash=None)
    await house.hasher.verify(PASSWORD, None)

    attempts = [("unknown", PASSWORD), ("ann", "wrong password"), ("gone", PASSWORD), ("nobody", PASSWORD), ("", "")]
    answers = set()
    for login, password in attempts:
        before = house.argon2.verified
        with pytest.raises(BadCredentials) as refused:
            await house.sign_in(login, password)
        answers.add((type(refused.value), str(refused.value)))
        assert house.argon2.verified == before + 1
    assert len(answers) == 1
    assert house.store.tables.sessions.rows == {}


async def test_a_hash_of_weaker_parameters_is_renewed_at_sign_in() -> None:
    weak = House()
    ann = await weak.a_member("ann")
    strong = House(store=weak.store, ids=weak.ids, argon2=CountingArgon2(time_cost=2))
    await strong.sign_in("ann", PASSWORD)

    renewed = (await strong.stored_user(ann.id)).password_hash
    assert renewed is not None
    assert renewed != ann.password_hash
    assert not strong.hasher.is_outdated(renewed)
    await strong.sign_in("ann", PASSWORD)
    assert (await strong.stored_user(ann.id)).password_hash == renewed
    await weak.close()
    await strong.close()


class Meanwhile(Argon2Hasher):
    """While it verifies for the first time, something else happens."""

    def __init__(self, argon2: CountingArgon2, happens: Callable[[], Awaitable[object]]) -> None:
        super().__init__(threads=1, waiting=1, argon2=argon2)
        self._happens: Callable[[], Awaitable[object]] | None = happens

    async def verify(self, password: str, password_hash: str | None) -> bool:
        verified = await super().verify(password, password_hash)
        if self._happens is not None:
            happens, self._happens = self._happens, None
            await happens()
        return verified


async def sign_in_while(house: House, happens: Callable[[], Awaitable[object]]) -> TokenPair:
    hasher = Meanwhile(house.argon2, happens)
    try:
        return await replace(house.sign_in, hasher=hasher)("ann", PASSWORD)
    finally:
        await hasher.close()


async def test_a_password_replaced_while_it_is_verified_opens_no_session(house: House) -> None:
    ann = await house.a_member("ann")
    changes = UserChanges(password="another password", current_password=PASSWORD)
    with pytest.raises(BadCredentials):
        await sign_in_while(house, lambda: house.change_user(ann.id, changes, actor=ann.actor))
    assert house.store.tables.sessions.rows == {}


async def test_who_is_deactivated_or_deleted_while_signing_in_is_not_signed_in(house: House) -> None:
    ann = await house.a_member("ann")
    with pytest.raises(BadCredentials):
        await sign_in_while(house, lambda: house.saved(ann, is_active=False))
    await house.saved(ann, is_active=True)
    with pytest.raises(BadCredentials):
        await sign_in_while(house, lambda: house.delete_user(ann.id, actor=ann.actor))
    assert house.store.tables.sessions.rows == {}


async def test_a_hash_that_is_renewed_twice_at_once_lets_both_in(house: House) -> None:
    ann = await house.a_member("ann")
    again = await house.hasher.hash(PASSWORD)
    pair = await sign_in_while(house, lambda: house.saved(ann, password_hash=again))
    assert await house.authenticate(pair.access_token) == ann.actor
    assert (await house.stored_user(ann.id)).password_hash == again


async def test_an_access_token_expires(house: House) -> None:
    await house.a_member("ann")
    pair = await house.a_signed_in("ann")

    house.clock.advance(ACCESS_TTL - timedelta(seconds=1))
    await house.authenticate(pair.access_token)
    house.clock.advance(timedelta(seconds=1))
    with pytest.raises(InvalidToken):
        await house.authenticate(pair.access_token)


async def test_a_new_role_and_deactivation_bite_at_once(house: House) -> None:
    ann = await house.a_member("ann")
    pair = await house.a_signed_in("ann")

    await house.saved(ann, role=Role.OPERATOR)
    assert (await house.authenticate(pair.access_token)).is_operator
    await house.saved(ann, is_active=False)
    with pytest.raises(InvalidToken):
        await house.authenticate(pair.access_token)


@pytest.mark.parametrize("token", ["", "not.a.token", "é", "a" * 10_000])
async def test_what_is_no_token_is_refused(house: House, token: str) -> None:
    with pytest.raises(InvalidToken):
        await house.authenticate(token)


async def test_a_token_signed_by_another_key_is_refused(house: House) -> None:
    await house.a_member("ann")
    other = House(store=house.store, tokens=type(house.tokens)("another secret key, of enough length"))
    pair = await other.a_signed_in("ann")
    with pytest.raises(InvalidToken):
        await house.authenticate(pair.access_token)
    await other.close()
