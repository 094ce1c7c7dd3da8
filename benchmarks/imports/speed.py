r"""How fast an import is: whole imports by a worker against `psql \copy`, SQLAlchemy's bulk insert and its `add_all`.

All write into the same table with all its indexes and its foreign key, emptied before each, in turns within one run;
the order turns from round to round.
"""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.imports.archive import write_archive
from benchmarks.imports.contestants import Contestant, Copy, Ours, Run, Tutorial
from benchmarks.imports.stage import stage
from benchmarks.load import Spread
from domain.import_options import ImportFormat

OURS: Final = "Byline"
COPY: Final = r"psql \copy"
BULK: Final = "SQLAlchemy bulk insert"
ADD_ALL: Final = "SQLAlchemy add_all"

WANTED: Final[Mapping[tuple[ImportFormat, str], float]] = {
    (ImportFormat.NDJSON, COPY): 1.0,
    (ImportFormat.NDJSON, BULK): 3.0,
    (ImportFormat.NDJSON, ADD_ALL): 5.0,
    (ImportFormat.CSV, COPY): 0.8,
}
"""At least this many rows of ours for each of the rival's."""

_QUIET: Final = 0.05
_FUNCTIONS: Final = 40
_ADD_ALL_SHARE: Final = 20
"""Of the rows add_all gets one in so many: it would take minutes. On a smaller table it is faster, if anything."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`profile`: only ours and `\\copy`, and what CPU they take."""

    rows: int
    rounds: int
    form: ImportFormat = ImportFormat.NDJSON
    profile: bool = False


async def compare(plan: Plan) -> None:
    async with stage() as place:
        file = place.folder / f"posts.{plan.form}"
        size = write_archive(file, plan.rows, plan.form)
        ours = Ours(place, await place.upload(file), plan.form, plan.rows)
        print(
            f"{plan.rows:,} posts of {size / plan.rows:.0f} bytes as {plan.form}, {plan.rounds} rounds;"
            " rows/s, and how many of ours for one of theirs: median, least and most",
            flush=True,
        )
        await place.empty()
        await ours()
        contestants: dict[str, Contestant] = {OURS: ours}
        if Copy.can_run():
            contestants[COPY] = await Copy.of_what_is_there(place, place.folder / "posts.copy")
        else:
            print("There is no psql here, and the embedded PostgreSQL brings none: without its \\copy.")
        if not plan.profile and plan.form is ImportFormat.NDJSON:
            contestants[BULK] = Tutorial(place, "bulk", file, plan.rows)
            contestants[ADD_ALL] = Tutorial(place, "add_all", file, max(plan.rows // _ADD_ALL_SHARE, 1))
        runs: dict[str, list[Run]] = {name: [] for name in contestants}
        for number in range(plan.rounds):
            for name in list(contestants)[:: -1 if number % 2 else 1]:
                await place.empty()
                runs[name].append(await contestants[name]())
            last = {name: runs[name][-1] for name in contestants}
            told = ", ".join(f"{name} {run.rows_per_s:,.0f}" for name, run in last.items())
            print(f"  round {number + 1}: {told}{_strangers(last.values())}", flush=True)
        sampled = []
        if plan.profile:
            await place.empty()
            sampled = await ours.by_function()
    _tell_speeds(plan.form, runs)
    if plan.profile:
        _tell_cpu(runs)
        print("µs a row of the worker's CPU by function, C being its caller's, of a run that was looked at every 3 ms")
        for seconds, where in sampled[:_FUNCTIONS]:
            print(f"  {seconds / plan.rows * 1e6:8.2f}  {where}")


def _strangers(runs: Iterable[Run]) -> str:
    shares = [run.others for run in runs]
    if max(shares) < _QUIET:
        return ""
    return f" (NOT QUIET: strangers had {min(shares):.0%} to {max(shares):.0%} of the machine)"


def _tell_speeds(form: ImportFormat, runs: Mapping[str, Sequence[Run]]) -> None:
    for name, its in runs.items():
        speed = Spread.of([run.rows_per_s for run in its])
        line = f"{name:<24} {speed.median:>8,.0f} ({speed.least:,.0f} to {speed.most:,.0f})"
        if name != OURS:
            ratio = Spread.of([ours.rows_per_s / run.rows_per_s for ours, run in zip(runs[OURS], its, strict=True)])
            wanted = WANTED[form, name]
            verdict = "met" if ratio.median >= wanted else "NOT MET"
            line += f"   ours/rival {ratio}, wanted {wanted}: {verdict}"
        if its[0].rows != runs[OURS][0].rows:
            line += f" (of {its[0].rows:,} rows)"
        print(line)


def _tell_cpu(runs: Mapping[str, Sequence[Run]]) -> None:
    print("µs a row, median: by the clock, and of CPU")
    for name, its in runs.items():
        print(f"{name:<24} {statistics.median(run.seconds / run.rows for run in its) * 1e6:8.2f}")
        for whose in its[0].cpu:
            spent = statistics.median(run.cpu[whose] / run.rows for run in its) * 1e6
            print(f"  {whose:<26}   {spent:8.2f}")
