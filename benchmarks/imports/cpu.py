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

    def told(self) -> dict[str, float]:
        return {"PostgreSQL's backends": self.backends, "PostgreSQL's others": self.others}


def loop_seconds(pid: int) -> float:
    """Of the thread that has the process's number, which runs the event loop."""
    return sum(own.user_time + own.system_time for own in psutil.Process(pid).threads() if own.id == pid)


@dataclass(frozen=True, slots=True)
class MachineCpu:
    """Seconds so far of all cores: at work for anybody, and in all."""

    busy: float
    total: float

    @classmethod
    def now(cls) -> "MachineCpu":
        times = psutil.cpu_times()
        total = float(sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0))
        return cls(total - times.idle - getattr(times, "iowait", 0.0), total)

    def share_of_others(self, own: float) -> float:
        """Of the machine since then, beside `own` seconds."""
        since = MachineCpu.now()
        return max(since.busy - self.busy - own, 0.0) / (since.total - self.total)


def children_seconds() -> float:
    """Of this process's children that have ended."""
    times = psutil.Process().cpu_times()
    return float(times.children_user + times.children_system)


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
