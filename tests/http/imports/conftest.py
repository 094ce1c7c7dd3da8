"""A Byline whose stored files a test can look at, and who sends it some."""

import pytest
from dependency_injector import providers

from domain.actors import Role
from infrastructure.container import Container
from infrastructure.memory.storage import MemoryBlobs
from tests.http.byline import Byline, Member
from tests.http.conftest import StartByline

MAX_UPLOAD_BYTES = 100_000


@pytest.fixture
def blobs() -> MemoryBlobs:
    return MemoryBlobs()


@pytest.fixture
async def byline(start: StartByline, blobs: MemoryBlobs) -> Byline:
    def prepare(container: Container) -> None:
        container.blobs.override(providers.Object(blobs))

    return await start(prepare=prepare, max_upload_bytes=MAX_UPLOAD_BYTES)


@pytest.fixture
async def olga(byline: Byline) -> Member:
    return await byline.member("olga", role=Role.OPERATOR)
