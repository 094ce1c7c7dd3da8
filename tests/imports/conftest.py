from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.imports.places import MemoryPlace, Place
from tests.imports.postgres import on_postgres


@pytest.fixture(params=["memory", pytest.param("database", marks=pytest.mark.servers)])
def url(request: pytest.FixtureRequest) -> str | None:
    """None stands for memory."""
    if request.param == "memory":
        return None
    found: str = request.getfixturevalue("database_url")
    return found


@pytest.fixture
async def place(url: str | None, tmp_path: Path) -> AsyncIterator[Place]:
    """With the users `ann` and `bob`."""
    if url is None:
        memory = MemoryPlace()
        await _settle(memory)
        yield memory
        assert memory.store.checked_out() == 0
        return
    async with on_postgres(url, tmp_path) as postgres:
        await _settle(postgres)
        yield postgres


async def _settle(place: Place) -> None:
    for name in ("ann", "bob"):
        await place.add_user(name)


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many tries as ever, sooner one after the other."""
    for module in ("application.importing.writing", "application.importing.runs"):
        monkeypatch.setattr(f"{module}.PAUSES_S", (0.001, 0.002, 0.003))
