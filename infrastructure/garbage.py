"""How the long-running processes collect garbage."""

import gc


def collect_garbage_seldom() -> None:
    """Call once what a process keeps for good is imported and made.

    Rows of pages and of imports are hundreds to thousands of objects without cycles: to look through them, and through
    all that stays, over and over took an eighth of the time of a page of 20 and a quarter of that of reading a chunk.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
