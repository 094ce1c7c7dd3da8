"""`python -m benchmarks imports`: its options, and its parts."""

import argparse
import asyncio
from collections.abc import Sequence
from typing import Final

from benchmarks.imports import speed
from domain.imports import ImportFormat

ROWS: Final = 1_000_000
ROUNDS: Final = 3


def main(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks imports", description=__doc__)
    parser.add_argument("--part", choices=("ndjson", "csv"), action="append", help="again for another; default: all")
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--profile", action="store_true", help="ndjson and csv: what CPU ours and \\copy take")
    asked = parser.parse_args(arguments)
    for part in asked.part or ("ndjson", "csv"):
        asyncio.run(speed.compare(speed.Plan(asked.rows, asked.rounds, ImportFormat(part), asked.profile)))
