"""Where the command line finds the Byline that is running on a data folder."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil

SAME_START_S = 2.0
"""The start of a process is computed from the boot time, which moves a little as the clock is set."""


@dataclass(frozen=True, slots=True)
class Running:
    """The top process and how to reach what it runs. The URLs hold passwords."""

    pid: int
    started_at: float
    """Seconds since the epoch; with it a pid that was given to another process is not mistaken for this one."""
    database_url: str
    redis_url: str
    http_url: str | None = None
    """None until the API answers."""

    @classmethod
    def this_process(cls, *, database_url: str, redis_url: str, http_url: str | None = None) -> "Running":
        started_at = psutil.Process().create_time()
        return cls(os.getpid(), started_at, database_url=database_url, redis_url=redis_url, http_url=http_url)

    def is_alive(self) -> bool:
        try:
            process = psutil.Process(self.pid)
            alive = process.status() != psutil.STATUS_ZOMBIE
            return alive and abs(process.create_time() - self.started_at) < SAME_START_S
        except psutil.NoSuchProcess:
            return False


def write_state(path: Path, running: Running) -> None:
    """Replace the file in one step, readable by the owner alone: a reader sees the old state or the new one."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(running))
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def read_state(path: Path) -> Running | None:
    """The Byline that is running now. None where there is no file, no sense in it, or its process is gone."""
    try:
        running = msgspec.json.decode(path.read_bytes(), type=Running)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return running if running.is_alive() else None


def remove_state(path: Path) -> None:
    path.unlink(missing_ok=True)
