"""A worker that is looked at every few milliseconds: `python -m benchmarks.imports.sampled FILE`, for `--profile`.

The functions that its threads were in are counted, innermost first; C is its caller's. At the end they are written to
FILE, as JSON lines: whether it was the event loop's thread, the function, and how often it was met.
"""

import json
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Final

_EVERY_S: Final = 0.003
_SWITCH_S: Final = 0.0001
"""So often others get the interpreter: were it seldom, threads would be met mostly where they let go of it."""
_WAITING: Final = frozenset({"runners.Runner.run", "thread._worker", "threading.Condition.wait", "locks.Event.wait"})


class Sampler:
    """Of all threads but its own, for as long as the process lives."""

    def __init__(self) -> None:
        self.met: Counter[tuple[bool, str]] = Counter()

    def start(self) -> None:
        threading.Thread(target=self._sample, daemon=True, name="sampler").start()

    def write(self, file: Path) -> None:
        with file.open("w") as out:
            out.writelines(json.dumps([is_loop, where, times]) + "\n" for (is_loop, where), times in self.met.items())

    def _sample(self) -> None:
        own, loop = threading.get_ident(), threading.main_thread().ident
        while True:
            time.sleep(_EVERY_S)
            for thread, frame in sys._current_frames().items():
                if thread != own:
                    self.met[thread == loop, _name(frame)] += 1


def _name(frame: FrameType) -> str:
    code = frame.f_code
    return f"{Path(code.co_filename).stem}.{getattr(code, 'co_qualname', code.co_name)}"


def functions(file: Path, *, loop_s: float, other_s: float) -> list[tuple[float, str]]:
    """Seconds of CPU for each function, the most first: what the event loop's thread and the others took, as often as
    they were met and did not wait."""
    met: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    for line in file.read_text().splitlines():
        is_loop, where, times = json.loads(line)
        if where not in _WAITING:
            met[is_loop][where] += times
    spent = [
        (seconds * times / met[is_loop].total(), f"{'loop' if is_loop else 'thread':<6} {where}")
        for is_loop, seconds in ((True, loop_s), (False, other_s))
        for where, times in met[is_loop].items()
    ]
    return sorted(spent, reverse=True)


def main() -> None:
    from workers import main as worker

    sys.setswitchinterval(_SWITCH_S)
    sampler = Sampler()
    sampler.start()
    try:
        worker.run()
    finally:
        sampler.write(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
