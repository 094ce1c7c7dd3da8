"""`kill -9` of an API process at every step between a commit and its answer. Nobody was told that the write is done; it
is there, and within 2 s everybody is shown it: its message, written with it, is due after 1 s, and the relay of another
process looks for such every half second."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from signal import SIGKILL

import httpx
import pytest

from tests import stage
from tests.faults.apis import Api, Cluster, cluster, published, retitled, signed_in
from tests.faults.deadly_api import Step

pytestmark = pytest.mark.e2e

LONGEST_S = 2.0
BOUND_S = 30.0
POLL_S = 0.005
LIST = "/v1/posts?page_size=100&count=none"


@pytest.fixture(scope="module")
async def around(
    worker_database: stage.WorkerDatabase,
    servers: stage.Servers,
    worker_id: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Cluster]:
    await asyncio.to_thread(worker_database.empty)  # on a loop of its own
    redis_url = await asyncio.to_thread(stage.emptied_redis, servers, worker_id)
    async with cluster(tmp_path_factory.mktemp("cluster"), worker_database.url, redis_url) as around:
        yield around


@pytest.fixture(scope="module")
async def neighbour(around: Cluster) -> AsyncIterator[Api]:
    """Of the host whose process dies."""
    async with around.api("neighbour", host="here") as api:
        yield api


@pytest.fixture(scope="module")
async def elsewhere(around: Cluster) -> AsyncIterator[Api]:
    """Another host."""
    async with around.api("elsewhere") as api:
        yield api


@pytest.mark.parametrize("step", list(Step))
async def test_killed_after_a_commit_it_leaves_nothing_stale_for_more_than_two_seconds(
    around: Cluster, neighbour: Api, elsewhere: Api, step: Step, record_property: Callable[[str, object], None]
) -> None:
    admin = await signed_in(neighbour)
    old, new = f"Before {step}", f"After {step}"
    path = await published(neighbour, admin, old)
    for api in (neighbour, elsewhere):
        await until_shown(api, path, old)

    module = (sys.executable, "-P", "-m", "tests.faults.deadly_api", step)
    async with around.api(f"dying-{step}", *module, host="here") as dying:
        with pytest.raises(httpx.TransportError):
            await retitled(dying, admin, path, new)
        died_at = time.monotonic()
        assert await dying.process.status() == -SIGKILL

        fresh = await asyncio.gather(*(until_shown(api, path, new) for api in (neighbour, elsewhere)))
    stale_s = max(fresh) - died_at
    record_property("stale_s", round(stale_s, 3))
    assert stale_s <= LONGEST_S


async def until_shown(api: Api, path: str, title: str) -> float:
    """Twice in a row, by its page and by a list: as it is shown from then on. When that was so at last."""

    async def shown() -> bool:
        return await api.title(path) == title and title in await api.titles(LIST)

    return await last_false(shown)


async def last_false(true: Callable[[], Awaitable[bool]]) -> float:
    was_true = 0
    false_at = time.monotonic()
    async with asyncio.timeout(BOUND_S):
        while was_true < 2:
            asked_at = time.monotonic()
            if await true():
                was_true += 1
            else:
                was_true, false_at = 0, asked_at
            await asyncio.sleep(POLL_S)
    return false_at
