"""`python -m benchmarks imports`: its parts and their options."""

import argparse
import asyncio
import sys
from argparse import Namespace
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Final

from benchmarks.imports import beside, latency, memory, speed
from domain.import_options import ImportFormat

PARTS: Final[Mapping[str, Callable[[Namespace], Coroutine[None, None, None]]]] = {
    "ndjson": lambda asked: speed.compare(speed.Plan(asked.rows, asked.rounds, ImportFormat.NDJSON, asked.profile)),
    "csv": lambda asked: speed.compare(speed.Plan(asked.rows, asked.rounds, ImportFormat.CSV, asked.profile)),
    "memory": lambda asked: memory.measure([asked.rows // 10, asked.rows, *([5 * asked.rows] if asked.large else [])]),
    "latency": lambda asked: latency.measure(asked.uploads),
    "reads": lambda asked: beside.measure(asked.rows, asked.rounds, asked.seconds),
}


def main(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks imports", description=__doc__)
    parser.add_argument("--part", choices=PARTS, action="append", help="more than once for several; default: all")
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the archive (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of ndjson, csv and reads (default: %(default)s)")
    parser.add_argument(
        "--profile", action="store_true", help="ndjson, csv: ours and psql alone, and what CPU they take"
    )
    parser.add_argument("--large", action="store_true", help="memory: five times the rows, too")
    parser.add_argument("--uploads", type=int, default=latency.UPLOADS, help="of latency (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=15, help="of reads, each time (default: %(default)s)")
    asked = parser.parse_args(arguments)
    try:
        for part in asked.part or PARTS:
            asyncio.run(PARTS[part](asked))
    except KeyboardInterrupt:
        sys.exit(130)
