"""The help teaches, and is quick."""

import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from interfaces.cli.main import Adapters, app

HEAVY = {"alembic", "asyncpg", "dependency_injector", "fastapi", "redis", "sqlalchemy"}


def help_of(*command: str) -> str:
    result = CliRunner(env={"COLUMNS": "120"}).invoke(app, [*command, "--help"], obj=Adapters())
    assert result.exit_code == 0
    return result.stdout


def test_every_command_is_listed_and_only_those_for_people() -> None:
    listed = re.findall(r"^│ ([a-z][a-z-]*) ", help_of(), re.MULTILINE)

    assert listed == ["up", "serve", "worker", "import", "create-admin", "doctor", "migrate", "imports", "cache"]


@pytest.mark.parametrize(
    ("command", "example", "codes"),
    [
        ("up", "BYLINE_PORT=9000 BYLINE_SAMPLE=false byline up", "0 stopped as asked, 1 could not start"),
        ("serve", "BYLINE_API_PROCESSES=4", "0 stopped as asked, 1 could not start"),
        ("worker", "byline worker", "0 stopped as asked, 1 could not start"),
        ("import", "byline import users.csv", "0 no row failed, 3 some did"),
        ("import", "byline import wordpress.xml --create-authors --dry-run", "1 the import failed or was cancelled"),
        ("imports list", "byline imports list --state failed --kind posts", "0 told, 1 not"),
        ("imports show", "byline imports show last", "0 told, whatever became of the import"),
        ("imports errors", "byline imports errors ID --output failed.csv", "0 told, be there any or none"),
        ("imports cancel", "byline imports cancel last", "0 it is cancelled, or stops after the rows at hand"),
        ("imports resume", "byline imports resume ID --detach", "0 no row failed, 3 some did"),
        ("imports retry", "byline imports retry ID --create-authors", "0 no row failed, 3 some did"),
        ("cache warm", "byline cache warm --detach", "0 it is warm, or asked for"),
        ("cache stats", "byline cache stats --json", "0 told, also that it is away"),
        ("cache forget", "byline cache forget --post on-tides", "0 forgotten, or noted to be"),
        ("create-admin", "byline create-admin --email ada@example.com --promote", "0 made, 1 refused"),
        ("doctor", "byline doctor --json", "0 nothing is wrong, 1 something is"),
        ("migrate upgrade", "byline migrate upgrade", "0 done, 1 not reached"),
        ("migrate downgrade", "byline migrate downgrade -1", "0 done, 1 not reached"),
    ],
)
def test_a_commands_help_has_examples_and_exit_codes(command: str, example: str, codes: str) -> None:
    text = " ".join(help_of(*command.split()).split())

    assert example in text
    assert codes in text


def test_who_imports_is_told_of_the_folder_to_share() -> None:
    assert "BYLINE_DATA_DIR, which this command and the workers must share" in " ".join(help_of("import").split())


def test_the_version_is_told() -> None:
    result = CliRunner().invoke(app, ["--version"], obj=Adapters())

    assert re.fullmatch(r"byline \d+\.\d+\.\d+\n", result.stdout)


@pytest.mark.parametrize("module", ["interfaces.cli.main", "infrastructure.embedded.service"])
def test_neither_help_nor_the_top_process_loads_what_only_the_service_needs(module: str) -> None:
    program = f"import sys, {module}; print(*sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True).stdout.split()

    assert module in loaded
    assert HEAVY.isdisjoint(loaded)
