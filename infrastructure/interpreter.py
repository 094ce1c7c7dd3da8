"""How long-running processes have Python's interpreter run."""

import gc
import sys


def collect_garbage_seldom() -> None:
    """Call once what a process keeps for good is imported and made.

    Rows of pages and of imports are hundreds to thousands of objects without cycles: to look through them, and through
    all that stays, over and over took an eighth of the time of a page of 20 and a quarter of that of reading a chunk.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def switch_threads_often() -> None:
    """For a process whose threads compute while its event loop feeds a server: with Python's 5 ms the server waits for
    that long at every turn, ten times a chunk."""
    sys.setswitchinterval(0.0005)
