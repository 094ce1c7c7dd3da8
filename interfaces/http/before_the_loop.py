"""Under granian, what L1 has ready is answered by the thread that has read the request; the event loop hears nothing.

Granian's server has threads of its own, and hands each request over to the event loop's. A hot read spends more on that
than on all else that Python does for it (decision 0012). How it hands over is no public part of granian: where that is
not what is known here, everything goes through the loop, and only speed is lost.
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


def answer_before_the_loop(hot: HotReads) -> bool:
    """From now on, in workers of granian that begin in this process; false where this is no such process."""
    futures = sys.modules.get("granian._futures")
    if futures is None:
        return False
    hand_over_of: Callable[..., Schedule] | None = getattr(futures, _HAND_OVER, None)
    if hand_over_of is None:
        log.warning("granian_is_unknown", missing=_HAND_OVER)
        return False

    def schedule_of(*how: Any) -> Schedule:
        hand_over = hand_over_of(*how)

        def schedule(watcher: Any) -> None:
            try:
                messages = hot.at_once(watcher.scope)
            except Exception:
                # The loop meets with it again, and tells it.
                messages = None
            if messages is None:
                hand_over(watcher)
            else:
                _send(messages, watcher)

        return schedule

    setattr(futures, _HAND_OVER, schedule_of)
    return True


def _send(messages: tuple[Message, Message], watcher: Any) -> None:
    try:
        for message in messages:
            # Sent by then: what this returns is for a coroutine to await, which would not wait.
            watcher.proto.send(message)
    except Exception as error:
        watcher.err(error)
    else:
        watcher.done()
