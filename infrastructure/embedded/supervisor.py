"""Keeps children running for as long as it runs itself, and leaves none behind."""

import asyncio
import signal
from collections.abc import Callable
from types import TracebackType
from typing import Self

import structlog

from infrastructure.embedded.errors import EmbeddedError
from infrastructure.embedded.process import Child, Process

log = structlog.get_logger()

DEATHS_BEFORE_READY = 5
FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 5.0
STABLE_S = 10.0
"""A run this long makes earlier deaths forgotten: the next start comes quickly again."""
FIRST_POLL_S = 0.003
LONGEST_POLL_S = 0.05
PROBE_S = 2.0
TAIL_LENGTH = 4096
TAIL_LINES = 20


class ChildFailed(EmbeddedError):
    """A child cannot be brought up. The message ends with the last lines of its log."""


class Supervisor:
    """Starts children, starts them again when they die, and stops them last first.

    As a context manager it owns the signals SIGINT, SIGTERM and SIGHUP: one of them ends the body, wherever it waits,
    and then all children; a second one kills at once what still lives. A failure ends the body, too, and is raised.

        async with Supervisor() as supervisor:
            await supervisor.start(database, cache)
            await supervisor.start(api)
            await supervisor.wait()
    """

    def __init__(self) -> None:
        self._groups: list[list[_Keeper]] = []
        self._failure: BaseException | None = None
        self._body: asyncio.Task[object] | None = None
        self._interrupted = False
        self._stopping = False

    async def start(self, *children: Child) -> None:
        """Start these side by side and return when all are ready. After a failure everything is stopped.

        Raises ChildFailed for one that dies five times before it was ever ready, or is not ready in its time.
        """
        group = [_Keeper(child, self._fail) for child in children]
        self._groups.append(group)
        try:
            await asyncio.gather(*(keeper.ready() for keeper in group))
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop all children: those started last first, those started together at once. Bounded by their timeouts."""
        self._stopping = True
        for group in reversed(self._groups):
            await asyncio.gather(*(keeper.stop() for keeper in group))
        self._groups.clear()

    async def wait(self) -> None:
        """Wait for the signal or failure that ends the body."""
        await asyncio.get_running_loop().create_future()

    async def __aenter__(self) -> Self:
        self._body = asyncio.current_task()
        loop = asyncio.get_running_loop()
        for number in self._signals():
            loop.add_signal_handler(number, self._interrupt, number)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        stop = asyncio.ensure_future(self.stop())
        while not stop.done():
            try:
                await asyncio.wait({stop})
            except asyncio.CancelledError:  # a signal that came as the body ended; the stop is bounded as it is
                continue
        loop = asyncio.get_running_loop()
        for number in self._signals():
            loop.remove_signal_handler(number)
        stop.result()
        if not isinstance(error, asyncio.CancelledError | None):
            return False
        if self._body is not None and (self._interrupted or self._failure):
            self._body.uncancel()
        if self._failure:
            raise self._failure from None
        return self._interrupted

    @staticmethod
    def _signals() -> list[signal.Signals]:
        hangup = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]  # as nohup wants it
        return [signal.SIGINT, signal.SIGTERM, *hangup]

    def _interrupt(self, number: signal.Signals) -> None:
        if self._interrupted or self._stopping:
            log.warning("killing", signal=number.name)
            for group in self._groups:
                for keeper in group:
                    keeper.kill()
        else:
            self._interrupted = True
            self._end_body()

    def _fail(self, failure: BaseException) -> None:
        if not self._stopping:
            self._failure = failure
            self._end_body()

    def _end_body(self) -> None:
        if self._body is not None:
            self._body.cancel()


class _Keeper:
    """Keeps one child running."""

    def __init__(self, child: Child, fail: Callable[[BaseException], None]) -> None:
        self._child = child
        self._fail = fail
        self._logged_before = child.logged()
        self._process: Process | None = None
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._keep(), name=f"keep {child.name}")
        self._task.add_done_callback(self._ended)

    async def ready(self) -> None:
        await self._ready

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})
        if self._process is not None:
            await self._process.stop(was_ready=self._ready.done() and not self._ready.cancelled())
        self._sweep()

    async def _keep(self) -> None:
        deaths = 0
        while True:
            self._sweep()
            process = self._process = Process(self._child)
            if await self._becomes_ready(process):
                if self._ready.done():
                    log.warning("child_restarted", child=self._child.name, pid=process.pid)
                else:
                    self._ready.set_result(None)
            status = await process.wait()
            deaths = 1 if self._ready.done() and process.age_s > STABLE_S else deaths + 1
            if not self._ready.done() and deaths == DEATHS_BEFORE_READY:
                raise ChildFailed(f"{self._child.name} ended {deaths} times (status {status}).{self._tail()}")
            log.warning("child_died", child=self._child.name, pid=process.pid, status=status)
            await asyncio.sleep(min(FIRST_PAUSE_S * 2 ** min(deaths - 1, 10), LONGEST_PAUSE_S))

    async def _becomes_ready(self, process: Process) -> bool:
        """False when it died instead, be it because it took too long at a later start."""
        pause_s = FIRST_POLL_S
        while process.age_s < self._child.ready_timeout_s:
            if await process.ends_within(pause_s):
                return False
            if await self._probe():
                return True
            pause_s = min(pause_s * 1.2, LONGEST_POLL_S)
        if not self._ready.done():
            late_s = self._child.ready_timeout_s
            raise ChildFailed(f"{self._child.name} was not ready within {late_s:g} s.{self._tail()}")
        process.kill()
        return False

    async def _probe(self) -> bool:
        if self._child.ready is None:
            return True
        try:
            async with asyncio.timeout(PROBE_S):
                return await self._child.ready()
        except OSError:  # a TimeoutError is one, too
            return False

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            self._ready.cancel()
        elif failure := task.exception():
            if self._ready.done():
                self._fail(failure)
            else:
                self._ready.set_exception(failure)

    def _sweep(self) -> None:
        if self._child.sweep is not None:
            self._child.sweep()

    def _tail(self) -> str:
        lines = self._child.output(since=self._logged_before)[-TAIL_LENGTH:].splitlines()[-TAIL_LINES:]
        return "\n".join([f" The end of {self._child.log}:", *lines]) if lines else ""
