"""Whether the service can do its work."""

import asyncio
from dataclasses import dataclass

from application.ports.services import HealthProbe


@dataclass(frozen=True, slots=True)
class Health:
    """What is wrong with each part; None where it is well. Without Redis the service is degraded, and still ready."""

    database: str | None
    migrations: str | None
    redis: str | None

    @property
    def is_ready(self) -> bool:
        return self.database is None and self.migrations is None

    @property
    def status(self) -> str:
        if not self.is_ready:
            return "unready"
        return "ready" if self.redis is None else "degraded"


@dataclass(frozen=True, slots=True)
class CheckHealth:
    probe: HealthProbe

    async def __call__(self) -> Health:
        return Health(*await asyncio.gather(self.probe.database(), self.probe.migrations(), self.probe.redis()))
