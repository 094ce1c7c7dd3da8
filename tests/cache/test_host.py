"""The tokens that the processes of a host share."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from socket import gethostname
from types import SimpleNamespace

import pytest

from infrastructure.cache import doubt, host
from infrastructure.cache.doubt import DOUBT_S
from infrastructure.cache.host import SLOTS, LocalHostTokens, SharedHostTokens, host_tokens_path
from infrastructure.container import Container
from infrastructure.settings import BadSettings, Settings

ANOTHER_PROCESS = """
import sys
from pathlib import Path
from infrastructure.cache.host import SharedHostTokens
tokens = SharedHostTokens(Path(sys.argv[1]))
tokens.forget(sys.argv[2:])
print(tokens.id, *(tokens.table[slot] for slot in tokens.slots(sys.argv[2:])))
"""


def test_what_is_forgotten_has_another_token_and_nothing_else_has() -> None:
    tokens = LocalHostTokens()
    slots = tokens.slots(("post:1", "all"))
    seen = {tokens.table[slot] for slot in slots}
    before = list(tokens.table)
    for _ in range(10):
        tokens.forget({"post:1", "all"})
        seen |= {tokens.table[slot] for slot in slots}
    assert len(seen) == 1 + 2 * 10
    changed = {slot for slot in range(SLOTS) if tokens.table[slot] != before[slot]}
    assert changed == set(slots)


def test_a_process_sees_what_another_forgot(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    tokens = SharedHostTokens(path)
    (slot,) = tokens.slots(("post:1",))
    before = tokens.table[slot]
    said = subprocess.run(
        [sys.executable, "-c", ANOTHER_PROCESS, str(path), "post:1"], check=True, capture_output=True, text=True
    )
    host_id, token = said.stdout.split()
    assert tokens.table[slot] == int(token) != before
    assert tokens.id == host_id


def test_a_host_has_its_doubt_in_common(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tokens"
    tokens, another, elsewhere = SharedHostTokens(path), SharedHostTokens(path), LocalHostTokens()
    assert not tokens.doubt
    now = time.monotonic()
    another.doubt.arise()
    assert tokens.doubt
    assert not elsewhere.doubt
    assert not any(tokens.table)

    monkeypatch.setattr(doubt, "time", SimpleNamespace(monotonic=lambda: now + DOUBT_S + 1.0))
    assert not tokens.doubt


def test_an_older_doubt_does_not_take_the_place_of_a_newer_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = SharedHostTokens(tmp_path / "tokens")
    moments = iter([100.0, *[200.0] * 5])  # it stood still between looking at the clock and writing
    monkeypatch.setattr(doubt, "time", SimpleNamespace(monotonic=lambda: next(moments)))
    tokens.doubt.arise()
    assert tokens.doubt


def test_a_doubt_of_before_the_machine_started_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = SharedHostTokens(tmp_path / "tokens")
    tokens.doubt.arise()
    monkeypatch.setattr(doubt, "time", SimpleNamespace(monotonic=lambda: 1.0))
    assert not tokens.doubt


def test_all_who_make_it_at_once_have_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tokens"
    none_found_it = threading.Barrier(8, timeout=20)
    make = host._make

    def make_with_others(path: Path) -> None:
        none_found_it.wait()
        make(path)

    monkeypatch.setattr(host, "_make", make_with_others)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: SharedHostTokens(path), range(8)))
    made[0].forget(["all"])
    (slot,) = made[0].slots(["all"])
    assert len({tokens.id for tokens in made}) == 1
    assert len({tokens.table[slot] for tokens in made}) == 1
    assert made[0].table[slot] != 0
    assert [found.name for found in tmp_path.iterdir()] == ["tokens"]


def test_it_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    SharedHostTokens(path)
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o660)
    with pytest.raises(PermissionError):
        SharedHostTokens(path)


def test_no_link_is_followed(tmp_path: Path) -> None:
    SharedHostTokens(tmp_path / "tokens")
    (tmp_path / "link").symlink_to(tmp_path / "tokens")
    (tmp_path / "nowhere").symlink_to(tmp_path / "new")
    for name in ("link", "nowhere"):
        with pytest.raises(OSError, match="symbolic links"):
            SharedHostTokens(tmp_path / name)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("content", [b"", b"x" * 100, b"x" * (64 + 8 * SLOTS)], ids=["empty", "short", "other"])
def test_a_file_of_something_else_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "tokens"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(OSError, match="no table of tokens"):
        SharedHostTokens(path)
    assert path.read_bytes() == content


def test_every_name_of_a_data_folder_has_the_same_table(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    path = host_tokens_path(tmp_path / "data")
    assert host_tokens_path(tmp_path / "link") == path
    assert host_tokens_path(tmp_path / "data" / ".." / "data") == path
    assert host_tokens_path(tmp_path) != path


def test_without_memory_for_files_it_lies_in_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infrastructure.cache.host._SHARED_MEMORY", tmp_path / "none")
    assert host_tokens_path(tmp_path) == tmp_path / f"host_tokens-{gethostname()}"


def test_no_store_needs_room_on_the_disk(tmp_path: Path) -> None:
    SharedHostTokens(tmp_path / "tokens")
    status = (tmp_path / "tokens").stat()
    assert status.st_blocks * 512 >= status.st_size


@pytest.mark.parametrize("name", ["file/tokens", "file", "folder"])
def test_a_file_that_cannot_be_used_is_named_with_what_to_do(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_bytes(b"of something else")
    (tmp_path / "file").chmod(0o600)
    (tmp_path / "folder").mkdir()
    container = Container(settings=Settings.model_validate({"host_tokens": tmp_path / name}))
    with pytest.raises(BadSettings) as raised:
        container.host_tokens()
    (problem,) = raised.value.problems
    assert problem.startswith(f"BYLINE_HOST_TOKENS: {tmp_path / name} cannot be used (")
    assert problem.endswith("or name another file.")
    assert "None" not in problem


def test_two_hosts_are_told_apart() -> None:
    assert LocalHostTokens().id != LocalHostTokens().id
    assert len(LocalHostTokens().id) == 16
