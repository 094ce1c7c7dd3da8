"""How soon an import begins: from the 202 of its upload to its first committed row.

On an idle `byline serve` and `byline worker` with Valkey, one small file after another. Whether the row is there is
asked of the database every two milliseconds, on a connection of its own.
"""

import asyncio
import random
import statistics
import time
from collections.abc import Sequence
from typing import Final

import httpx

from benchmarks.imports.archive import archive
from benchmarks.imports.stage import ADMIN, HOST, PATIENCE_S, Stage, stage
from benchmarks.load import quantile

UPLOADS: Final = 50
WANTED_P50_MS: Final = 150

_ROWS: Final = 10
_WARMING: Final = 3
_ASKED_EVERY_S: Final = 0.002
_IS_THERE: Final = "SELECT EXISTS (SELECT FROM posts WHERE source = $1 AND external_id = '0')"
_HEADERS: Final = {"content-type": "application/x-ndjson"}


async def measure(uploads: int) -> None:
    async with (
        stage(with_valkey=True) as place,
        place.api() as port,
        place.worker(),
        httpx.AsyncClient(base_url=f"http://{HOST}:{port}") as client,
    ):
        signed_in = await client.post("/v1/auth/token", data={"username": ADMIN.username, "password": ADMIN.password})
        client.headers["authorization"] = f"Bearer {signed_in.raise_for_status().json()['access_token']}"
        took_ms = [await _upload(client, place, f"upload-{number}") for number in range(_WARMING + uploads)]
    _tell(took_ms[_WARMING:])


async def _upload(client: httpx.AsyncClient, place: Stage, source: str) -> float:
    """Milliseconds, once it is idle again."""
    content = b"".join(archive(_ROWS, source=source))
    answer = await client.post("/v1/imports", params={"kind": "posts"}, content=content, headers=_HEADERS)
    began = time.perf_counter()
    if answer.status_code != httpx.codes.ACCEPTED:
        raise RuntimeError(f"{answer.status_code}: {answer.text}")
    while not await place.connection.fetchval(_IS_THERE, source):
        if time.perf_counter() - began > PATIENCE_S:
            raise RuntimeError(f"{source} was not imported.")
        await asyncio.sleep(_ASKED_EVERY_S)
    took = time.perf_counter() - began
    # At no fixed distance from whatever the worker does now and then.
    await asyncio.sleep(random.uniform(0.2, 0.5))
    return took * 1e3


def _tell(took_ms: Sequence[float]) -> None:
    p50 = statistics.median(took_ms)
    verdict = "met" if p50 < WANTED_P50_MS else "NOT MET"
    print(
        f"from the 202 to the first committed row, {len(took_ms)} uploads: p50 {p50:.0f} ms,"
        f" p95 {quantile(took_ms, 0.95):.0f} ms, most {max(took_ms):.0f} ms; wanted p50 < {WANTED_P50_MS} ms: {verdict}"
    )
