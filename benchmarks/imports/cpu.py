"""Whose CPU an import takes: its worker's threads, PostgreSQL's backends, PostgreSQL's own processes."""

from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class PostgresCpu:
    """Seconds so far. `backends` are those of clients, also of clients that are gone; `others` write what they leave:
    write-ahead log, checkpoints, vacuum."""

    backends: float
    others: float

    @classmethod
    def now(cls, postmaster: int) -> "PostgresCpu":
        top = psutil.Process(postmaster)
        of_gone = top.cpu_times().children_user + top.cpu_times().children_system
        living = others = 0.0
        for child in top.children():
            try:
                spent, title = _seconds(child), " ".join(child.cmdline())
            except psutil.NoSuchProcess:
                continue
            if "127.0.0.1(" in title:
                living += spent
            else:
                others += spent
        return cls(of_gone + living, others)

    def __sub__(self, earlier: "PostgresCpu") -> "PostgresCpu":
        return PostgresCpu(self.backends - earlier.backends, self.others - earlier.others)


def process_seconds(pid: int) -> float:
    return _seconds(psutil.Process(pid))


def thread_seconds(pid: int) -> dict[int, float]:
    """By thread; the one with the process's number runs the event loop."""
    return {thread.id: thread.user_time + thread.system_time for thread in psutil.Process(pid).threads()}


def children_seconds() -> float:
    """Of this process's children that have ended."""
    times = psutil.Process().cpu_times()
    return float(times.children_user + times.children_system)


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
