"""Redis that does not answer, and Redis that does not tell what other hosts forget."""

import time
from asyncio import Event, TaskGroup, sleep, timeout
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.load import quantile
from tests.faults.apis import Api, cluster, published, retitled, signed_in
from tests.faults.black_hole import black_hole
from tests.soak.history import History
from tests.soak.promises import Outage, unforgiven
from tests.soak.readers import Processes, Reading, Tally
from tests.soak.site import site, stopped
from tests.soak.writers import POSTS, USERS, Writers

pytestmark = pytest.mark.e2e

READS_PER_S = 300.0
WRITES_PER_S = 5.0
CONNECTIONS = 12
WORSE_AT_MOST_S = 0.2
BYPASSED_S = 3.0
"""Trust in what other hosts forget ends 2 s after the last answer; a bound with a second to spare."""
BOUND_S = 60.0


@dataclass(frozen=True, slots=True)
class Length:
    """How long there are readers before Valkey stands still, while it does, and after."""

    before_s: float
    stopped_s: float
    after_s: float
    asserts_times: bool


@pytest.mark.parametrize(
    "length",
    [
        pytest.param(Length(1.0, 2.0, 2.5, asserts_times=False), id="for two seconds"),
        pytest.param(Length(10.0, 10.0, 5.0, asserts_times=True), id="for ten seconds", marks=pytest.mark.soak),
    ],
)
async def test_while_valkey_stands_still_every_read_is_answered_and_soon_after_all_is_fresh(
    tmp_path: Path, length: Length, record_property: Callable[[str, object], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Under a load that PostgreSQL alone can carry."""
    history, processes, ended = History(len(POSTS) + len(USERS)), Processes(), Event()
    tallies = {name: Tally(name, times=[]) for name in ("writing", "other")}
    async with (
        site(tmp_path, "writing", "other") as here,
        Writers(here.ports["writing"], history, processes, ended.is_set) as writers,
    ):
        pages, weights = await writers.begin()
        async with timeout(BOUND_S), TaskGroup() as group:
            group.create_task(writers.write(WRITES_PER_S))
            for name, tally in tallies.items():
                reading = Reading(
                    port=here.ports[name],
                    pages=pages,
                    weights=weights,
                    history=history,
                    processes=processes,
                    is_over=ended.is_set,
                    tally=tally,
                    pause_s=CONNECTIONS / READS_PER_S,
                )
                group.create_task(reading.read(CONNECTIONS // 2))
            await sleep(length.before_s)  # the load itself
            async with stopped(here.valkey()):
                began = time.monotonic()
                await sleep(length.stopped_s)
            outage = Outage(began, time.monotonic())
            await sleep(length.after_s)
            ended.set()

    took = by_phase(tallies, outage)
    told = {phase: [round(1e3 * quantile(times, share), 1) for share in (0.5, 0.99)] for phase, times in took.items()}
    record_property("p50_and_p99_ms", told)
    stale = [len(tally.stale) for tally in tallies.values()]
    if length.asserts_times:
        with capsys.disabled():
            reads = {phase: len(times) for phase, times in took.items()}
            print(
                f"\nValkey stopped: p50 and p99 in ms {told}; reads {reads}, {history.written()} writes, stale {stale}"
            )
    assert not writers.refused
    for tally in tallies.values():
        assert tally.statuses.keys() <= {200, 304, 404}
        assert tally.lost == 0
        assert not unforgiven(tally.stale, [outage]), unforgiven(tally.stale, [outage])[:3]
    if length.asserts_times:
        for phase in ("stopped", "after"):
            assert quantile(took[phase], 0.99) <= quantile(took["before"], 0.99) + WORSE_AT_MOST_S


def by_phase(tallies: dict[str, Tally], outage: Outage) -> dict[str, list[float]]:
    """How long reads took, in seconds, by when they were asked for."""
    found: dict[str, list[float]] = {"before": [], "stopped": [], "after": []}
    for tally in tallies.values():
        assert tally.times is not None
        for at, took in tally.times:
            phase = "before" if at < outage.began else "stopped" if at < outage.ended else "after"
            found[phase].append(took)
    return found


async def test_a_host_that_hears_nothing_of_others_shows_no_page_of_its_own_memory_for_long(
    database_url: str, redis_url: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    async with (
        black_hole(redis_url) as hole,
        cluster(tmp_path, database_url, redis_url) as around,
        around.api("writing") as writing,
        around.api("deaf", BYLINE_REDIS_URL=hole.url, BYLINE_L1_TTL_S="60") as deaf,
    ):
        admin = await signed_in(writing)
        path = await published(writing, admin, "0")
        await seen(deaf, path, "0")

        hole.open()
        opened_at = last_stale_at = time.monotonic()
        was_stale, number = 0, 0
        while time.monotonic() < opened_at + BYPASSED_S + 1.0:
            number += 1
            await retitled(writing, admin, path, str(number))
            asked_at = time.monotonic()
            if await deaf.title(path) != str(number):
                was_stale += 1
                last_stale_at = asked_at
        record_property("bypassed_after_s", round(last_stale_at - opened_at, 3))
        assert hole.swallowed
        assert was_stale
        assert last_stale_at <= opened_at + BYPASSED_S

        # Once it hears again, pages are shown from its own memory, and none is older.
        hole.close()
        await seen(deaf, path, str(number))
        await retitled(writing, admin, path, "heard")
        await seen(deaf, path, "heard")


async def seen(api: Api, path: str, title: str) -> None:
    async with timeout(BOUND_S):
        while await api.title(path) != title:  # noqa: ASYNC110 -- another process shows it
            await sleep(0.005)
