"""Health as it is told."""

from dataclasses import dataclass


@dataclass(slots=True)
class MemoryHealth:
    """All well, unless told: each is what is wrong with that part."""

    database_problem: str | None = None
    migrations_problem: str | None = None
    redis_problem: str | None = None

    async def database(self) -> str | None:
        return self.database_problem

    async def migrations(self) -> str | None:
        return self.migrations_problem

    async def redis(self) -> str | None:
        return self.redis_problem
