"""`byline serve` and `byline worker`: one part of the service each, as production runs them."""

import os
import resource
import signal
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from math import ceil
from typing import Any

import typer

from interfaces.cli.composition import Composition

APP = "interfaces.http.main"
BACKLOG = 2048
CONNECTIONS = 16_384
"""Of one process. Granian takes no more than these, be they idle; it is Byline that says when it is busy."""
DRAIN_MARGIN_S = 14
"""What the API may take to stop beyond its longest request: most of it for the views that it has counted."""
LOGGERS = {"_granian": {"propagate": True}, "granian.access": {"propagate": True}}


def serve(context: typer.Context) -> None:
    """Run the HTTP API: [bold]BYLINE_API_PROCESSES[/] processes under one that starts them again when they die.

    SIGTERM and SIGINT let the requests at hand end first. Any other ASGI server can run `interfaces.http.main:app`.

    Exit codes: 0 stopped as asked, 1 could not start or go on, 2 wrong settings.
    """
    from granian import Granian
    from granian.constants import HTTPModes, Interfaces, Loops

    composition: Composition = context.obj
    composition.use_server_urls(redis=True)
    composition.configure_logging()
    _allow_connections()
    settings = composition.settings()
    server = Granian(
        f"{APP}:app",
        address=settings.host,
        port=composition.port(),
        interface=Interfaces.ASGI,
        workers=settings.api_processes,
        loop=Loops.uvloop,
        http=HTTPModes.http1,
        websockets=False,
        backlog=BACKLOG,
        backpressure=CONNECTIONS,
        log_dictconfig={
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {},
            "handlers": {},
            "loggers": LOGGERS,
        },
        respawn_failed_workers=True,
        workers_kill_timeout=ceil(settings.request_timeout_s) + DRAIN_MARGIN_S,
    )
    load = partial(_load_app, os.getpid(), composition.die_with)
    server.serve(target_loader=load, wrap_loader=False)


def worker(context: typer.Context) -> None:
    """Run the worker: imports, the outbox, and what has to be done now and then.

    SIGTERM and SIGINT give the jobs at hand back, for another worker or the next start to go on with.

    Exit codes: 0 stopped as asked, 1 could not start or go on, 2 wrong settings.
    """
    composition: Composition = context.obj
    composition.use_server_urls(redis=True)
    composition.settings()
    # In place of this process, whose libraries for the command line it need not keep in memory.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "workers.main"])  # noqa: S606 - no shell is wanted


def _allow_connections() -> None:
    """As many open files as may be: the usual soft limit of 1024 is for programs that use select()."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS if hard == resource.RLIM_INFINITY else min(CONNECTIONS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _load_app(parent: int, die_with: Callable[[int], None]) -> Any:
    """In a process that granian has just forked."""
    # Until granian sets handlers of its own, the inherited ones would swallow the signal that ends this process.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    die_with(parent)
    return import_module(APP).app
