"""The supervisor as the top of a process tree: what signals and failures do to it and to its children."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from tests.embedded.trees import BOUND_S, ROOT, all_gone, ended, eventually, spawn

pytestmark = pytest.mark.e2e

SLEEPER = "echo $$; sleep 60 & wait"
STUBBORN = "trap '' TERM; echo $$; while :; do sleep 0.01; done"


@asynccontextmanager
async def running(folder: Path, script: str, body: str) -> AsyncIterator[tuple[Process, list[psutil.Process]]]:
    """The supervisor, with its child started, and that child with its children."""
    argv = [sys.executable, "-m", "tests.embedded.body", script, body]
    async with ended(
        await spawn(*argv, cwd=folder, env={"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])})
    ) as process:
        if body == "start":
            log = folder / "logs" / "child.log"
            await eventually(lambda: log.exists() and log.read_text() != "", "the child speaks")
        else:
            assert process.stdout is not None
            async with asyncio.timeout(BOUND_S):
                assert await process.stdout.readline() == b"ready\n"
        yield process, psutil.Process(process.pid).children(recursive=True)


async def output(process: Process) -> tuple[int, list[str], str]:
    async with asyncio.timeout(BOUND_S):
        out, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode().split(), errors.decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_ends_the_body_and_its_children(tmp_path: Path, number: signal.Signals) -> None:
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip(f"These tests run where {number.name} is ignored, as under nohup.")
    async with running(tmp_path, SLEEPER, "wait") as (process, children):
        process.send_signal(number)
        assert await output(process) == (0, ["stopped"], "")
        await all_gone(children)


async def test_a_signal_ends_a_start_that_waits_for_its_children(tmp_path: Path) -> None:
    async with running(tmp_path, SLEEPER, "start") as (process, children):
        process.send_signal(signal.SIGTERM)
        assert await output(process) == (0, ["stopped"], "")
        await all_gone(children)


async def test_a_second_signal_waits_for_nobody(tmp_path: Path) -> None:
    async with running(tmp_path, STUBBORN, "wait") as (process, children):
        process.send_signal(signal.SIGINT)
        # Signals of one number that are pending together count as one, so the second is another.
        process.send_signal(signal.SIGTERM)
        status, said, _ = await output(process)
        assert (status, said[-1]) == (0, "stopped")
        await all_gone(children)


async def test_a_body_that_fails_takes_its_children_along(tmp_path: Path) -> None:
    async with running(tmp_path, SLEEPER, "fail") as (process, children):
        assert process.stdin is not None
        process.stdin.write(b"\n")
        status, _, errors = await output(process)
        assert status == 1
        assert "LookupError: the body failed" in errors
        await all_gone(children)


async def test_a_child_that_cannot_be_started_again_ends_the_body(tmp_path: Path) -> None:
    async with running(tmp_path, SLEEPER, "wait") as (process, children):
        logs = tmp_path / "logs"
        logs.rename(tmp_path / "old")
        logs.touch()
        children[0].kill()
        status, _, errors = await output(process)
        assert status == 1
        assert "FileExistsError" in errors
        await all_gone(children)


async def test_kill_9_of_the_supervisor_ends_its_child(tmp_path: Path) -> None:
    async with running(tmp_path, "echo $$; exec sleep 60", "wait") as (process, children):
        process.kill()
        await process.wait()
        await all_gone(children)


async def test_a_child_whose_parent_died_before_it_could_ask_ends_itself(tmp_path: Path) -> None:
    launcher = ROOT / "infrastructure" / "embedded" / "launch.py"
    somebody_else = str(os.getppid())
    argv = [sys.executable, str(launcher), somebody_else, "9", "-1", "-1", "/bin/echo", "alive"]
    async with ended(await spawn(*argv)) as process:
        status, said, errors = await output(process)
        assert (status, said) == (1, [])
        assert "parent died" in errors
