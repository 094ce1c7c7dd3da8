"""Accounts: one for each user, and kept where money has moved."""

import pytest

from domain.errors import AccountNotFound, Busy, Conflict, UserNotFound
from tests.builders import a_user, an_account
from tests.contract.adapters import Adapters


async def test_an_account_is_kept_whole(adapters: Adapters) -> None:
    user = a_user()
    account = an_account(user, balance=2**62, currency="CHF")
    await adapters.keep(user, account)
    async with adapters.begin() as work:
        assert await work.accounts.get_of(user.id) == account


async def test_who_has_no_account_has_no_history_either(adapters: Adapters) -> None:
    user = a_user()
    await adapters.keep(user)
    async with adapters.begin() as work:
        with pytest.raises(AccountNotFound):
            await work.accounts.get_of(user.id)
        assert not await work.accounts.has_history(user.id)
        await work.accounts.delete_of(user.id)


async def test_an_account_belongs_to_a_user_who_has_no_other(adapters: Adapters) -> None:
    user = a_user()
    await adapters.keep(user, an_account(user))
    with pytest.raises(Conflict):
        await adapters.keep(an_account(user))
    with pytest.raises(UserNotFound):
        await adapters.keep(an_account(a_user()))


async def test_an_entry_is_history_and_keeps_the_account(adapters: Adapters) -> None:
    user, other = a_user(), a_user()
    account = an_account(user)
    await adapters.keep(user, other, account, an_account(other))
    await adapters.make_entry(account)
    async with adapters.begin() as work:
        assert await work.accounts.has_history(user.id)
        assert not await work.accounts.has_history(other.id)
        with pytest.raises(Busy):
            await work.accounts.delete_of(user.id)


async def test_an_account_without_history_can_be_deleted_and_then_its_owner(adapters: Adapters) -> None:
    user = a_user()
    await adapters.keep(user, an_account(user))
    async with adapters.begin() as work:
        with pytest.raises(Conflict):
            await work.users.delete(user.id)
    async with adapters.begin() as work:
        await work.accounts.delete_of(user.id)
        await work.users.delete(user.id)
        await work.commit()
    with pytest.raises(UserNotFound):
        await adapters.user(user.id)
