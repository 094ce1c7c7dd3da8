"""Whether the service can do its work."""

import pytest

from application.health import CheckHealth
from infrastructure.memory.health import MemoryHealth


@pytest.mark.parametrize(
    ("probe", "status", "is_ready"),
    [
        (MemoryHealth(), "ready", True),
        (MemoryHealth(redis_problem="away"), "degraded", True),
        (MemoryHealth(database_problem="away"), "unready", False),
        (MemoryHealth(migrations_problem="behind"), "unready", False),
        (MemoryHealth(migrations_problem="behind", redis_problem="away"), "unready", False),
    ],
)
async def test_without_redis_it_is_degraded_and_without_the_database_unready(
    probe: MemoryHealth, status: str, is_ready: bool
) -> None:
    health = await CheckHealth(probe)()
    assert (health.status, health.is_ready) == (status, is_ready)
    assert (health.database, health.migrations, health.redis) == (
        probe.database_problem,
        probe.migrations_problem,
        probe.redis_problem,
    )
