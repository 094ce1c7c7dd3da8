"""What readers feel of an import: latency of the API's reads at a fixed rate, alone and while an import runs.

Half of them one post, half of them the first page of 20, of 20,000 posts. The load is open: each read has its moment,
and waits from then on, whether a connection is free or not. Everything shares the machine, the load too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from application.ports.services import Blob
from benchmarks.imports.archive import write_archive
from benchmarks.imports.stage import HOST, Stage, stage
from benchmarks.load import Spread, get_at_rate, quantile
from domain.import_options import ImportFormat

READS_PER_S: Final = 500
CONNECTIONS: Final = 32
SHARES: Final = (None, 1.0, 0.5, 0.25)
"""Of the machine, for the import; None: there is none."""

_POSTS: Final = 20_000
_WARMING_READS: Final = 1_000
_LIST: Final = "/v1/posts?count=none"


@dataclass(frozen=True, slots=True)
class Felt:
    """Seconds, and rows a second that were imported meanwhile."""

    p50: float
    p99: float
    rows_per_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Files:
    posts: Blob
    archive: Blob


async def measure(rows: int, rounds: int, seconds: int) -> None:
    """`rows` must last for that many seconds, and some more."""
    async with stage(with_valkey=True) as place, place.api() as port:
        files = Files(await _uploaded(place, _POSTS, "posts"), await _uploaded(place, rows, "archive"))
        print(
            f"reads at {READS_PER_S}/s over {CONNECTIONS} connections for {seconds} s, {rounds} rounds;"
            " median, least and most of them, in ms",
            flush=True,
        )
        felt: dict[float | None, list[Felt]] = {share: [] for share in SHARES}
        for _ in range(rounds):
            for share in SHARES:
                felt[share].append(await _once(place, port, files, share, seconds))
    _tell(felt)


async def _uploaded(place: Stage, rows: int, source: str) -> Blob:
    file = place.folder / source
    write_archive(file, rows, source=source)
    blob = await place.upload(file)
    file.unlink()
    return blob


async def _once(place: Stage, port: int, files: Files, share: float | None, seconds: int) -> Felt:
    await place.empty()
    async with place.worker(BYLINE_IMPORT_SHARE=str(share or 1.0)):
        await place.finished(await place.start(files.posts, ImportFormat.NDJSON), rows=_POSTS)
        paths = await _paths(place)
        await _read(port, paths, _WARMING_READS)
        if share is None:
            took = await _read(port, paths, seconds * READS_PER_S)
            return Felt(quantile(took, 0.5), quantile(took, 0.99))
        job = await place.start(files.archive, ImportFormat.NDJSON)
        before = (await place.begun(job)).tally.rows_read
        took = await _read(port, paths, seconds * READS_PER_S)
        job = await place.byline.show_import(job.id, actor=place.actor)
        if job.is_finished:
            raise RuntimeError("The import ended before the reads did: give it more --rows.")
        await place.byline.cancel_import(job.id, actor=place.actor)
        await place.ended(job)
    return Felt(quantile(took, 0.5), quantile(took, 0.99), (job.tally.rows_read - before) / seconds)


async def _paths(place: Stage) -> list[str]:
    """Every other one is the list."""
    found = await place.connection.fetch("SELECT slug FROM posts ORDER BY hashtext(slug) LIMIT 2000")
    return [path for post in found for path in (f"/v1/posts/{post['slug']}", _LIST)]


async def _read(port: int, paths: Sequence[str], requests: int) -> list[float]:
    return await get_at_rate(HOST, port, paths, per_s=READS_PER_S, requests=requests, connections=CONNECTIONS)


def _tell(felt: Mapping[float | None, Sequence[Felt]]) -> None:
    for share, its in felt.items():
        beside = "alone" if share is None else f"beside an import with BYLINE_IMPORT_SHARE={share:g}"
        p50, p99 = Spread.of([one.p50 * 1e3 for one in its]), Spread.of([one.p99 * 1e3 for one in its])
        rows = Spread.of([one.rows_per_s for one in its]).median
        print(f"{beside:<46} p50 {p50}  p99 {p99}" + (f"  {rows:,.0f} rows/s" if share else ""))
