"""`byline`: every test that asks for it runs on the memory adapters, and again on the database."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from infrastructure.container import Container
from infrastructure.settings import Settings
from interfaces.http.app import HttpOptions
from interfaces.http.hot import HotReads
from tests.http.byline import Byline, container_of, served
from tests.http.hot import Place, furnished

StartByline = Callable[..., Awaitable[Byline]]


@pytest.fixture(params=["memory", pytest.param("database", marks=pytest.mark.servers)])
def containers(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Container]:
    """By settings."""
    in_memory = request.param == "memory"
    url = None if in_memory else request.getfixturevalue("database_url")

    def make(**changed: Any) -> Container:
        told = {"data_dir": tmp_path, "database_url": url, "secret_key": "k" * 40, **changed}
        return container_of(Settings.model_validate(told), in_memory=in_memory)

    return make


@pytest.fixture
async def start(containers: Callable[..., Container]) -> AsyncIterator[StartByline]:
    """A Byline of the settings named; `options` for its HTTP interface, `prepare` to override what it stands on."""
    async with AsyncExitStack() as stack:

        async def starting(
            *, options: HttpOptions | None = None, prepare: Callable[[Container], None] | None = None, **changed: Any
        ) -> Byline:
            container = containers(**changed)
            if prepare is not None:
                prepare(container)
            return await stack.enter_async_context(served(container, options or HttpOptions()))

        yield starting


@pytest.fixture
async def byline(start: StartByline) -> Byline:
    return await start()


@pytest.fixture
def hot_app(byline: Byline) -> HotReads:
    return HotReads(byline.app)


@pytest.fixture
async def place(byline: Byline) -> Place:
    return await furnished(byline)
