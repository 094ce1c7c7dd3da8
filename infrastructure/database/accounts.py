"""Accounts; their entries come with the ledger."""

from collections.abc import Sequence

from sqlalchemy import delete, exists, insert, select

from domain.accounts import Account, Money
from domain.errors import AccountNotFound, Busy
from domain.ids import AccountId, UserId
from infrastructure.database.errors import Refusals
from infrastructure.database.tables import accounts, entries
from infrastructure.database.transaction import Transaction

_COLUMNS = ("id", "owner_id", "currency", "balance", "created_at", "version")


class SqlAccounts:
    def __init__(self, transaction: Transaction) -> None:
        self._tx = transaction

    async def add(self, account: Account) -> None:
        await self._tx.execute(insert(accounts).values(dict(zip(_COLUMNS, _values(account), strict=True))))

    async def get_of(self, owner_id: UserId) -> Account:
        row = (await self._tx.execute(select(accounts).where(accounts.c.owner_id == owner_id))).first()
        if row is None:
            raise AccountNotFound(owner_id)
        return Account(
            id=AccountId(row.id),
            owner_id=UserId(row.owner_id),
            balance=Money(row.balance, row.currency),
            created_at=row.created_at,
            version=row.version,
        )

    async def has_history(self, owner_id: UserId) -> bool:
        made = select(entries.c.id).join(accounts, accounts.c.id == entries.c.account_id)
        found = await self._tx.execute(select(exists(made.where(accounts.c.owner_id == owner_id))))
        return bool(found.scalar_one())

    async def delete_of(self, owner_id: UserId) -> None:
        # Money came in between `has_history` and this: the next try sees it.
        refusals: Refusals = {"fk_entries_account_id": lambda _: Busy("Money moved in the account meanwhile.")}
        await self._tx.execute(delete(accounts).where(accounts.c.owner_id == owner_id), refusals=refusals)


async def copy_accounts(transaction: Transaction, made: Sequence[Account]) -> None:
    await transaction.copy(accounts, _COLUMNS, map(_values, made))


def _values(account: Account) -> tuple[object, ...]:
    money = account.balance
    return (account.id, account.owner_id, money.currency, money.minor, account.created_at, account.version)
