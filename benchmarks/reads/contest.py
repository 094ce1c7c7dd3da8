"""Contestants in turns, what each run must have touched, and the rows of the table."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import psutil

from benchmarks.imports.cpu import MachineCpu, children_seconds
from benchmarks.load import Spread, cpu_seconds, get_many
from benchmarks.reads.clients import CLIENTS, HOST, Gets, NoAnswer, drive
from benchmarks.reads.stage import Server, Stage

_QUIET: Final = 0.05
_FLUSHED_S: Final = 1.1
"""So long at least PostgreSQL's backends keep what they have counted to themselves."""


@dataclass(frozen=True, slots=True)
class Plan:
    rounds: int
    seconds: int


class Witness(Protocol):
    """Counts what a contestant touches, from outside; `least` and `most` of it for each request."""

    @property
    def what(self) -> str: ...
    @property
    def least(self) -> float: ...
    @property
    def most(self) -> float: ...

    def seen(self) -> int: ...

    def settle(self, contestant: "Contestant") -> None:
        """Until all that it did is counted."""
        ...


@dataclass(frozen=True, slots=True)
class Contestant:
    name: str
    server: Server
    gets: Gets
    witness: Witness | None = None


@dataclass(frozen=True, slots=True)
class Run:
    per_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    """Of the server for each request."""
    strangers: float
    """Share of the machine that others had."""


@dataclass(frozen=True, slots=True)
class EntriesRead:
    """Of Valkey: keys that were asked for and found."""

    stage: Stage
    least: float
    most: float
    what: str = "entries found in Valkey"

    def seen(self) -> int:
        return int(self.stage.valkey.info("stats")["keyspace_hits"])

    def settle(self, contestant: Contestant) -> None:
        """They are counted at once."""


@dataclass(frozen=True, slots=True)
class Transactions:
    """Of PostgreSQL: every statement outside of one is one."""

    stage: Stage
    least: float = 0.98
    most: float = float("inf")
    what: str = "transactions in PostgreSQL"

    def seen(self) -> int:
        statement = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
        return int(asyncio.run(self.stage.value(statement)))

    def settle(self, contestant: Contestant) -> None:
        """A backend tells what it has counted at the next statement after a second, or ten seconds later."""
        time.sleep(_FLUSHED_S)
        paths = contestant.gets.next(CLIENTS)
        asyncio.run(get_many(HOST, contestant.server.port, paths, requests=len(paths), connections=CLIENTS))


def hold(stage: Stage, plan: Plan, contestants: Sequence[Contestant]) -> Mapping[str, Sequence[Run]]:
    """By name; the first run of each, which is to warm it, counts nothing. Raises NoAnswer."""
    for contestant in contestants:
        drive(contestant.server.port, contestant.gets, 1, stage.folder)
        if contestant.witness:
            contestant.witness.settle(contestant)
    runs: dict[str, list[Run]] = {contestant.name: [] for contestant in contestants}
    for number in range(plan.rounds):
        for contestant in contestants[:: -1 if number % 2 else 1]:
            runs[contestant.name].append(_run(stage, contestant, plan.seconds))
        last = [(name, its[-1]) for name, its in runs.items()]
        told = ", ".join(f"{name} {run.per_s:,.0f}/s" for name, run in last)
        print(f"  round {number + 1}: {told}{_strangers([run for _, run in last])}", flush=True)
    return runs


def _run(stage: Stage, contestant: Contestant, seconds: int) -> Run:
    witness, pid = contestant.witness, contestant.server.pid
    seen = witness.seen() if witness else 0
    machine, own, spent = MachineCpu.now(), _own_seconds(), cpu_seconds(pid)
    answers = drive(contestant.server.port, contestant.gets, seconds, stage.folder)
    spent = cpu_seconds(pid) - spent
    strangers = machine.share_of_others(_own_seconds() - own)
    if not answers.requests:
        raise NoAnswer(f"{contestant.name} gave no answer in {seconds} s.")
    if witness:
        witness.settle(contestant)
        each = (witness.seen() - seen) / answers.requests
        if not witness.least <= each <= witness.most:
            wanted = f"{witness.least:g} to {witness.most:g}"
            raise NoAnswer(f"{contestant.name}: {each:.2f} {witness.what} for each request; {wanted} were to be.")
    per_s = answers.requests / answers.seconds
    return Run(per_s, answers.p50_ms, answers.p99_ms, spent / answers.requests * 1e6, strangers)


def _own_seconds() -> float:
    """Of all that the benchmark runs."""
    return cpu_seconds(psutil.Process().pid) + children_seconds()


def _strangers(runs: Sequence[Run]) -> str:
    shares = [run.strangers for run in runs]
    if max(shares) < _QUIET:
        return ""
    return f" (NOT QUIET: strangers had {min(shares):.0%} to {max(shares):.0%} of the machine)"


@dataclass(frozen=True, slots=True)
class Row:
    read: str
    rival: str
    cells: tuple[str, ...]
    verdict: str


COLUMNS: Final = ("ours/s", "theirs/s", "ratio", "wanted", "p50/p99 ms", "theirs", "CPU µs", "theirs", "ratio of CPU")


@dataclass(frozen=True, slots=True)
class Compared:
    """A row is ours against one rival: requests of ours for each of the rival's, at least `wanted` of them."""

    read: str
    runs: Mapping[str, Sequence[Run]]

    def row(self, ours: str, rival: str, wanted: float | None = None, *, of: str = "") -> Row:
        mine, theirs = self.runs[ours], self.runs[rival]
        ratio = Spread.of([a.per_s / b.per_s for a, b in zip(mine, theirs, strict=True)])
        cells = (
            f"{_median(mine, lambda run: run.per_s):,.0f}",
            f"{_median(theirs, lambda run: run.per_s):,.0f}",
            str(ratio),
            "" if wanted is None else f"≥ {wanted:.2f}",
            _latency(mine),
            _latency(theirs),
            f"{_median(mine, lambda run: run.cpu_us):,.0f}",
            f"{_median(theirs, lambda run: run.cpu_us):,.0f}",
            str(Spread.of([b.cpu_us / a.cpu_us for a, b in zip(mine, theirs, strict=True)])),
        )
        return Row(of or self.read, rival, cells, _verdict(wanted is None or ratio.median >= wanted, wanted))

    def p99_row(self, ours: str, at_most_ms: float) -> Row:
        p99 = Spread.of([run.p99_ms for run in self.runs[ours]])
        cells = ("", "", f"{p99} ms", f"≤ {at_most_ms:.2f} ms", "", "", "", "", "")
        return Row(self.read, "p99", cells, _verdict(p99.median <= at_most_ms, at_most_ms))


def _verdict(met: bool, wanted: float | None) -> str:
    return "" if wanted is None else "met" if met else "NOT MET"


def _median(runs: Sequence[Run], figure: Callable[[Run], float]) -> float:
    return Spread.of([figure(run) for run in runs]).median


def _latency(runs: Sequence[Run]) -> str:
    return f"{_median(runs, lambda run: run.p50_ms):.1f}/{_median(runs, lambda run: run.p99_ms):.1f}"


def table(rows: Sequence[Row]) -> str:
    lines: list[tuple[str, ...]] = [("read", "rival", *COLUMNS, "")]
    lines += [(row.read, row.rival, *row.cells, row.verdict) for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
