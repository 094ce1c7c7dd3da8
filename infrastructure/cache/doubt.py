"""Whether what this host finds in Redis is to be believed."""

import time

DOUBT_S = 10.0
"""Much longer than an attempt to connect and the pause before the next one take, each of which renews it; and where the
process that missed something has ended, than the outbox takes to repair it."""


class Doubt:
    """Of all processes of a host, who have `until` in common: something that one of them acknowledged may not be
    forgotten in Redis yet. It passes DOUBT_S after it arose last."""

    def __init__(self, until: "memoryview[float] | None" = None) -> None:
        """`until`: one number, by `time.monotonic()`, which is the same in all processes. None: of this one alone."""
        self._until = memoryview(bytearray(8)).cast("d") if until is None else until

    def arise(self) -> None:
        self._until[0] = time.monotonic() + DOUBT_S
        # Whoever stood still in between may have put an older moment into the place of another's.
        while self._left() < DOUBT_S / 2:
            self._until[0] = time.monotonic() + DOUBT_S

    def __bool__(self) -> bool:
        # What was written before the machine was started again may lie far ahead.
        return 0.0 < self._left() <= 2 * DOUBT_S

    def _left(self) -> float:
        return self._until[0] - time.monotonic()
