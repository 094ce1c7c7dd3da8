"""Administrators as the command line makes and finds them."""

import pytest

from application.administrators import CreateAdmin, FindAdmin, PromoteToAdmin
from application.users import Registration
from domain.actors import Actor, Role
from domain.errors import InvalidToken, UserNotFound
from tests.application.house import PASSWORD, House


async def test_an_administrator_is_made_even_where_registration_is_closed() -> None:
    house = House(is_open=False)
    admin = await CreateAdmin(house.register_user)(Registration("root", "root@example.com", PASSWORD))
    assert (await house.stored_user(admin.id)).role is Role.ADMIN
    assert await house.account_of(admin) is not None
    await house.close()


async def test_the_command_line_acts_as_the_first_active_administrator(house: House) -> None:
    find = FindAdmin(house.store.begin)
    assert await find() is None
    await house.a_member("op", role=Role.OPERATOR)
    gone, first, _ = [await house.a_member(name, role=Role.ADMIN) for name in ("gone", "first", "second")]
    await house.saved(gone, is_active=False)
    assert await find() == Actor(first.id, Role.ADMIN)


async def test_a_promoted_user_is_an_active_administrator_and_signs_in_anew(house: House) -> None:
    ann = await house.a_member("ann")
    pair = await house.a_signed_in("ann")
    await house.saved(ann, is_active=False)
    promote = PromoteToAdmin(house.store.begin, house.clock)

    admin = await promote("ANN@example.com")
    assert (admin.role, admin.is_active, admin.password_hash) == (Role.ADMIN, True, ann.password_hash)
    with pytest.raises(InvalidToken):
        await house.refresh(pair.refresh_token)
    assert await house.stored_user(ann.id) == admin
    assert await promote("ann") == admin
    with pytest.raises(UserNotFound):
        await promote("nobody")
