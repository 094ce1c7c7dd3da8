"""Every answer is held against a history of acknowledged writes: a read that began after a write of what it shows was
acknowledged shows that, or what is newer.

Which promise holds where, of an address whose two processes acknowledge all writes, and of two other hosts:

- The process that acknowledged a write shows nothing older, whatever happens to Redis: what it could not forget there
  it reads past, and forgets there before it reads anything from it again.
- The other process of its host shows nothing older either: a write is acknowledged once Redis has forgotten, over
  another connection where the first was lost; where that cannot be, the host is in doubt of Redis until it has.
- Nor do hosts without pages of their own (L1): what a server knew that died is not read from the one that is started
  in its place. One exception is not brought about here: where the server hangs, or the machine is so busy that two
  attempts to connect in a row take more than 100 ms each, the write is acknowledged all the same, and what was missed
  is repaired within 2 s of the server's return (tests/faults/test_cache_away.py).
- Another host's L1 lags by the way of the announcement through Redis, and by no more than 2 s: what it has heard of
  nothing for so long it does not trust. The lag is told of the writes that it was asked for within 100 ms after their
  acknowledgement: of others no read could have shown one.

`BYLINE_SOAK_READS=1000000 pytest -m soak tests/soak/test_consistency.py` for fewer than ten million.
"""

import asyncio
import os
import time
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import uvloop

from benchmarks.load import quantile
from tests.soak.disturbances import Disturbance
from tests.soak.history import History
from tests.soak.promises import REPAIRED_S, unforgiven
from tests.soak.readers import IN_TIME_S, Asked, Processes, Reading, Tally
from tests.soak.site import HOSTS, Site, said, site
from tests.soak.writers import POSTS, USERS, Writers

pytestmark = pytest.mark.e2e

READS = int(os.environ.get("BYLINE_SOAK_READS", "10000000"))
FEW_READS = 4_000
WRITES_PER_S = 50.0
LAG_WANTED_S = 0.05
LONGEST_S = 4 * 3_600


class Variant:
    """What is read, by whom, while what is done."""

    def __init__(self, here: Site, history: History, processes: Processes, reads: int) -> None:
        self.history = history
        self.processes = processes
        self.tallies = {name: Tally(name, in_time=set() if name == "other" else None) for name in HOSTS}
        self._here = here
        self._reads = reads
        self._ended = False

    def is_over(self) -> bool:
        return self._ended or self.checked >= self._reads

    @property
    def checked(self) -> int:
        return sum(tally.checked for tally in self.tallies.values())

    async def run(self, name: str) -> tuple[Disturbance, float]:
        """With how long it took to read."""
        async with Writers(self._here.ports["writing"], self.history, self.processes, self.is_over) as writers:
            pages, weights = await writers.begin()
            disturbance = Disturbance(self._here, writers, self.is_over)
            began = time.monotonic()
            try:
                async with asyncio.timeout(LONGEST_S), asyncio.TaskGroup() as group:
                    group.create_task(writers.write(WRITES_PER_S))
                    group.create_task(getattr(disturbance, name)())
                    for address, connections, depth in (("writing", 16, 2), ("other", 6, 1), ("shared", 4, 2)):
                        group.create_task(self._reading(address, pages, weights, depth).read(connections))
            finally:
                self._ended = True
            took = time.monotonic() - began
            await self._read_at_rest(pages)
        assert not writers.refused or disturbance.outages, writers.refused
        return disturbance, took

    def _reading(self, address: str, pages: list[Asked], weights: list[int], depth: int) -> Reading:
        return Reading(
            port=self._here.ports[address],
            pages=pages,
            weights=weights,
            history=self.history,
            processes=self.processes,
            is_over=self.is_over,
            tally=self.tallies[address],
            depth=depth,
            follows=address == "other",
        )

    async def _read_at_rest(self, pages: list[Asked]) -> None:
        """Once writers have ended and what was missed is repaired, nobody shows anything older."""
        await asyncio.sleep(REPAIRED_S)  # the promise itself
        for address in self.tallies:
            tally = Tally(address)
            is_over = partial(_has_checked, tally, 2 * len(pages))
            reading = replace(self._reading(address, pages, [1] * len(pages), depth=1), tally=tally, is_over=is_over)
            await reading.read(8)
            assert not tally.stale, tally.stale[:3]
            assert not tally.wrong_totals, tally.wrong_totals[:3]


def _has_checked(tally: Tally, reads: int) -> bool:
    return tally.checked >= reads


def report(variant: Variant, name: str, disturbance: Disturbance, took: float, lags: list[float]) -> str:
    spread = {address: dict(tally.by_process) for address, tally in variant.tallies.items()}
    statuses = sum((tally.statuses for tally in variant.tallies.values()), Counter[int]())
    stale = {address: len(tally.stale) for address, tally in variant.tallies.items()}
    lag = ", ".join(f"p{100 * share:g} {1e3 * quantile(lags, share):.1f}" for share in (0.5, 0.99, 0.999))
    times = disturbance.times + disturbance.writers.imports - 1
    return (
        f"\n{name}: {variant.checked:,} reads checked in {took:.0f} s, {variant.history.written():,} writes, disturbed"
        f" {times:,} times; statuses {dict(statuses)}; by process {spread};"
        f" older than acknowledged {stale}; lag of the other host in ms: {lag}, max {1e3 * lags[-1]:.1f}, of the"
        f" {len(lags):,} writes that it was asked for within {1e3 * IN_TIME_S:g} ms"
    )


@pytest.mark.parametrize(
    ("name", "reads"),
    [
        pytest.param("flushes", FEW_READS, id="flushes, few reads"),
        pytest.param("nothing", READS * 4 // 10, id="nothing", marks=pytest.mark.soak),
        pytest.param("flushes", READS * 2 // 10, id="flushes", marks=pytest.mark.soak),
        pytest.param("cuts", READS * 15 // 100, id="cuts", marks=pytest.mark.soak),
        pytest.param("restarts", READS * 10 // 100, id="restarts", marks=pytest.mark.soak),
        pytest.param("imports", READS * 15 // 100, id="imports", marks=pytest.mark.soak),
    ],
)
def test_no_read_is_older_than_what_was_acknowledged_before_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, reads: int
) -> None:
    uvloop.run(_checked(tmp_path, capsys, name, reads))


async def _checked(folder: Path, capsys: pytest.CaptureFixture[str], name: str, reads: int) -> None:
    async with site(folder, *HOSTS) as here:
        history = History(len(POSTS) + len(USERS))
        variant = Variant(here, history, Processes(), reads)
        disturbance, took = await variant.run(name)
        errors = await said(folder)

    writing, other, shared = (variant.tallies[address] for address in ("writing", "other", "shared"))
    lags = sorted(other.lags().values())
    assert lags, "Nobody asked the other host in time."
    if reads != FEW_READS:
        with capsys.disabled():
            print(report(variant, name, disturbance, took, lags))
    for tally in (writing, shared):
        assert not tally.stale, tally.stale[:3]
        assert not tally.wrong_totals, tally.wrong_totals[:3]
    assert all(read.lag_s <= REPAIRED_S for read in unforgiven(other.stale, disturbance.outages))
    if not disturbance.outages:
        assert {*writing.statuses, *other.statuses, *shared.statuses} <= {200, 304, 404}
        assert reads == FEW_READS or quantile(lags, 0.999) < LAG_WANTED_S
    assert len(writing.by_process) == 2
    assert not errors
