"""Lines of a text, none of them longer in memory than a limit and a block."""

from collections.abc import Iterator

from domain.imports import Checkpoint
from infrastructure.formats.text.sources import Text


class Lines:
    """From `start` on. Each step is a list of lines without their line feeds, and how many bytes each of them took
    besides its own: 1 for its line feed, 0 for a last line that has none. A line far longer than `longest` comes alone,
    its first `longest + 1` bytes, and the rest of it counts as taken besides.

    Where the text was cut off by damage, what is left of its last line is no line: it is in `partial`.
    """

    def __init__(self, text: Text, start: Checkpoint, *, longest: int) -> None:
        self._text = text
        self._longest = longest
        self._start = start
        self.partial = b""
        self.is_damaged = False

    def __iter__(self) -> Iterator[tuple[list[bytes], int]]:
        text = self._text
        text.skip_to(self._start.offset)
        is_beyond = text.offset < self._start.offset
        pending = b""
        while block := text.block():
            lines = (pending + block if pending else block).split(b"\n")
            pending = lines.pop()
            if lines:
                yield lines, 1
            if len(pending) > self._longest + 2:
                shown = pending[: self._longest + 1]
                besides, pending = self._rest_of_line(pending[len(shown) :])
                yield [shown], besides
        lines = pending.split(b"\n")
        last = lines.pop()
        if lines:
            yield lines, 1
        if text.damage is not None and not is_beyond:
            self.partial = last
            self.is_damaged = True
        elif last:
            yield [last], 0

    def _rest_of_line(self, beginning: bytes) -> tuple[int, bytes]:
        """How long it is with its line feed, and what was read of the lines after it."""
        taken = len(beginning)
        while block := self._text.block():
            rest, feed, following = block.partition(b"\n")
            taken += len(rest) + len(feed)
            if feed:
                return taken, following
        return taken, b""
