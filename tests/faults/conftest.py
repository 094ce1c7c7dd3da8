"""`offices`: the same service again and again, each time on empty tables, so that runs can be compared."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from tests import stage
from tests.faults.gates import Gates, gates_in
from tests.workers.processes import Service, service

Offices = Callable[[], AbstractAsyncContextManager[Service]]


@pytest.fixture
def offices(worker_database: stage.WorkerDatabase, redis_url: str, tmp_path: Path) -> Offices:
    @asynccontextmanager
    async def office() -> AsyncIterator[Service]:
        await asyncio.to_thread(worker_database.empty)  # on a loop of its own
        async with service(worker_database.url, redis_url, tmp_path, repeatable=True) as office:
            yield office

    return office


@pytest.fixture
async def gates(worker_database: stage.WorkerDatabase) -> AsyncIterator[Gates]:
    async with gates_in(worker_database.url) as gates:
        yield gates
