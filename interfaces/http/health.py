"""Whether the process lives, and whether the service can do its work."""

from dataclasses import asdict, dataclass
from typing import Literal

from fastapi import Response
from starlette.responses import JSONResponse

from interfaces.http.access import App
from interfaces.http.answers import NO_STORE
from interfaces.http.openapi import router, told

routes = router("/health", tag="Health")


@dataclass(frozen=True, slots=True)
class Alive:
    status: Literal["alive"] = "alive"


@dataclass(frozen=True, slots=True)
class Readiness:
    """What is wrong with each part, null where it is well. Without Redis the service is degraded, and still ready."""

    status: Literal["ready", "degraded", "unready"]
    database: str | None
    migrations: str | None
    redis: str | None


@routes.get("/live", response_model=Alive, responses=told())
async def show_liveness() -> Response:
    """The process answers. Nothing else is asked."""
    return JSONResponse(asdict(Alive()), headers=NO_STORE)


@routes.get("/ready", response_model=Readiness, responses={**told(), 503: {"model": Readiness}})
async def check_health(app: App) -> Response:
    """200 while requests can be answered, 503 with the reasons while they cannot."""
    health = await app.check_health()
    body = {"status": health.status, **asdict(health)}
    return JSONResponse(body, status_code=200 if health.is_ready else 503, headers=NO_STORE)
