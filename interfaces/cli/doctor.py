"""`byline doctor`."""

import asyncio
import json
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from interfaces.cli.composition import Composition
from interfaces.cli.console import ExitCode, err, flag, out

MARKS = {"ok": "[green]✔", "warning": "[yellow]!", "wrong": "[red]✖"}


def doctor(
    context: typer.Context,
    as_json: Annotated[bool, flag("--json", "Print a JSON array of {check, state, message, remedy}.")] = False,
) -> None:
    """Check the set-up, and say of whatever is wrong with it how to mend it. Changes nothing.

    ✔ well, ! works for now, ✖ wrong. Exit codes: 0 nothing is wrong, 1 something is.
    """
    composition: Composition = context.obj
    findings = asyncio.run(composition.diagnose())
    if as_json:
        fields = ("check", "state", "message", "remedy")
        typer.echo(json.dumps([{name: getattr(finding, name) for name in fields} for finding in findings], indent=2))
    else:
        table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
        for finding in findings:
            remedy = f"\n[bold]{escape(finding.remedy)}[/]" if finding.remedy else ""
            table.add_row(MARKS[finding.state], finding.check, escape(finding.message) + remedy)
        out.print(table)
    if wrong := sum(finding.state == "wrong" for finding in findings):
        err.print(f"{wrong} {'thing is' if wrong == 1 else 'things are'} wrong.")
        raise typer.Exit(ExitCode.FAILED)
