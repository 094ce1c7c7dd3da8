"""Servers that outlived an earlier run, as a busy PostgreSQL backend does when its postmaster is killed."""

import time
from contextlib import suppress
from pathlib import Path

import psutil

from infrastructure.embedded.errors import EmbeddedError

BOUND_S = 5.0


class LeftoverAlive(EmbeddedError):
    """A process of an earlier run does not die."""


def end_leftovers(folder: Path, *, program: str, pid_file: str) -> None:
    """Kill every `program` that works in `folder`, and remove `pid_file`, which only an unclean end leaves there.

    The caller holds the lock of the data folder, so none of them belongs to a Byline that runs. Both servers recover
    from being killed. Raises LeftoverAlive after five seconds.
    """
    stale = folder / pid_file
    if not stale.exists():
        return
    left = [process for process in psutil.process_iter() if _works_in(process, folder, program)]
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    deadline = time.monotonic() + BOUND_S
    while alive := [process.pid for process in left if _is_alive(process)]:
        if time.monotonic() > deadline:
            raise LeftoverAlive(f"Processes {alive} of an earlier start still work in {folder} and cannot be ended.")
        time.sleep(0.002)
    stale.unlink(missing_ok=True)


def _works_in(process: psutil.Process, folder: Path, program: str) -> bool:
    try:
        return process.name() == program and process.cwd() == str(folder)
    except psutil.Error:  # gone meanwhile, or somebody else's
        return False


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
