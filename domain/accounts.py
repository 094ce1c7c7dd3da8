"""Accounts and money. Amounts are integers in the currency's minor unit, never floats."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from domain.errors import InvalidValue
from domain.ids import AccountId, UserId

_CURRENCY = re.compile(r"[A-Z]{3}")


@dataclass(frozen=True, slots=True)
class Money:
    """`minor` units of `currency` (ISO 4217): Money(1250, "EUR") is 12.50 euro. Raises InvalidValue."""

    minor: int
    currency: str

    def __post_init__(self) -> None:
        if not _CURRENCY.fullmatch(self.currency):
            raise InvalidValue("currency", "It must be three capital letters (ISO 4217).", code="bad_currency")


@dataclass(frozen=True, slots=True)
class Account:
    """Where a user's tips gather. Its balance is never negative; its entries, once written, never change."""

    id: AccountId
    owner_id: UserId
    balance: Money
    created_at: datetime
    version: int = 1

    @classmethod
    def opened(cls, account_id: AccountId, owner_id: UserId, *, currency: str, at: datetime) -> Self:
        return cls(account_id, owner_id, Money(0, currency), at)
