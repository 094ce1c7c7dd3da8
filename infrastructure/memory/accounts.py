"""Accounts in memory."""

from domain.accounts import Account
from domain.errors import AccountNotFound, UserNotFound
from domain.ids import UserId
from infrastructure.memory.transaction import Transaction


class MemoryAccounts:
    def __init__(self, transaction: Transaction) -> None:
        self._tx = transaction

    async def add(self, account: Account) -> None:
        await self._tx.statement()
        if not await self._tx.users.refer(account.owner_id):
            raise self._tx.refused(UserNotFound(account.owner_id))
        self._tx.accounts.put(account.id, account)

    async def get_of(self, owner_id: UserId) -> Account:
        await self._tx.statement()
        for account in self._of(owner_id):
            return account
        raise AccountNotFound(owner_id)

    async def has_history(self, owner_id: UserId) -> bool:
        await self._tx.statement()
        return any(self._tx.entries.find(account.id) for account in self._of(owner_id))

    async def delete_of(self, owner_id: UserId) -> None:
        await self._tx.statement()
        for account in self._of(owner_id):
            await self._tx.accounts.remove(account.id)

    def _of(self, owner_id: UserId) -> list[Account]:
        return [account for account in self._tx.accounts.values() if account.owner_id == owner_id]
