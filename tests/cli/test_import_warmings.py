"""The warming that follows `byline import`, on memory adapters."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from application.ports.work import Isolation, UnitOfWork
from application.use_cases import UseCases
from domain.errors import Busy
from domain.ids import ImportId
from domain.imports import ImportJob, ImportState
from domain.warmings import WarmingReason
from tests.cli.memory import Byline

REDIS: dict[str, object] = {"redis_url": "redis://nowhere.example"}


@dataclass
class Changed(Byline):
    """Whose use cases are others, in part."""

    change: Callable[[UseCases], UseCases] = lambda use_cases: use_cases

    @asynccontextmanager
    async def use_cases(self) -> AsyncIterator[UseCases]:
        async with super().use_cases() as use_cases:
            yield self.change(use_cases)


@pytest.fixture
def archive(tmp_path: Path) -> str:
    path = tmp_path / "users.ndjson"
    path.write_text('{"username": "ada", "email": "ada@example.com"}\n')
    return str(path)


def asked_for(byline: Byline) -> list[WarmingReason]:
    return [warming.reason for warming in byline.adapters.store().tables.warmings.rows.values()]


def test_an_import_that_was_run_here_is_followed_by_one(archive: str) -> None:
    byline = Byline(REDIS).with_admin()
    assert byline("import", archive).exit_code == 0
    assert asked_for(byline) == [WarmingReason.IMPORT]


@pytest.mark.parametrize("options", [{}, REDIS | {"warm_every_s": 0}, REDIS | {"cache": "none"}])
def test_where_workers_never_warm_of_their_own_it_is_not(options: dict[str, object], archive: str) -> None:
    byline = Byline(options).with_admin()
    assert byline("import", archive).exit_code == 0
    assert asked_for(byline) == []


def test_an_import_that_had_finished_before_is_not_followed_by_another(archive: str) -> None:
    byline = Byline(REDIS).with_admin()

    async def warm(_topic: str, _key: str) -> None:
        async with byline.use_cases() as use_cases:
            await use_cases.run_warming()

    byline.adapters.queue().on_wake(warm)
    assert byline("import", archive).exit_code == 0
    assert byline("import", "--resume", "last").exit_code == 0
    assert asked_for(byline) == [WarmingReason.IMPORT]


def test_an_import_has_succeeded_also_where_none_can_be_asked_for(archive: str) -> None:
    def refused(*, isolation: Isolation = Isolation.READ_COMMITTED) -> AbstractAsyncContextManager[UnitOfWork]:
        raise Busy(f"No connection is free for {isolation.name}.")

    def change(use_cases: UseCases) -> UseCases:
        return replace(use_cases, request_warming=replace(use_cases.request_warming, begin=refused))

    byline = Changed(REDIS, change=change).with_admin()
    result = byline("import", archive)
    assert result.exit_code == 0, result.output
    assert "1 rows read, 1 created" in result.stdout
    assert "The cache is not warmed at once: No connection is free for" in result.stderr


def test_it_is_asked_for_also_where_the_end_is_seen_before_the_run_returns(archive: str) -> None:
    def change(use_cases: UseCases) -> UseCases:
        async def lingering(import_id: ImportId) -> ImportJob:
            await use_cases.run_import(import_id)
            until_cancelled: asyncio.Future[ImportJob] = asyncio.get_running_loop().create_future()
            return await until_cancelled

        return replace(use_cases, run_import=lingering)  # type: ignore[arg-type]  # it is called, and no more

    byline = Changed(REDIS, change=change).with_admin()
    assert byline("import", archive).exit_code == 0
    assert byline.job().state is ImportState.SUCCEEDED
    assert asked_for(byline) == [WarmingReason.IMPORT]
