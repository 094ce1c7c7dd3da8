"""A worker that is frozen in the middle of a COPY keeps its locks through every timeout, until its job is claimed."""

import asyncio
import os
import signal
import sys
from datetime import timedelta
from typing import Any

import psutil

from domain.imports import ImportJob
from infrastructure.database.database import Database
from tests.builders import NOON, a_job, a_user
from tests.database.waiting import until

LEASE = timedelta(seconds=10)

WORKER = """
import asyncio, os, signal, sys
from dataclasses import replace
from domain.ids import ImportId, UserId
from infrastructure.database.database import import_database
from infrastructure.settings import Settings
from infrastructure.database.post_copy import pack_posts
from tests.builders import NOON, a_post, a_writing, imported
from uuid import UUID

url, job_id, author_id = sys.argv[1:]

class Freezing(tuple):
    def __iter__(self):
        pieces = super().__iter__()
        yield from (next(pieces) for _ in range(len(self) - 2))
        os.kill(os.getpid(), signal.SIGSTOP)
        yield from pieces

writing = a_writing(content="Words. " * 100)
author = UserId(UUID(author_id))
posts = [imported(a_post(slug=f"frozen-{number}", author=author, writing=writing)) for number in range(10_000)]

async def main():
    database = import_database(Settings.model_validate({"database_url": url}))
    async with database.begin() as work:
        job = await work.imports.get(ImportId(UUID(job_id)))
        await work.imports.hold(job)
        packed = pack_posts(posts, origin=job.id, at=NOON)
        await work.posts.add_many(replace(packed, encoded=Freezing(packed.encoded)))
        await work.commit()

asyncio.run(main())
"""


async def test_a_claim_ends_a_worker_frozen_in_the_middle_of_a_copy(
    database: Database, database_url: str, outside: Any
) -> None:
    user, job = a_user(), a_job()
    async with database.begin() as work:
        await work.users.add(user)
        await work.imports.add(job)
        await work.commit()
    job = await claim(database, job)
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WORKER, database_url, str(job.id), str(user.id), stderr=asyncio.subprocess.PIPE
    )
    try:
        await until(lambda: is_frozen(worker.pid))
        copying = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'COPY %posts%'"
        )
        assert await outside.fetchval(copying) == 1

        claimed = await claim(database, job, after=LEASE)
        assert claimed.fence == job.fence + 1
        async with database.begin() as work:
            await work.imports.hold(claimed)
            assert not await work.posts.exist_by_author(user.id)
            await work.commit()

        os.kill(worker.pid, signal.SIGCONT)
        _, told = await worker.communicate()
        assert worker.returncode == 1
        assert b"cannot be reached" in told
    finally:
        if worker.returncode is None:
            worker.kill()
            await worker.wait()
    async with database.begin() as work:
        assert not await work.posts.exist_by_author(user.id)


async def is_frozen(pid: int) -> bool:
    return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)


async def claim(database: Database, job: ImportJob, *, after: timedelta = timedelta()) -> ImportJob:
    async with database.begin() as work:
        claimed = (await work.imports.lock(job.id)).claimed(at=NOON + after, lease=LEASE, chunk_rows=100)
        await work.imports.save_claim(claimed)
        await work.commit()
    return claimed
