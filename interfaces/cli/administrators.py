"""`byline create-admin`."""

import asyncio
import re
import sys
from typing import Annotated

import typer

from domain.users import USERNAME_MAX
from interfaces.cli.composition import Composition
from interfaces.cli.console import CommandFailed, flag, out, wrong_usage

NOT_IN_USERNAMES = re.compile(r"[^A-Za-z0-9_.-]")


def create_admin(
    context: typer.Context,
    email: Annotated[
        str | None, typer.Option(help="Email address; asked for at a terminal, else BYLINE_ADMIN_EMAIL.")
    ] = None,
    username: Annotated[
        str | None, typer.Option(help="Username; asked for at a terminal, else the address before its @.")
    ] = None,
    password_stdin: Annotated[
        bool, flag("--password-stdin", "Read the password from the first line of standard input.")
    ] = False,
    promote: Annotated[
        bool, flag("--promote", "Make the existing user of that address an administrator instead.")
    ] = False,
) -> None:
    """Make an administrator, or make an existing user one.

    The password is asked for at a terminal; elsewhere it comes from standard input or [bold]BYLINE_ADMIN_PASSWORD[/].

    Exit codes: 0 made, 1 refused (the message says why), 2 wrong usage or settings.
    """
    composition: Composition = context.obj
    composition.use_server_urls()
    asked = sys.stdin.isatty() and not password_stdin
    settings = composition.settings()
    if email is None:
        email = typer.prompt("Email address", default=settings.admin_email) if asked else settings.admin_email
    if promote:
        asyncio.run(_promote(composition, email))
        return
    if username is None:
        proposed = NOT_IN_USERNAMES.sub("", email.partition("@")[0])[:USERNAME_MAX].strip("_.-") or "admin"
        username = typer.prompt("Username", default=proposed) if asked else proposed
    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    elif settings.admin_password is not None:
        password = settings.admin_password.get_secret_value()
    elif asked:
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        raise wrong_usage("There is no password: set BYLINE_ADMIN_PASSWORD, or give it with --password-stdin.")
    asyncio.run(_create(composition, email, username, password))


async def _create(composition: Composition, email: str, username: str, password: str) -> None:
    from application.users import Registration
    from domain.errors import EmailTaken, UsernameTaken

    async with composition.use_cases() as byline:
        try:
            user = await byline.create_admin(Registration(username=username, email=email, password=password))
        except EmailTaken as error:
            raise CommandFailed(
                f"{error} To make that user an administrator: byline create-admin --email {email} --promote"
            ) from None
        except UsernameTaken as error:
            raise CommandFailed(
                f"{error} Choose another with --username, or give --promote with that user's address."
            ) from None
    out.print(f"{user.username} <{user.email}> is an administrator.")


async def _promote(composition: Composition, email: str) -> None:
    async with composition.use_cases() as byline:
        user = await byline.promote_to_admin(email)
    out.print(f"{user.username} <{user.email}> is an administrator; the password stays, and other sessions have ended.")
