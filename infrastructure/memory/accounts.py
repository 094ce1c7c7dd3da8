"""Accounts in memory."""

from domain.accounts import Account
from domain.errors import AccountNotFound, Busy, Conflict, UserNotFound
from domain.ids import UserId
from infrastructure.memory.transaction import Transaction


class MemoryAccounts:
    def __init__(self, transaction: Transaction) -> None:
        self._tx = transaction

    async def add(self, account: Account) -> None:
        await self._tx.statement()
        if not await self._tx.account_owners.claim(account.owner_id, account.id):
            raise self._tx.refused(Conflict("The user has an account."))
        if not await self._tx.users.refer(account.owner_id):
            raise self._tx.refused(UserNotFound(account.owner_id))
        self._tx.accounts.put(account.id, account)

    async def get_of(self, owner_id: UserId) -> Account:
        await self._tx.statement()
        account = self._of(owner_id)
        if account is None:
            raise AccountNotFound(owner_id)
        return account

    async def has_history(self, owner_id: UserId) -> bool:
        await self._tx.statement()
        account = self._of(owner_id)
        return account is not None and bool(self._tx.entries.find(account.id))

    async def delete_of(self, owner_id: UserId) -> None:
        await self._tx.statement()
        account = self._of(owner_id)
        if account is not None:
            if self._tx.entries.latest(account.id):
                raise self._tx.refused(Busy("Money moved in the account meanwhile."))
            await self._tx.account_owners.remove(owner_id)
            await self._tx.accounts.remove(account.id)

    def _of(self, owner_id: UserId) -> Account | None:
        account_id = self._tx.account_owners.find(owner_id)
        return None if account_id is None else self._tx.accounts.find(account_id)
