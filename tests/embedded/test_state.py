import os
import subprocess
from dataclasses import replace
from pathlib import Path

import psutil

from infrastructure.embedded.state import Running, read_state, remove_state, write_state


def this_process() -> Running:
    return Running.this_process(
        database_url="postgresql://localhost/byline", redis_url="redis://localhost", http_url="http://localhost"
    )


def test_a_running_byline_is_found(tmp_path: Path) -> None:
    running = this_process()
    write_state(tmp_path / "state.json", running)
    assert read_state(tmp_path / "state.json") == running
    assert running.pid == os.getpid()


def test_nobody_else_may_read_the_state(tmp_path: Path) -> None:
    write_state(tmp_path / "state.json", this_process())
    assert (tmp_path / "state.json").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


def test_a_pid_that_is_gone_is_not_running(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as ended:
        pass
    write_state(tmp_path / "state.json", replace(this_process(), pid=ended.pid))
    assert read_state(tmp_path / "state.json") is None


def test_a_pid_that_another_process_has_now_is_not_running(tmp_path: Path) -> None:
    running = this_process()
    write_state(tmp_path / "state.json", replace(running, started_at=running.started_at - 60))
    assert read_state(tmp_path / "state.json") is None


def test_a_dead_process_that_waits_to_be_reaped_is_not_running(tmp_path: Path) -> None:
    with subprocess.Popen(["true"], stdout=subprocess.PIPE) as zombie:
        assert zombie.stdout is not None
        zombie.stdout.read()
        os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
        started_at = psutil.Process(zombie.pid).create_time()
        assert not replace(this_process(), pid=zombie.pid, started_at=started_at).is_alive()


def test_no_file_or_half_a_file_is_nobody_running(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    assert read_state(path) is None
    path.write_text('{"pid": ')
    assert read_state(path) is None
    path.write_text('{"pid": "one"}')
    assert read_state(path) is None
    remove_state(path)
    remove_state(path)
    assert not path.exists()
