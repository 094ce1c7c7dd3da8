"""How the commands speak: results on stdout, everything else on stderr, and an exit code for each outcome."""

from enum import IntEnum
from typing import Any, NoReturn
from unicodedata import category

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

WIDE = 160
"""Columns of a table that no terminal limits."""
_UNSAFE = frozenset({"Cc", "Cs", "Zl", "Zp"})


class ExitCode(IntEnum):
    DONE = 0
    FAILED = 1
    USAGE = 2
    ROWS_FAILED = 3
    INTERRUPTED = 130


class CommandFailed(Exception):
    """Ends the command with one message for the person at the terminal, who needs no traceback."""

    def __init__(self, message: str, *, code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(message)
        self.code = code


def fail(message: str, code: ExitCode) -> NoReturn:
    err.print(f"[bold red]byline:[/] {escape(message)}", soft_wrap=True)
    raise SystemExit(code)


def wrong_usage(message: str) -> CommandFailed:
    return CommandFailed(message, code=ExitCode.USAGE)


def flag(name: str, what: str) -> Any:
    """An option that takes no value, shown without the type that Typer would give it in the help."""
    return typer.Option(name, help=what, metavar="")


def plain(text: str) -> str:
    """Text that others wrote, on one line and without control characters."""
    if text.isprintable():
        return text
    return "".join("\ufffd" if category(character) in _UNSAFE else character for character in text)


def safe(text: str) -> str:
    """Plain, and no markup either."""
    return escape(plain(text))


def print_table(table: Table) -> None:
    """As wide as the terminal; elsewhere so wide that a program finds each row on a line."""
    # Rich prints nothing wider than a console is.
    console = out if out.is_terminal else Console(file=out.file, width=max(out.width, WIDE), highlight=False)
    console.print(table)


def print_line(text: str) -> None:
    """As it is, for people to copy."""
    out.print(text, soft_wrap=True, markup=False)
