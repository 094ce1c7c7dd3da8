"""How much memory a worker takes for imports of growing size: the most that was seen, four times a second.

PSS shares what processes have in common among them; RSS counts it whole.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import psutil

from benchmarks.imports.archive import write_archive
from benchmarks.imports.stage import Stage, stage
from domain.import_options import ImportFormat

WANTED_MIB: Final = 250

_EVERY_S: Final = 0.25
_MIB: Final = 2**20


@dataclass(slots=True)
class Peak:
    """In MiB."""

    pss: float = 0.0
    rss: float = 0.0

    def look(self, process: psutil.Process) -> None:
        """With all below it."""
        told = [one.memory_full_info() for one in (process, *process.children(recursive=True))]
        self.pss = max(self.pss, sum(one.pss for one in told) / _MIB)
        self.rss = max(self.rss, sum(one.rss for one in told) / _MIB)


async def measure(sizes: Sequence[int]) -> None:
    print(
        f"memory of a worker, a new one for each import of NDJSON; wanted: under {WANTED_MIB} MiB, and flat", flush=True
    )
    peaks = []
    async with stage() as place:
        for rows in sizes:
            idle, peak = await _import(place, rows)
            peaks.append(peak.rss)
            print(
                f"{rows:>10,} rows: PSS {peak.pss:.0f}, RSS {peak.rss:.0f} MiB"
                f" (idle: PSS {idle.pss:.0f}, RSS {idle.rss:.0f})",
                flush=True,
            )
    verdict = "met" if max(peaks) < WANTED_MIB else "NOT MET"
    print(f"under {WANTED_MIB} MiB: {verdict}; the last of them has {peaks[-1] / peaks[0]:.2f} times the first's RSS")


async def _import(place: Stage, rows: int) -> tuple[Peak, Peak]:
    """Idle, and the most of it."""
    file = place.folder / "posts.ndjson"
    write_archive(file, rows)
    blob = await place.upload(file)
    file.unlink()
    await place.empty()
    idle, peak = Peak(), Peak()
    async with place.worker() as worker:
        process = psutil.Process(worker)
        idle.look(process)
        async with _watched(process, peak):
            await place.finished(await place.start(blob, ImportFormat.NDJSON), rows=rows)
    await place.byline.discard_upload(blob)
    return idle, peak


@asynccontextmanager
async def _watched(process: psutil.Process, peak: Peak) -> AsyncIterator[None]:
    async def watch() -> None:
        while True:
            peak.look(process)
            await asyncio.sleep(_EVERY_S)

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.wait([watching])
