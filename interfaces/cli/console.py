"""How the commands speak: results on stdout, everything else on stderr, and an exit code for each outcome."""

from enum import IntEnum
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


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
