"""The application as a server finds it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from interfaces.http import main


def run(code: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BYLINE_")}
    environment = {**kept, "PYTHONPATH": str(Path(main.__file__).parents[2]), **variables}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_wrong_setting_is_named_and_no_traceback_shown(tmp_path: Path) -> None:
    ended = run("from interfaces.http.main import app", tmp_path, BYLINE_PORT="eighty", BYLINE_DB_POOL_SIZE="0")

    assert ended.returncode == 1
    assert "BYLINE_PORT" in ended.stderr
    assert "BYLINE_DB_POOL_SIZE" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_importing_it_reads_no_settings_and_asking_for_the_application_does(tmp_path: Path) -> None:
    code = "from interfaces.http import main; print('imported'); print(main.app.app.title, main.app is main.app)"

    ended = run(code, tmp_path, BYLINE_SITE_NAME="The Daily", BYLINE_SECRET_KEY="k" * 40)

    assert ended.stdout.split("\n")[:2] == ["imported", "The Daily True"], ended.stderr


def test_nothing_else_is_made_up() -> None:
    with pytest.raises(AttributeError, match="application"):
        _ = main.application
