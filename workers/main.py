"""The worker: imports, the outbox's relay, and the schedule. `python -m workers.main`, or `byline worker`."""

import asyncio
import signal
import sys
from dataclasses import replace
from functools import partial

import structlog
import uvloop

from application.outbox import START_IMPORT
from application.warmings import WARM_CACHE
from infrastructure.container import Container, running
from infrastructure.interpreter import collect_garbage_seldom, switch_threads_often
from infrastructure.logging import configure_logging
from infrastructure.queue.arq import TASK, connect
from infrastructure.settings import BadSettings, Settings, load_settings
from workers.runner import ImportRunner
from workers.schedule import schedule
from workers.tasks import listen
from workers.warmer import Warmer

log = structlog.get_logger(__name__)


async def work(settings: Settings, *, stop: asyncio.Event) -> None:
    """Until `stop` is set: then running imports commit the chunk they are at and give their jobs back."""
    async with running(Container(settings=settings)) as byline:
        collect_garbage_seldom()
        switch_threads_often()
        warmer = Warmer(byline.request_warming, byline.run_warming, every_s=settings.warm_every_s)
        runner = ImportRunner(byline.run_import, at_once=settings.imports_at_once, on_finished=warmer.imported)
        # Jobs that wait are found in the database and started right here: nothing of that needs Redis.
        dispatch = replace(byline.dispatch_imports, queue=runner)
        periodics = schedule(
            byline.relay_outbox,
            dispatch,
            byline.sweep_sessions,
            byline.sweep_uploads,
            byline.sweep_warmings,
            byline.sweep_view_batches,
        )
        async with asyncio.TaskGroup() as group:
            for periodic in periodics:
                group.create_task(periodic.repeat(stop), name=periodic.name)
            group.create_task(warmer.repeat(stop), name="warm_cache")
            if settings.redis_url is not None:
                # A Redis that hangs is left like one that is gone.
                redis = partial(connect, settings.redis_url, socket_timeout=5.0, socket_connect_timeout=1.0)
                wakes = {START_IMPORT: runner.wake, WARM_CACHE: warmer.wake}
                group.create_task(listen(redis, wakes, task=TASK, stop=stop), name="listen")
            log.info("worker_ready", imports_at_once=settings.imports_at_once, redis=settings.redis_url is not None)
            try:
                await stop.wait()
                log.info("worker_stopping")
                await runner.drain()
            except asyncio.CancelledError:
                await runner.abort()
                raise
    log.info("worker_stopped")


def run() -> None:
    """SIGTERM and SIGINT stop it; a second one does not wait for chunks."""
    try:
        settings = load_settings()
        configure_logging(settings)
        uvloop.run(_until_signalled(settings))
    except BadSettings as error:
        print(error, file=sys.stderr)  # noqa: T201 -- for whoever started it
        sys.exit(2)


async def _until_signalled(settings: Settings) -> None:
    stop = asyncio.Event()
    working = asyncio.create_task(work(settings, stop=stop))

    def signalled() -> None:
        if stop.is_set():
            working.cancel()
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signalled)
    await asyncio.wait([working])
    if not working.cancelled():
        working.result()


if __name__ == "__main__":
    run()
