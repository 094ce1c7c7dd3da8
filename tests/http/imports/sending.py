"""Files to import, forms that carry them, and the jobs that come of them."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from domain.ids import ImportId
from domain.imports import Checkpoint, ImportJob, Tally
from infrastructure.memory.queue import MemoryQueue
from tests.http.byline import Byline, Json, Member

SHAPE = {
    *("id", "kind", "format", "state", "options", "file_name", "bytes_total", "bytes_done", "rows_read", "rows_per_s"),
    *("seconds_left", "created", "updated", "unchanged", "skipped", "skipped_because", "failed", "authors_created"),
    *("created_at", "started_at", "finished_at", "error", "parent_id", "revision"),
}
KIND = ("kind", b"posts")


def rows(*titles: str, author: str = "olga") -> bytes:
    return b"".join(json.dumps({"title": title, "author": author}).encode() + b"\n" for title in titles)


FILE = ("file", rows("One", "Two"), "archive.ndjson")


def form(*parts: tuple[str, bytes] | tuple[str, bytes, str]) -> dict[str, Any]:
    """A multipart body, its parts in the order given; those of three are files, named."""
    lines = []
    for name, value, *file_name in parts:
        named = f'; filename="{file_name[0]}"' if file_name else ""
        head = f'--limit\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'
        lines.append(head.encode("latin-1") + value + b"\r\n")
    return {
        "content": b"".join(lines) + b"--limit--\r\n",
        "headers": {"content-type": "multipart/form-data; boundary=limit"},
    }


def raw(content: Any, media_type: str = "application/x-ndjson") -> dict[str, Any]:
    return {"content": content, "headers": {"content-type": media_type}}


class Unread:
    """A body that notes whether any of it was asked for."""

    def __init__(self) -> None:
        self.is_read = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.is_read = True
        yield b""


async def sent(byline: Byline, by: Member | None, body: dict[str, Any], query: str = "", **headers: str) -> Any:
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    headers = {**body["headers"], **(by.auth if by else {}), **told}
    return await byline.http.post(f"/v1/imports{query}", content=body["content"], headers=headers)


async def imported(byline: Byline, by: Member, content: bytes, **options: str) -> Json:
    """The job of an import of NDJSON, as it is after the request: finished, unless `start` is false."""
    query = urlencode({"kind": "posts", **options})
    answer = await sent(byline, by, raw(content), f"?{query}")
    assert answer.status_code == 202, answer.text
    return await job_at(byline, by, answer.headers["location"])


async def job_at(byline: Byline, by: Member, address: str) -> Json:
    answer = await byline.http.get(address, headers=by.auth)
    assert answer.status_code == 200, answer.text
    job: Json = answer.json()
    return job


def without_a_worker(byline: Byline) -> None:
    """What is queued from now on waits, for the test to play its worker."""
    queue = byline.container.queue()
    assert isinstance(queue, MemoryQueue)
    queue.is_reachable = False


async def claimed(byline: Byline, job: Json) -> ImportJob:
    """By a worker, which does nothing yet."""
    async with byline.container.begin_import()() as work:
        found = await work.imports.lock(ImportId(UUID(job["id"])))
        claimed = found.claimed(at=byline.container.clock().now(), lease=timedelta(minutes=10), chunk_rows=10)
        await work.imports.save_claim(claimed)
        await work.commit()
    return claimed


async def advanced(byline: Byline, job: ImportJob, rows: Tally, bytes_read: int) -> ImportJob:
    """By its worker, whom that took three seconds."""
    assert job.progressed_at
    at = job.progressed_at + timedelta(seconds=3)
    return await saved(byline, job.advanced(rows, Checkpoint(bytes_read, 2, bytes_read), at=at))


async def saved(byline: Byline, job: ImportJob) -> ImportJob:
    """By its worker."""
    async with byline.container.begin_import()() as work:
        await work.imports.hold(job)
        await work.imports.save(job)
        await work.commit()
    return job
