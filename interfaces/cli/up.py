"""`byline up`: the whole service on this machine, without anything installed or set up before."""

import asyncio
import shlex
from contextlib import suppress
from typing import Annotated

import typer
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from interfaces.cli.composition import ADMIN_PASSWORD_FILE, Composition
from interfaces.cli.console import err, flag, out

API = "/v1"


def up(
    context: typer.Context,
    logs: Annotated[bool, flag("--logs", "Show the logs of the API and the worker here.")] = False,
) -> None:
    """Run everything here: PostgreSQL, Valkey, the API and the worker, as one process tree.

    The data lies in [bold]BYLINE_DATA_DIR[/] (.byline) and is there again at the next start. An empty database gets an
    administrator and the sample archive ([bold]BYLINE_SAMPLE=false[/]: no archive). Where [bold]BYLINE_DATABASE_URL[/]
    or [bold]BYLINE_REDIS_URL[/] names a server, that one is used. Ctrl-C or SIGTERM stops all of it.

    Exit codes: 0 stopped as asked, 1 could not start or go on, 2 wrong settings.
    """
    composition: Composition = context.obj
    composition.configure_logging(quiet=True)
    service = composition.local_service(logs_shown=logs)
    asyncio.run(service.run(tell=err.print, welcome=lambda url: _welcome(composition, url)))
    with suppress(OSError):  # a terminal that was closed hears nothing
        err.print("Byline has stopped.")


def _welcome(composition: Composition, url: str) -> None:
    settings = composition.settings()
    base = settings.public_url or url
    given = settings.admin_password is not None
    table = Table.grid(padding=(0, 2))
    for name, value in (
        ("API", f"{base}{API}"),
        ("Documentation", f"{base}/docs"),
        ("Health", f"{base}/health/ready"),
        ("Sign in as", settings.admin_email),
        ("Password", "that of BYLINE_ADMIN_PASSWORD" if given else composition.admin_password()),
        ("Data and logs", str(settings.data_dir)),
    ):
        table.add_row(f"[bold]{name}", escape(value))
    out.print(Panel(table, title="Byline is ready", subtitle="Ctrl-C stops it", expand=False))
    out.print("Three lines to try:")
    kept = shlex.quote(str((settings.data_dir / ADMIN_PASSWORD_FILE).resolve()))
    for line in curl_lines(
        f"{url}{API}", settings.admin_email, "$BYLINE_ADMIN_PASSWORD" if given else f"$(cat {kept})"
    ):
        out.print(line, soft_wrap=True, markup=False)


def curl_lines(api: str, email: str, password: str) -> tuple[str, str, str]:
    """Get a token, list posts, write a post: for a POSIX shell, which `password` is expanded by."""
    credentials = f'--data-urlencode username={shlex.quote(email)} --data-urlencode "password={password}"'
    headers = """-H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json'"""
    post = """'{"title": "Hello", "content": "From *Byline*."}'"""
    return (
        rf"""TOKEN=$(curl -s {api}/auth/token {credentials} | sed 's/.*"access_token": *"\([^"]*\)".*/\1/')""",
        f"curl -s '{api}/posts?page_size=3&fields=title,slug,published_at'",
        f"curl -s {api}/posts {headers} -d {post}",
    )
