"""Users who came with a password hash sign in as they always did, and have one of Byline's afterwards."""

import bcrypt
import pytest
from argon2 import PasswordHasher as Argon2
from argon2 import Type

from application.users import UserChanges
from domain.errors import BadCredentials
from domain.users import checked_password_hash
from infrastructure.security.passwords import BCRYPT_BYTES
from tests.application.house import PASSWORD, House


def bcrypt_hash(password: str = PASSWORD, *, prefix: str = "2b") -> str:
    return bcrypt.hashpw(password.encode()[:BCRYPT_BYTES], bcrypt.gensalt(4)).decode().replace("2b", prefix, 1)


def argon2_hash(kind: Type, *, memory_cost: int = 8, time_cost: int = 1) -> str:
    return Argon2(time_cost=time_cost, memory_cost=memory_cost, parallelism=1, type=kind).hash(PASSWORD)


IMPORTED = {
    "bcrypt 2a": bcrypt_hash(prefix="2a"),
    "bcrypt 2b": bcrypt_hash(),
    "bcrypt 2y": bcrypt_hash(prefix="2y"),
    "argon2i": argon2_hash(Type.I),
    "argon2d": argon2_hash(Type.D),
    "argon2id, other parameters": argon2_hash(Type.ID, memory_cost=16, time_cost=2),
    "argon2i, before hashes named a version": "$argon2i$m=8,t=1,p=1$c29tZXNhbHQ$XE11Mk+Ycn/QfB9KJFDCtQ",
}


@pytest.mark.parametrize("imported", IMPORTED.values(), ids=IMPORTED.keys())
async def test_an_imported_hash_is_renewed_at_the_next_sign_in(house: House, imported: str) -> None:
    ann = await house.saved(await house.a_member("ann"), password_hash=checked_password_hash(imported))

    pair = await house.sign_in("ann", PASSWORD)

    assert await house.authenticate(pair.access_token) == ann.actor
    renewed = (await house.stored_user(ann.id)).password_hash
    assert renewed is not None
    assert renewed.startswith("$argon2id$")
    assert not house.hasher.is_outdated(renewed)
    await house.sign_in("ann", PASSWORD)
    assert (await house.stored_user(ann.id)).password_hash == renewed


@pytest.mark.parametrize("imported", IMPORTED.values(), ids=IMPORTED.keys())
async def test_a_wrong_password_neither_signs_in_nor_renews(house: House, imported: str) -> None:
    ann = await house.saved(await house.a_member("ann"), password_hash=imported)

    for password in ("another", "", PASSWORD + " "):
        with pytest.raises(BadCredentials):
            await house.sign_in("ann", password)
    assert (await house.stored_user(ann.id)).password_hash == imported


async def test_a_password_longer_than_bcrypt_looks_at_is_renewed_whole(house: House) -> None:
    password = "é" * BCRYPT_BYTES
    ann = await house.saved(await house.a_member("ann"), password_hash=bcrypt_hash(password))

    await house.sign_in("ann", password)

    renewed = (await house.stored_user(ann.id)).password_hash
    assert await house.hasher.verify(password, renewed)
    assert not await house.hasher.verify(password[: BCRYPT_BYTES // 2], renewed)


@pytest.mark.parametrize("broken", ["$2b$04$tooshort", "$2b$99$" + "." * 53, "$2", "é", "", "$argon2id$v=19$m=8"])
async def test_a_broken_hash_matches_no_password(house: House, broken: str) -> None:
    assert not await house.hasher.verify(PASSWORD, broken)
    assert house.hasher.is_outdated(broken)


async def test_half_of_a_surrogate_pair_is_nobodys_password(house: House) -> None:
    for password_hash in (bcrypt_hash(), argon2_hash(Type.ID), None):
        assert not await house.hasher.verify("\udc00", password_hash)


async def test_the_password_is_changed_by_whoever_knows_the_imported_one(house: House) -> None:
    ann = await house.saved(await house.a_member("ann"), password_hash=bcrypt_hash())
    await house.change_user(
        ann.id, UserChanges(password="another password", current_password=PASSWORD), actor=ann.actor
    )

    await house.sign_in("ann", "another password")
