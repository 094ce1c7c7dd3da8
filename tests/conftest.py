"""What any test may ask for: `database_url` and `redis_url`, empty, on servers that start only for tests that ask.

Under xdist they are started by the controller, whose main thread outlives every worker, and once a worker has collected
a test that needs them.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests import stage

hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True, database=None, max_examples=50)
hypothesis.settings.register_profile("exploring", deadline=None, max_examples=2_000)
hypothesis.settings.load_profile("repeatable")

_INSISTING = ("BYLINE_TEST_REQUIRE_SERVERS", "BYLINE_TEST_DATABASE_URL", "BYLINE_TEST_REDIS_URL")
CONTROLLED = pytest.StashKey[stage.Controlled]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "servers: asks for PostgreSQL or Redis otherwise than by a fixture it names")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    if CONTROLLED not in node.config.stash:
        node.config.stash[CONTROLLED] = stage.Controlled(Path(tempfile.mkdtemp(prefix="byline-test-run-")))
    node.workerinput["run_folder"] = str(node.config.stash[CONTROLLED].folder)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    folder = _run_folder(session.config)
    if folder is not None and any(map(_needs_servers, session.items)):
        stage.ask_for_servers(folder)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any) -> None:
    node.config.stash[CONTROLLED].start_if_asked()


def pytest_unconfigure(config: pytest.Config) -> None:
    if CONTROLLED in config.stash:
        config.stash[CONTROLLED].stop()


@pytest.fixture(scope="session")
def servers(request: pytest.FixtureRequest) -> Iterator[stage.Servers]:
    """Skips where none can be started; fails instead with BYLINE_TEST_REQUIRE_SERVERS=1, or where some were named."""
    folder = _run_folder(request.config)
    with stage.alone() if folder is None else nullcontext(stage.shared(folder)) as outcome:
        if isinstance(outcome, stage.Servers):
            yield outcome
        elif any(os.environ.get(name, "0") != "0" for name in _INSISTING):
            pytest.fail(f"No servers: {outcome}")
        else:
            pytest.skip(f"No servers: {outcome}")


@pytest.fixture(scope="session")
def worker_database(servers: stage.Servers, worker_id: str) -> Iterator[stage.WorkerDatabase]:
    database = stage.WorkerDatabase(servers, worker_id)
    yield database
    database.close()


@pytest.fixture
def database_url(worker_database: stage.WorkerDatabase) -> str:
    """Of a migrated database that is empty when the test begins, and this worker's alone."""
    worker_database.empty()
    return worker_database.url


@pytest.fixture
def redis_url(servers: stage.Servers, worker_id: str) -> str:
    """Of a Redis database that is empty when the test begins, and this worker's alone."""
    return stage.emptied_redis(servers, worker_id)


def _needs_servers(item: pytest.Item) -> bool:
    return "servers" in getattr(item, "fixturenames", ()) or item.get_closest_marker("servers") is not None


def _run_folder(config: pytest.Config) -> Path | None:
    """What this worker of xdist shares with the controller; None where one process does it all."""
    workerinput: dict[str, str] | None = getattr(config, "workerinput", None)
    return Path(workerinput["run_folder"]) if workerinput else None
