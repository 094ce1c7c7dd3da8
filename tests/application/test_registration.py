"""Registering: a user, a profile and an account, all or nothing."""

import asyncio

import pytest

from application.users import Registration, UserChanges
from domain.accounts import Money
from domain.actors import Role
from domain.errors import Conflict, EmailTaken, InvalidValue, NotAllowed, RegistrationClosed, UsernameTaken
from domain.ids import AccountId, UserId
from domain.users import User
from tests.application.house import PASSWORD, House
from tests.builders import CountingIds, a_profile, an_actor

ANN = Registration("Ann", "Ann@Example.com", PASSWORD, a_profile("Ann", bio="Writes."))


async def test_whoever_registers_has_a_profile_and_an_empty_account(house: House) -> None:
    ann = await house.register_user(ANN, actor=None)

    stored = await house.stored_user(ann.id)
    account = await house.account_of(ann)
    assert stored == ann
    assert (str(stored.username), str(stored.email), stored.role) == ("Ann", "ann@example.com", Role.AUTHOR)
    assert stored.profile == ANN.profile
    assert account is not None
    assert account.balance == Money(0, "EUR")


async def test_the_password_is_kept_as_a_hash_alone(house: House) -> None:
    ann = await house.register_user(ANN, actor=None)
    assert ann.password_hash is not None
    assert PASSWORD not in ann.password_hash
    assert await house.hasher.verify(PASSWORD, ann.password_hash)


@pytest.mark.parametrize(
    ("username", "email", "refusal"),
    [
        ("aNN", "other@example.com", UsernameTaken),
        ("other", "ANN@example.COM", EmailTaken),
    ],
)
async def test_names_and_addresses_are_taken_in_any_case(
    house: House, username: str, email: str, refusal: type[Conflict]
) -> None:
    await house.register_user(ANN, actor=None)
    with pytest.raises(refusal):
        await house.register_user(Registration(username, email, PASSWORD), actor=None)


async def test_what_fails_halfway_leaves_nothing(house: House) -> None:
    """The account of the user that is made next is there already, so the second step is refused."""
    owners = house.store.tables.account_owners.rows
    next_user = UserId(CountingIds().next())
    owners[next_user] = AccountId(CountingIds(1_000).next())

    with pytest.raises(Conflict):
        await house.register_user(ANN, actor=None)

    assert house.store.tables.users.rows == {}
    del owners[next_user]
    await house.register_user(ANN, actor=None)


async def test_of_many_who_ask_for_one_name_at_once_one_has_it(house: House) -> None:
    requests = [Registration("ann", f"ann{number}@example.com", PASSWORD) for number in range(10)]
    outcomes = await asyncio.gather(
        *(house.register_user(request, actor=None) for request in requests), return_exceptions=True
    )
    assert sum(isinstance(outcome, User) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, UsernameTaken) for outcome in outcomes) == 9


async def test_only_an_administrator_gives_roles(house: House) -> None:
    request = Registration("op", "op@example.com", PASSWORD, role=Role.OPERATOR)
    for actor in (None, an_actor(Role.AUTHOR), an_actor(Role.OPERATOR)):
        with pytest.raises(NotAllowed):
            await house.register_user(request, actor=actor)
    assert (await house.register_user(request, actor=an_actor(Role.ADMIN))).role is Role.OPERATOR


async def test_where_registration_is_closed_administrators_register_others() -> None:
    house = House(is_open=False)
    for actor in (None, an_actor(Role.OPERATOR)):
        with pytest.raises(RegistrationClosed):
            await house.register_user(ANN, actor=actor)
    assert (await house.register_user(ANN, actor=an_actor(Role.ADMIN))).role is Role.AUTHOR
    await house.close()


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (Registration("-", "ann@example.com", PASSWORD), "username"),
        (Registration("ann", "nowhere", PASSWORD), "email"),
        (Registration("ann", "ann@example.com", "short"), "password"),
    ],
)
async def test_what_is_refused_names_its_field(house: House, request_: Registration, field: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        await house.register_user(request_, actor=None)
    assert refused.value.field == field
    assert house.store.tables.users.rows == {}


def test_no_password_is_shown_when_a_request_is_printed() -> None:
    changes = UserChanges(password=PASSWORD, current_password=PASSWORD)
    assert PASSWORD not in repr(ANN) + repr(changes)
