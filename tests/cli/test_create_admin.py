"""`byline create-admin`, on memory adapters."""

import asyncio

from domain.actors import Role
from domain.users import User
from tests.cli.memory import PASSWORD, Byline


def user_of(byline: Byline, login: str) -> User | None:
    async def look() -> User | None:
        async with byline.adapters.store().begin() as work:
            return await work.users.find_by_login(login)

    return asyncio.run(look())


def registered(byline: Byline, username: str) -> None:
    async def register() -> None:
        from application.users import Registration

        async with byline.use_cases() as use_cases:
            await use_cases.register_user.register(Registration(username, f"{username}@example.com", PASSWORD))

    asyncio.run(register())


def test_the_password_comes_from_standard_input_and_names_from_the_address() -> None:
    byline = Byline()

    result = byline("create-admin", "--email", "Ada.L@example.com", "--password-stdin", stdin=f"{PASSWORD}\nmore\n")

    assert (result.exit_code, result.stdout) == (0, "Ada.L <ada.l@example.com> is an administrator.\n")
    admin = user_of(byline, "ada.l@example.com")
    assert admin is not None
    assert (admin.role, str(admin.username)) == (Role.ADMIN, "Ada.L")
    assert asyncio.run(signs_in(byline, PASSWORD))


async def signs_in(byline: Byline, password: str) -> bool:
    async with byline.use_cases() as use_cases:
        return bool((await use_cases.sign_in("ada.l", password)).access_token)


def test_elsewhere_than_at_a_terminal_the_settings_stand_in() -> None:
    byline = Byline(options={"admin_email": "root@example.com", "admin_password": PASSWORD})

    result = byline("create-admin")

    assert (result.exit_code, result.stdout) == (0, "root <root@example.com> is an administrator.\n")


def test_without_any_password_it_says_how_to_give_one() -> None:
    result = Byline()("create-admin", "--email", "root@example.com")

    assert result.exit_code == 2
    assert "BYLINE_ADMIN_PASSWORD" in result.stderr
    assert "--password-stdin" in result.stderr


def test_a_weak_password_is_refused() -> None:
    byline = Byline()

    result = byline("create-admin", "--email", "root@example.com", "--password-stdin", stdin="short\n")

    assert (result.exit_code, result.stderr) == (1, "byline: It needs at least 8 characters.\n")
    assert user_of(byline, "root@example.com") is None


def test_an_address_that_somebody_has_can_be_promoted() -> None:
    byline = Byline()
    registered(byline, "ada")

    refused = byline(
        "create-admin", "--email", "ada@example.com", "--username", "x", "--password-stdin", stdin=PASSWORD
    )
    promoted = byline("create-admin", "--email", "ada@example.com", "--promote")

    assert refused.exit_code == 1
    assert "byline create-admin --email ada@example.com --promote" in refused.stderr
    assert promoted.exit_code == 0, promoted.output
    user = user_of(byline, "ada")
    assert user is not None
    assert user.role is Role.ADMIN


def test_nobody_is_promoted_who_is_not_there() -> None:
    result = Byline()("create-admin", "--email", "nobody@example.com", "--promote")

    assert (result.exit_code, result.stderr) == (1, "byline: There is no user nobody@example.com.\n")
