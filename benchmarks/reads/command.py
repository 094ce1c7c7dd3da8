"""`python -m benchmarks reads`: its parts and their options."""

import argparse
import signal
import sys
from collections.abc import Sequence

from benchmarks.reads.clients import CLIENTS, NoAnswer, has_wrk
from benchmarks.reads.contest import Plan, Row, table
from benchmarks.reads.parts import PARTS
from benchmarks.reads.stage import stage


def main(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks reads", description=__doc__)
    parser.add_argument("--part", choices=PARTS, action="append", help="more than once for several; default: all")
    parser.add_argument("--rounds", type=int, default=3, help="of each contestant (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=3, help="of each round (default: %(default)s)")
    asked = parser.parse_args(arguments)
    plan = Plan(asked.rounds, asked.seconds)
    rows: list[Row] = []
    failed: list[str] = []
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # else what it started would outlive it
    try:
        with stage() as place:
            driver = "wrk" if has_wrk() else "NO WRK HERE, a slower load of our own"
            print(f"{CLIENTS} clients ({driver}), {plan.rounds} rounds of {plan.seconds} s", flush=True)
            for name in asked.part or PARTS:
                print(name, flush=True)
                try:
                    rows += PARTS[name](place, plan)
                except NoAnswer as error:
                    failed.append(name)
                    print(f"{name}: NOT MEASURED. {error}", flush=True)
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        if rows:
            print(
                "\nMedians of the rounds. Ratios, median (least to most): requests of ours to theirs, their CPU to ours"
            )
            print(table(rows))
    if failed:
        sys.exit(f"Not measured: {', '.join(failed)}.")
