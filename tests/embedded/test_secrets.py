import os
from pathlib import Path
from uuid import uuid4

import pytest

from infrastructure.embedded.secrets import kept_secret


def make() -> str:
    return uuid4().hex


def fail() -> str:
    raise RuntimeError


def test_a_secret_is_made_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "secret"
    made = kept_secret(path, make)
    assert kept_secret(path, fail) == made == path.read_text()


def test_its_owner_alone_may_read_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        kept_secret(tmp_path / "secret", make)
    finally:
        os.umask(before)
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


def test_whoever_is_second_gets_the_first_ones_secret(tmp_path: Path) -> None:
    path = tmp_path / "secret"

    def overtaken() -> str:
        kept_secret(path, lambda: "the first")
        return "the second"

    assert kept_secret(path, overtaken) == "the first"
    assert [file.name for file in tmp_path.iterdir()] == ["secret"]


def test_a_secret_that_could_not_be_made_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        kept_secret(tmp_path / "secret", fail)
    assert not list(tmp_path.iterdir())
