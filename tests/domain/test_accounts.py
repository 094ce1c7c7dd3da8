"""Money and accounts."""

import pytest

from domain.accounts import Account, Money
from domain.errors import InvalidValue
from tests.builders import NOON, a_user, an_account


def test_a_new_account_is_empty_in_its_currency() -> None:
    user = a_user()
    account = Account.opened(an_account(user).id, user.id, currency="CHF", at=NOON)
    assert (account.balance, account.owner_id, account.version) == (Money(0, "CHF"), user.id, 1)


@pytest.mark.parametrize("currency", ["", "EU", "EURO", "eur", "€", "EUR\n"])
def test_a_currency_is_three_capital_letters(currency: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        Money(1, currency)
    assert refused.value.field == "currency"


def test_equal_amounts_of_different_currencies_differ() -> None:
    assert Money(1250, "EUR") == Money(1250, "EUR")
    assert Money(1250, "EUR") != Money(1250, "CHF")
