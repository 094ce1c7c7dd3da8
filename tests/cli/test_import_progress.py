"""How an import is shown while it goes."""

import io
from dataclasses import replace

from rich.console import Console

from domain.imports import Checkpoint, ImportJob, ImportState, Tally
from interfaces.cli.progress import Lines, display
from tests.builders import NOON, SECOND, a_job


def half_done() -> ImportJob:
    """In 10 s: 5,000 rows, 7 of them failed, and half of the file's bytes."""
    job = replace(a_job(bytes_total=2_000_000), state=ImportState.RUNNING, progressed_at=NOON)
    return job.advanced(Tally(created=4_993, failed=7), Checkpoint(bytes_read=1_000_000), at=NOON + 10 * SECOND)


def a_terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def last_bar(console: Console) -> str:
    return [line for line in written(console).splitlines() if "%" in line][-1]


def test_a_bar_shows_rows_rate_failures_and_the_time_left() -> None:
    terminal = a_terminal()
    with display(terminal) as shown:
        shown.stored("archive.ndjson", 500_000, 2_000_000)
        shown.show(half_done())

    bar = last_bar(terminal)
    for told in ("archive.ndjson ", " 50% ", "5,000 rows", "500/s", "7 failed", "0:00:10 left"):
        assert told in bar


def test_an_import_that_has_ended_has_its_last_word_in_the_bar() -> None:
    terminal = a_terminal()
    with display(terminal) as shown:
        shown.show(half_done())
        shown.show(half_done().finished(at=NOON + 20 * SECOND))

    bar = last_bar(terminal)
    assert "100% " in bar
    assert "left" not in bar


def test_elsewhere_there_is_a_line_now_and_then_without_control_characters() -> None:
    console = Console(file=io.StringIO(), width=20)
    shown = Lines(console, every_s=0)
    shown.stored("archive.ndjson", 500_000, 2_000_000)
    shown.stored("standard input", 500_000, None)
    shown.show(half_done())
    shown.show(replace(a_job(bytes_total=0), state=ImportState.QUEUED))

    assert written(console).splitlines() == [
        "archive.ndjson: storing, 25%",
        "standard input: storing, 500,000 bytes",
        "archive.ndjson: 50%, 5,000 rows, 500/s, 7 failed, 0:00:10 left",
        "archive.ndjson (queued): 0 rows",
    ]


def test_lines_are_few() -> None:
    console = Console(file=io.StringIO())
    with display(console) as shown:
        for _ in range(100):
            shown.show(half_done())

    assert written(console) == ""
