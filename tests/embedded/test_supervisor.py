"""The supervisor, with children that are a few lines of shell or Python."""

import asyncio
import errno
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from infrastructure.embedded import process
from infrastructure.embedded.process import Child, Program, ProgramFailed, run
from infrastructure.embedded.supervisor import ChildFailed, Supervisor
from tests.embedded.trees import all_gone, eventually

pytestmark = pytest.mark.e2e


def shell(
    name: str,
    script: str,
    folder: Path,
    *,
    ready: Callable[[], bool] = lambda: True,
    stop_signals: tuple[signal.Signals, ...] = (signal.SIGTERM,),
    stop_timeout_s: float = 20.0,
    ready_timeout_s: float = 20.0,
) -> Child:
    async def is_ready() -> bool:
        return ready()

    return Child(
        name,
        Program(("/bin/sh", "-c", script), env={"PATH": os.environ["PATH"]}, cwd=folder),
        ready=is_ready,
        log=folder / f"{name}.log",
        stop_signals=stop_signals,
        stop_timeout_s=stop_timeout_s,
        ready_timeout_s=ready_timeout_s,
    )


@asynccontextmanager
async def supervised(*children: Child) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor()
    try:
        await supervisor.start(*children)
        yield supervisor
    finally:
        await supervisor.stop()


def said(folder: Path, name: str) -> list[str]:
    path = folder / f"{name}.log"
    return path.read_text().split() if path.exists() else []


@pytest.fixture(params=["pidfd", "polling"])
def watching(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How the end of a child is seen: by the kernel's word, or, where it has none, by looking."""

    def not_here(pid: int) -> int:
        raise OSError(errno.ENOSYS, "no pidfd_open")

    if request.param == "polling":
        monkeypatch.setattr(os, "pidfd_open", not_here)


@pytest.mark.usefixtures("watching")
async def test_a_child_that_dies_is_started_again(tmp_path: Path) -> None:
    async with supervised(shell("child", "echo $$; exec sleep 60", tmp_path)):
        await eventually(lambda: len(said(tmp_path, "child")) == 1, "it speaks")
        os.kill(int(said(tmp_path, "child")[0]), signal.SIGKILL)
        await eventually(lambda: len(said(tmp_path, "child")) == 2, "it speaks again")
    assert not any(psutil.pid_exists(int(pid)) for pid in said(tmp_path, "child"))


@pytest.mark.usefixtures("watching")
async def test_what_a_dead_child_leaves_in_its_group_dies_before_it_is_started_again(tmp_path: Path) -> None:
    async with supervised(shell("child", "sleep 60 & echo $! $$; wait", tmp_path)):
        await eventually(lambda: len(said(tmp_path, "child")) == 2, "it speaks")
        grandchild, child = map(int, said(tmp_path, "child"))
        orphan = psutil.Process(grandchild)
        os.kill(child, signal.SIGKILL)
        await eventually(lambda: len(said(tmp_path, "child")) == 4, "it speaks again")
        await all_gone([orphan])


async def test_one_that_keeps_dying_before_it_is_ready_ends_everything_and_shows_its_log(tmp_path: Path) -> None:
    (tmp_path / "broken.log").write_text("what an earlier start said\n")
    supervisor = Supervisor()
    sound = shell("sound", "echo $$; exec sleep 60", tmp_path)
    broken = shell("broken", "echo the disk is full; exit 7", tmp_path, ready=lambda: False)
    await supervisor.start(sound)
    with pytest.raises(ChildFailed, match=r"broken ended 5 times \(status 7\)") as failure:
        await supervisor.start(broken)
    assert str(failure.value).count("the disk is full") == 5
    assert "an earlier start" not in str(failure.value)
    assert not psutil.pid_exists(int(said(tmp_path, "sound")[0]))


async def test_one_that_is_not_ready_in_its_time_ends_everything(tmp_path: Path) -> None:
    slow = shell("slow", "echo $$; exec sleep 60", tmp_path, ready=lambda: False, ready_timeout_s=0.3)
    with pytest.raises(ChildFailed, match=r"slow was not ready within 0\.3 s"):
        await Supervisor().start(slow)
    assert not psutil.pid_exists(int(said(tmp_path, "slow")[0]))


async def test_the_last_started_are_stopped_first(tmp_path: Path) -> None:
    def child(name: str) -> Child:
        script = f"trap 'echo {name} >> order; exit' TERM; touch {name}.up; while :; do sleep 0.01; done"
        return shell(name, script, tmp_path, ready=(tmp_path / f"{name}.up").exists)

    supervisor = Supervisor()
    await supervisor.start(child("database"))
    await supervisor.start(child("api"))
    await supervisor.stop()
    assert (tmp_path / "order").read_text().split() == ["api", "database"]


async def test_a_signal_that_came_before_its_handler_is_repeated(tmp_path: Path) -> None:
    script = "trap '' TERM; touch up; sleep 0.4; trap 'echo heard; exit' TERM; while :; do sleep 0.01; done"
    supervisor = Supervisor()
    await supervisor.start(shell("deaf", script, tmp_path, ready=(tmp_path / "up").exists))
    await supervisor.stop()
    assert said(tmp_path, "deaf") == ["heard"]


async def test_a_signal_to_one_that_is_not_ready_yet_is_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "DEAF_S", 0.1)
    script = "trap 'trap \"echo heard; exit\" TERM' TERM; echo $$; while :; do sleep 0.01; done"
    starting = asyncio.create_task(Supervisor().start(shell("slow", script, tmp_path, ready=lambda: False)))
    await eventually(lambda: said(tmp_path, "slow") != [], "it speaks")
    began = time.monotonic()
    await eventually(lambda: time.monotonic() - began > 0.2, "it is older than a process that is deaf")
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert said(tmp_path, "slow")[1:] == ["heard"]


async def test_one_that_is_ready_gets_its_signal_once_and_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "DEAF_S", 0.1)
    script = "trap 'echo heard; sleep 0.5; exit' TERM; touch up; while :; do sleep 0.01; done"
    supervisor = Supervisor()
    await supervisor.start(shell("busy", script, tmp_path, ready=(tmp_path / "up").exists))
    began = time.monotonic()
    await eventually(lambda: time.monotonic() - began > 0.2, "it is older than a process that is deaf")
    await supervisor.stop()
    assert said(tmp_path, "busy") == ["heard"]


async def test_one_that_does_not_listen_gets_the_next_signal_and_then_is_killed(tmp_path: Path) -> None:
    script = "trap '' TERM; trap 'echo interrupted' INT; echo $$; touch up; while :; do sleep 0.01; done"
    signals = (signal.SIGTERM, signal.SIGINT)
    stubborn = shell(
        "stubborn", script, tmp_path, ready=(tmp_path / "up").exists, stop_signals=signals, stop_timeout_s=0.2
    )
    supervisor = Supervisor()
    await supervisor.start(stubborn)
    await supervisor.stop()
    pid, *heard = said(tmp_path, "stubborn")
    assert "interrupted" in heard
    assert not psutil.pid_exists(int(pid))


async def test_a_long_log_is_put_aside_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "child.log").write_bytes(b"." * (8 * 1024 * 1024 + 1))
    async with supervised(shell("child", "echo new; exec sleep 60", tmp_path)):
        await eventually(lambda: said(tmp_path, "child") == ["new"], "it speaks")
    assert (tmp_path / "child.old.log").stat().st_size > 8 * 1024 * 1024


async def test_a_child_lives_in_a_session_of_its_own_and_inherits_nothing(tmp_path: Path) -> None:
    os.environ["BYLINE_TEST_LEAK"] = "leaked"
    try:
        async with supervised(shell("child", "env | grep LEAK; ps -o sid= -p $$; echo $$; exec sleep 60", tmp_path)):
            await eventually(lambda: len(said(tmp_path, "child")) == 2, "it speaks")
    finally:
        del os.environ["BYLINE_TEST_LEAK"]
    session, pid = said(tmp_path, "child")
    assert session == pid


def test_a_child_is_not_started_from_a_thread_with_which_it_would_die() -> None:
    with ThreadPoolExecutor(1) as threads, pytest.raises(RuntimeError, match="main thread"):
        threads.submit(asyncio.run, run(Program(("/bin/true",), env={}), timeout_s=10)).result()


async def test_a_program_that_fails_says_what_it_said() -> None:
    assert await run(Program(("/bin/sh", "-c", "cat"), env={}, stdin="heard"), timeout_s=10) == "heard"
    with pytest.raises(ProgramFailed, match="status 3: no room"):
        await run(Program(("/bin/sh", "-c", "echo no room >&2; exit 3"), env={}), timeout_s=10)


def lingering(folder: Path) -> Program:
    return Program(("/bin/sh", "-c", "sleep 60 & echo $! > pid; echo waiting; wait"), env=dict(os.environ), cwd=folder)


async def test_a_program_that_takes_too_long_is_killed_with_its_children(tmp_path: Path) -> None:
    with pytest.raises(ProgramFailed, match=r"not end within 0\.5 s: waiting"):
        await run(lingering(tmp_path), timeout_s=0.5)
    await gone(int((tmp_path / "pid").read_text()))


async def test_a_program_that_nobody_waits_for_any_more_is_killed_with_its_children(tmp_path: Path) -> None:
    waiting = asyncio.create_task(run(lingering(tmp_path), timeout_s=60))
    pid = tmp_path / "pid"
    await eventually(lambda: pid.exists() and pid.read_text() != "", "it runs")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await gone(int(pid.read_text()))


async def gone(pid: int) -> None:
    if psutil.pid_exists(pid):
        await all_gone([psutil.Process(pid)])
