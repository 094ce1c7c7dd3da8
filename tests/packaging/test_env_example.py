"""`.env.example` tells every setting with its true default."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from infrastructure.settings import Settings

ROOT = Path(__file__).parents[2]
ENTRY = re.compile(r"^#?(BYLINE_[A-Z_0-9]+)=(.*)$")


def entries() -> dict[str, str]:
    lines = (ROOT / ".env.example").read_text().splitlines()
    return {match[1]: match[2] for match in map(ENTRY.match, lines) if match}


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The working directory, an empty one, with no setting in the environment either."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"BYLINE_{name.upper()}", raising=False)
    return tmp_path


def test_it_names_exactly_the_settings_that_exist() -> None:
    assert sorted(entries()) == sorted(f"BYLINE_{name.upper()}" for name in Settings.model_fields)


def test_a_copy_with_every_line_uncommented_changes_no_default(elsewhere: Path) -> None:
    defaults = Settings()
    (elsewhere / ".env").write_text("".join(f"{name}={value}\n" for name, value in entries().items() if value))

    assert Settings() == defaults


def test_what_it_leaves_empty_has_no_default(elsewhere: Path) -> None:
    empty = {name for name, value in entries().items() if not value}

    assert empty == {f"BYLINE_{name.upper()}" for name, default in Settings().model_dump().items() if default is None}


def test_every_setting_is_explained() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    unexplained = [line for above, line in pairwise(lines) if ENTRY.match(line) and not above.startswith("# ")]

    assert unexplained == []
