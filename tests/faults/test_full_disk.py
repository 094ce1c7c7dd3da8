"""An API whose disk is full says so, keeps nothing half-made, and goes on when there is room; orphans are swept."""

import os
import resource
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from domain.imports import ImportState
from tests.cli.running import a_free_port, answers, eventually, running
from tests.faults.test_restarts import small_file
from tests.workers.processes import service

pytestmark = pytest.mark.e2e

ROOM_BYTES = 512 * 1024
TWO_DAYS_S = 2 * 86_400


@contextmanager
def a_small_disk(at: Path) -> Iterator[bool]:
    """Whether there is one: that takes a mount, which only root may make, and not everywhere."""
    at.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOM_BYTES}", "tmpfs", str(at)]
    is_mounted = os.geteuid() == 0 and subprocess.run(mount, check=False, capture_output=True).returncode == 0
    try:
        yield is_mounted
    finally:
        if is_mounted:
            subprocess.run(["umount", "--lazy", str(at)], check=True)


async def test_a_full_disk_is_507_with_nothing_half_made_and_orphans_are_swept(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    port = a_free_port()
    url = f"http://127.0.0.1:{port}"
    servers = {"BYLINE_DATABASE_URL": database_url, "BYLINE_REDIS_URL": redis_url, "BYLINE_PORT": str(port)}
    with a_small_disk(data) as is_small:
        async with (
            service(database_url, redis_url, data) as office,
            running(tmp_path, "serve", **servers) as api,
            httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as http,
        ):
            await eventually(lambda: answers(url), "the API answers")
            if not is_small:
                for process in api.everyone():
                    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (ROOM_BYTES, ROOM_BYTES))
            grant = {"username": "admin", "password": "correct horse"}
            tokens = (await http.post("/v1/auth/token", data=grant)).json()
            http.headers["authorization"] = f"Bearer {tokens['access_token']}"

            too_much = await http.post(
                "/v1/imports?kind=posts", content=b"x" * 2 * ROOM_BYTES, headers={"content-type": "text/csv"}
            )
            assert too_much.status_code == 507, too_much.text
            assert too_much.json()["type"] == "/problems/storage-full"
            assert stored(data) == []
            assert (await http.get("/v1/imports")).json()["items"] == []

            enough = await http.post(
                "/v1/imports?kind=posts", content=small_file(1), headers={"content-type": "application/x-ndjson"}
            )
            assert enough.status_code == 202, enough.text
            (kept,) = stored(data)

            orphan, half = kept.with_name("orphan"), kept.with_name(".half.part")
            for path in (orphan, half):
                path.write_bytes(b"")
                os.utime(path, (time.time() - TWO_DAYS_S,) * 2)
            os.utime(kept, (time.time() - TWO_DAYS_S,) * 2)
            async with office.worker() as worker:
                assert (await worker.event("uploads_swept"))["files"] == 2
                assert stored(data) == [kept]
                (job,) = (await http.get("/v1/imports")).json()["items"]

                async def is_done() -> bool:
                    answer = (await http.get(f"/v1/imports/{job['id']}")).json()
                    return bool(answer["state"] == ImportState.SUCCEEDED)

                await eventually(is_done, "the file that is kept is imported")


def stored(data: Path) -> list[Path]:
    return [path for path in (data / "files").rglob("*") if path.is_file()]
