"""The Makefile, in a folder of its own with stand-ins for what it starts: nothing is installed."""

import fcntl
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from infrastructure.cache.host import SharedHostTokens, host_tokens_path

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements-build.lock", "requirements-embedded.lock", "requirements-dev.lock")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Without a .venv."""
    for name in ("Makefile", "pyproject.toml", *LOCKS):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "infrastructure").symlink_to(ROOT / "infrastructure")
    return tmp_path


@pytest.fixture
def data(project: Path) -> Path:
    folder = project / ".byline"
    folder.mkdir()
    (folder / "lock").touch()
    return folder


def make(project: Path, *arguments: str, answer: str = "") -> subprocess.CompletedProcess[str]:
    command = ["make", "--no-print-directory", *arguments]
    # What an outer make says of itself is not for this one.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        command, cwd=project, env=environment, input=answer, capture_output=True, text=True, check=False
    )


def targets() -> set[str]:
    phony = re.search(r"^\.PHONY:((?:.*\\\n)*.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony
    return set(phony[1].replace("\\\n", " ").split())


def ready(project: Path, script: str) -> None:
    """A .venv that is up to date, whose `byline` is that script."""
    program = project / ".venv" / "bin" / "byline"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    for stamp in (".build-stamp", ".run-stamp", ".dev-stamp"):
        (project / ".venv" / stamp).touch()


def test_make_alone_lists_every_command(project: Path) -> None:
    listed = make(project).stdout
    assert listed == make(project, "help").stdout
    assert set(re.findall(r"^  make (\S+) +\S", listed, re.MULTILINE)) == targets()


@pytest.mark.parametrize("python", ["/bin/false", "no-such-python"])
def test_a_python_that_will_not_do_is_named(project: Path, python: str) -> None:
    outcome = make(project, "setup", f"PYTHON={python}")
    assert outcome.returncode == 2
    assert f"Byline needs Python 3.11 or later; '{python}' is:" in outcome.stderr
    assert "make run PYTHON=/path/to/python3.12" in outcome.stderr
    assert "virtual environment" not in outcome.stderr, "it stopped there"
    assert not (project / ".venv").exists()


def test_byline_runs_in_place_of_the_shell_and_is_told_who_started_it(project: Path) -> None:
    ready(project, 'echo "$BYLINE_UP_WITH_PARENT $PPID $*"')
    told, parent, arguments = make(project, "run", "ARGS=--logs").stdout.split(maxsplit=2)
    assert told == parent
    assert arguments == "up --logs\n"


def test_a_status_of_byline_is_not_lost(project: Path) -> None:
    ready(project, "exit 3")
    outcome = make(project, "run")
    assert outcome.returncode == 2
    assert "Error 3" in outcome.stderr


def test_clean_never_touches_the_data(project: Path, data: Path) -> None:
    ready(project, "")
    (data / "__pycache__").mkdir()
    assert make(project, "clean").returncode == 0
    assert not (project / ".venv").exists()
    assert (data / "__pycache__").exists()


@pytest.mark.parametrize("answer", ["", "yes\n", "delete it\n"])
def test_the_data_is_deleted_for_one_word_alone(project: Path, data: Path, answer: str) -> None:
    outcome = make(project, "clean-data", answer=answer)
    assert outcome.returncode == 2
    assert "Nothing was deleted." in outcome.stdout
    assert data.exists()

    in_memory = host_tokens_path(data)
    SharedHostTokens(in_memory)
    outcome = make(project, "clean-data", answer="delete\n")
    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert not data.exists()
    assert not in_memory.exists()


def test_data_in_use_is_not_deleted(project: Path, data: Path) -> None:
    with (data / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        outcome = make(project, "clean-data", answer="delete\n")
    assert outcome.returncode == 2
    assert "Byline is running on .byline: stop it first." in outcome.stderr
    assert data.exists()
