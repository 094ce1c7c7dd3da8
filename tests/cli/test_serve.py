"""`byline serve` by itself, as production runs it."""

from collections.abc import AsyncIterator
from pathlib import Path
from signal import SIGKILL, SIGTERM

import pytest

from tests.cli.running import Running, a_free_port, all_gone, answers, byline, eventually, running

pytestmark = pytest.mark.e2e


@pytest.fixture
def url() -> str:
    return f"http://127.0.0.1:{a_free_port()}"


@pytest.fixture
async def api(url: str, tmp_path: Path, database_url: str, redis_url: str) -> AsyncIterator[Running]:
    """With two processes, ready."""
    async with running(
        tmp_path,
        "serve",
        BYLINE_DATABASE_URL=database_url,
        BYLINE_REDIS_URL=redis_url,
        BYLINE_PORT=url.rpartition(":")[2],
        BYLINE_API_PROCESSES="2",
    ) as api:
        await eventually(lambda: answers(url), "the API answers")
        yield api


async def test_killed_it_leaves_no_process_that_goes_on_serving(api: Running, url: str) -> None:
    everyone = api.everyone()
    assert len(everyone) == 3

    await api.end(SIGKILL)

    await all_gone(everyone)
    assert not await answers(url)


async def test_it_shares_no_port_and_ends_when_asked_to(
    api: Running, url: str, tmp_path: Path, database_url: str
) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    port = url.rpartition(":")[2]
    everyone = api.everyone()

    second = await byline(
        folder, "serve", BYLINE_DATABASE_URL=database_url, BYLINE_REDIS_URL="redis://nowhere", BYLINE_PORT=port
    )
    assert second.status == 1
    assert f"Port {port} on 127.0.0.1 is taken" in second.stderr

    assert await api.end(SIGTERM) == 0
    await all_gone(everyone)


async def test_it_says_which_servers_it_needs(tmp_path: Path) -> None:
    neither = await byline(tmp_path, "serve")
    no_redis = await byline(tmp_path, "worker", BYLINE_DATABASE_URL="postgresql://localhost/byline")

    assert (neither.status, no_redis.status) == (1, 1)
    assert "Set BYLINE_DATABASE_URL" in neither.stderr
    assert "Set BYLINE_REDIS_URL" in no_redis.stderr
