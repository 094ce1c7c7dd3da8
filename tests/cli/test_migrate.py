"""`byline migrate`, on PostgreSQL."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from interfaces.cli.main import Adapters, app
from tests import stage

Command = Callable[..., Result]


@pytest.fixture(scope="module")
def url(servers: stage.Servers, worker_id: str) -> Iterator[str]:
    """Of a database of this module's own, at the newest revision."""
    with closing(stage.WorkerDatabase(servers, f"{worker_id}_migrate")) as database:
        yield database.url


@pytest.fixture
def migrate(url: str, tmp_path: Path) -> Command:
    environment = {"BYLINE_DATABASE_URL": url, "BYLINE_DATA_DIR": str(tmp_path)}
    return lambda *arguments: CliRunner(env=environment).invoke(app, ["migrate", *arguments], obj=Adapters())


def test_there_and_back_again(migrate: Command) -> None:
    newest = migrate("current").stdout.split()[0]

    assert migrate("current").stdout == f"{newest} (newest)\n"
    assert migrate("upgrade").stdout == f"The database is at {newest} already.\n"
    unasked = migrate("downgrade", "base")
    assert (unasked.exit_code, "add --yes" in unasked.stderr) == (2, True)
    assert migrate("downgrade", "base", "--yes").stdout == f"{newest} → empty\n"
    assert migrate("current").stdout == f"empty (the newest is {newest})\n"
    assert migrate("upgrade").stdout == f"empty → {newest}\n"
    assert migrate("downgrade", "-1", "--yes").stdout.startswith(f"{newest} → ")
    assert migrate("upgrade", "+1").stdout.endswith(f" → {newest}\n")
    assert f"* {newest}  " in migrate("history").stdout


def test_an_unknown_revision_is_refused(migrate: Command) -> None:
    result = migrate("upgrade", "nonsense")

    assert result.exit_code == 1
    assert result.stderr.startswith("byline: Can't locate revision identified by 'nonsense'")


def test_a_database_that_is_away_is_no_defect() -> None:
    environment = {"BYLINE_DATABASE_URL": "postgresql://byline@127.0.0.1:1/byline"}

    result = CliRunner(env=environment).invoke(app, ["migrate", "current"], obj=Adapters())

    assert result.exit_code == 1
    assert result.stderr.startswith("byline: The database cannot be reached")
