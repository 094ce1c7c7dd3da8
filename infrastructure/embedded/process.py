"""One child process: how it is started, watched and stopped."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from infrastructure.embedded.errors import EmbeddedError
from infrastructure.embedded.users import ServerUser

LAUNCHER = Path(__file__).with_name("launch.py")
DEAF_S = 1.0
"""A signal to a process this young, or to one that is not ready yet, may come before its handlers and be lost."""
LOG_LIMIT_BYTES = 8 * 1024 * 1024
KEEP_USER = ("-1", "-1")


class ProgramFailed(EmbeddedError):
    """A program that should have done its work did not. The message holds what it said."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to execute, as whom and where."""

    argv: tuple[str, ...]
    """The program by its absolute path, and its arguments."""
    env: Mapping[str, str]
    """The whole environment; nothing is inherited."""
    cwd: Path | None = None
    """Entered before the user is changed, so it may lie where that user has no way to it."""
    user: ServerUser | None = None
    stdin: str = ""
    death_signal: signal.Signals = signal.SIGKILL
    """What the kernel sends it when the thread that started it ends, be it by `kill -9` (Linux)."""


@dataclass(frozen=True, slots=True)
class Child:
    """What the supervisor keeps running."""

    name: str
    program: Program
    ready: Callable[[], Awaitable[bool]] | None = None
    """Whether it serves now; an OSError means no. None: as soon as it runs."""
    ready_timeout_s: float = 60.0
    log: Path | None = None
    """None: the supervisor's own output."""
    stop_signals: tuple[signal.Signals, ...] = (signal.SIGTERM,)
    """Sent in turn, each with `stop_timeout_s` to work; then its process group is killed."""
    stop_timeout_s: float = 10.0
    sweep: Callable[[], None] | None = None
    """Ends what an earlier run left behind outside its process group; called before every start and after the stop."""

    def logged(self) -> int:
        """How many bytes its log holds."""
        return self.log.stat().st_size if self.log and self.log.exists() else 0

    def output(self, *, since: int = 0) -> str:
        """What its log holds after so many bytes; all of it when that log was put aside meanwhile."""
        if self.log is None or not self.log.exists():
            return ""
        content = self.log.read_bytes()
        return content[since if since <= len(content) else 0 :].decode(errors="replace")


class Process:
    """One run of a child, in a session of its own, so that Ctrl-C at the terminal reaches the supervisor alone."""

    def __init__(self, child: Child) -> None:
        """Start it. Call from the main thread of a process with an event loop."""
        self.child = child
        self._exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._started_at = time.monotonic()
        with _opened(child.log) as output:
            self._popen = _start(child.program, output)
        self._watch()

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def age_s(self) -> float:
        return time.monotonic() - self._started_at

    async def wait(self) -> int:
        """Its return code, as subprocess gives it. By then what was left of its process group was killed, too."""
        return await asyncio.shield(self._exited)

    async def ends_within(self, seconds: float) -> bool:
        await asyncio.wait({self._exited}, timeout=seconds)
        return self._exited.done()

    async def stop(self, *, was_ready: bool = True) -> None:
        """End it, kindly first. Returns when it is dead, which is bounded by its timeouts.

        A second signal of a kind may mean haste to it, so it is sent only where the first may have been lost.
        """
        for number in self.child.stop_signals:
            deaf_s = DEAF_S - self.age_s if was_ready else DEAF_S
            self._popen.send_signal(number)
            if deaf_s > 0 and not await self.ends_within(deaf_s):
                self._popen.send_signal(number)
            if await self.ends_within(self.child.stop_timeout_s):
                return
        self.kill()
        await self.wait()

    def kill(self) -> None:
        """At once, with its process group."""
        if self._exited.done():  # its number may be another's by now
            return
        with suppress(ProcessLookupError, PermissionError):  # nobody is left in it; macOS says the latter of zombies
            os.killpg(self.pid, signal.SIGKILL)

    def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            descriptor = os.pidfd_open(self.pid) if sys.platform == "linux" else None
        except OSError:  # a kernel or a sandbox without it
            descriptor = None
        if descriptor is None:
            self._poll(loop)
        else:
            loop.add_reader(descriptor, self._reap, loop, descriptor)

    def _reap(self, loop: asyncio.AbstractEventLoop, descriptor: int) -> None:
        loop.remove_reader(descriptor)
        os.close(descriptor)
        self.kill()  # while the dead leader still holds the group's number
        self._exited.set_result(self._popen.wait())

    def _poll(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._popen.poll() is None:
            loop.call_later(0.02, self._poll, loop)
        else:
            self.kill()
            self._exited.set_result(self._popen.returncode)


async def run(program: Program, *, timeout_s: float) -> str:
    """Wait for a program that ends by itself, and return what it said; like any child it dies with this process.

    When the wait is cancelled it is killed. Raises ProgramFailed, also when it takes longer than `timeout_s`.
    """
    with tempfile.TemporaryDirectory() as folder:
        child = Child("once", program, log=Path(folder, "output"), stop_signals=())
        process = Process(child)
        try:
            ended = await process.ends_within(timeout_s)
        finally:
            await process.stop()
        status, said = await process.wait(), child.output().strip()
    if not ended:
        raise ProgramFailed(f"{program.argv[0]} did not end within {timeout_s:g} s: {said}")
    if status != 0:
        raise ProgramFailed(f"{program.argv[0]} ended with status {status}: {said}")
    return said


def _start(program: Program, output: int | None) -> subprocess.Popen[bytes]:
    with tempfile.TemporaryFile() as stdin:
        stdin.write(program.stdin.encode())
        stdin.seek(0)
        return subprocess.Popen(  # noqa: S603 - the supervisor is there to run what it is given
            _launcher(program),
            env=program.env,
            cwd=program.cwd,
            start_new_session=True,
            stdin=stdin,
            stdout=output,
            stderr=output,
        )


@contextmanager
def _opened(log: Path | None) -> Iterator[int | None]:
    if log is None:
        yield None
        return
    log.parent.mkdir(mode=0o700, exist_ok=True)
    if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
        log.replace(log.with_suffix(".old" + log.suffix))
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _launcher(program: Program) -> list[str]:
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("A child dies with the thread that started it; start it on the main thread.")
    uid, gid = KEEP_USER if program.user is None else (str(program.user.uid), str(program.user.gid))
    launch = [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), str(int(program.death_signal)), uid, gid]
    return [*launch, *program.argv]
