"""Under granian, what L1 has ready is answered in the thread in which granian calls Python; the event loop hears
nothing.

That thread hands each request over to the event loop's. A hot read spends more on that than on all else that Python
does for it (decision 0012). How it is handed over is no public part of granian, and pyproject.toml bounds its version:
where the function is missing, everything goes through the loop, and only speed is lost.
"""

import sys
from collections.abc import Callable
from typing import Any

import structlog
from starlette.types import Message

from interfaces.http.hot import HotReads

log = structlog.get_logger(__name__)

_HAND_OVER = "_cbsched_aioschedule"

Schedule = Callable[[Any], None]
"""Of a granian watcher: a request's scope, its two ends, and a word for its end."""


def answer_before_the_loop(hot: HotReads) -> None:
    """From now on, in workers of granian that begin in this process and serve `hot` itself. Where another application
    stands before it, or another server runs it, nothing changes."""
    futures = sys.modules.get("granian._futures")
    if futures is None:
        return
    hand_over_of: Callable[..., Schedule] | None = getattr(futures, _HAND_OVER, None)
    if hand_over_of is None:
        log.warning("granian_is_unknown", missing=_HAND_OVER)
        return

    def schedule_of(loop: Any, context: Any, callback: Any) -> Schedule:
        hand_over = hand_over_of(loop, context, callback)
        told: set[type[Exception]] = set()

        def schedule(watcher: Any) -> None:
            try:
                messages = hot.at_once(watcher.scope)
            except Exception as error:
                messages = None
                # Each request may meet with it.
                if type(error) not in told:
                    told.add(type(error))
                    log.exception("hot_reads_fail")
            if messages is None:
                hand_over(watcher)
            else:
                _send(messages, watcher)

        return schedule if _serves(callback, hot) else hand_over

    setattr(futures, _HAND_OVER, schedule_of)


def _serves(callback: Any, hot: HotReads) -> bool:
    """Whether granian made this callback of `hot`, around which it wraps two functions."""
    cells = getattr(callback, "__closure__", None) or ()
    return any(getattr(cell.cell_contents, "__wrapped__", None) is hot for cell in cells)


def _send(messages: tuple[Message, Message], watcher: Any) -> None:
    try:
        for message in messages:
            # Sent by then: what this returns is for a coroutine to await, which would not wait.
            watcher.proto.send(message)
    except Exception as error:
        watcher.err(error)
    else:
        watcher.done()
