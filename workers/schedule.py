"""What a worker does now and then, whether Redis is there or not."""

import structlog

from application.auth import SweepSessions
from application.imports import DispatchImports
from application.outbox import RelayOutbox, relaying
from application.periodic import Periodic
from application.uploads import SweepUploads
from application.views import SweepViewBatches
from application.warmings import SweepWarmings

log = structlog.get_logger(__name__)


def schedule(
    relay: RelayOutbox,
    dispatch: DispatchImports,
    sessions: SweepSessions,
    uploads: SweepUploads,
    warmings: SweepWarmings,
    view_batches: SweepViewBatches,
) -> tuple[Periodic, ...]:
    async def dispatch_imports() -> bool:
        await dispatch()
        return False

    async def sweep_sessions() -> bool:
        swept = await sessions()
        if swept:
            log.info("sessions_swept", sessions=swept)
        return False

    async def sweep_uploads() -> bool:
        swept = await uploads()
        if swept:
            log.info("uploads_swept", files=swept)
        return False

    async def sweep_warmings() -> bool:
        await warmings()
        return False

    async def sweep_view_batches() -> bool:
        await view_batches()
        return False

    return (
        relaying(relay),
        Periodic("dispatch_imports", 2.0, dispatch_imports),
        Periodic("sweep_sessions", 3600.0, sweep_sessions),
        Periodic("sweep_uploads", 3600.0, sweep_uploads),
        Periodic("sweep_warmings", 3600.0, sweep_warmings),
        Periodic("sweep_view_batches", 3600.0, sweep_view_batches),
    )
