"""What is seen of every statement and of the pools: slow statements in the log, counters for the metrics."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import structlog
from sqlalchemy import Engine, event

log = structlog.get_logger(__name__)

Watch = Callable[[str, float], None]
"""Told of a statement and of the seconds it took."""


@dataclass(slots=True)
class PoolCounters:
    """What happened in a pool since the start, by the names of SQLAlchemy's pool events; `timeout`: none was free."""

    connect: int = 0
    checkout: int = 0
    checkin: int = 0
    reset: int = 0
    invalidate: int = 0
    close: int = 0
    timeout: int = 0


class Statements:
    """Told of every statement, whichever pool it came through; COPY too, but not what begins and ends transactions.

    Those slower than `slow_s` are logged, without their parameters: these may be anybody's data.
    """

    def __init__(self, *, slow_s: float) -> None:
        self._slow_s = slow_s
        self._listeners: list[Watch] = []

    def __call__(self, statement: str, seconds: float) -> None:
        if seconds > self._slow_s:
            log.warning("slow_statement", statement=" ".join(statement.split()), seconds=round(seconds, 3))
        for listener in self._listeners:
            listener(statement, seconds)

    @contextmanager
    def seen(self) -> Iterator[list[str]]:
        """The text of every statement of the block."""
        texts: list[str] = []

        def note(statement: str, _seconds: float) -> None:
            texts.append(statement)

        self._listeners.append(note)
        try:
            yield texts
        finally:
            self._listeners.remove(note)


def watch_engine(engine: Engine, statements: Watch, counters: PoolCounters) -> None:
    @event.listens_for(engine, "before_cursor_execute")
    def began(_connection: Any, _cursor: Any, _statement: str, _values: Any, context: Any, _many: bool) -> None:
        context.byline_began = perf_counter()

    @event.listens_for(engine, "after_cursor_execute")
    def ended(_connection: Any, _cursor: Any, statement: str, _values: Any, context: Any, _many: bool) -> None:
        statements(statement, perf_counter() - context.byline_began)

    @event.listens_for(engine, "handle_error")
    def failed(context: Any) -> None:
        began = getattr(context.execution_context, "byline_began", None)
        if began is not None:
            statements(context.statement, perf_counter() - began)

    for name in ("connect", "checkout", "checkin", "reset", "invalidate", "close"):
        _count(engine, name, counters)


def _count(engine: Engine, name: str, counters: PoolCounters) -> None:
    def happened(*_: object) -> None:
        setattr(counters, name, getattr(counters, name) + 1)

    event.listen(engine, name, happened)
