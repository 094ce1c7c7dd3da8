"""Structured logs of every process, on stderr: one event a line, JSON or for people to read, without secrets."""

import json
import logging
import sys
from collections.abc import Mapping, MutableMapping
from functools import cache

import msgspec
import structlog
from structlog.typing import Processor

from infrastructure.settings import Settings

_SECRET_NAMES = ("authorization", "cookie", "password", "secret", "token")
_CHATTY = ("alembic.runtime.plugins", "arq", "asyncio", "httpcore", "httpx")
"""Libraries whose INFO tells what Byline's own events say better, or every tick of a schedule."""


def configure_logging(settings: Settings) -> None:
    """Structlog's events and those of the standard library's loggers go alike to stderr.

    Structlog's own do not pass through the standard library, which would make each of them cost ten times as much.
    """
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        mask_secrets,
    ]
    structlog.configure(
        processors=[*shared, *_renderers(settings)],
        logger_factory=StderrLogger,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers(settings)],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(level if level <= logging.DEBUG else max(level, logging.WARNING))
    logging.captureWarnings(True)


class StderrLogger:
    """Where structlog's lines end."""

    def __init__(self, name: str | None = None) -> None:
        self.name = name

    def msg(self, line: str) -> None:
        sys.stderr.write(line + "\n")

    debug = info = warning = error = critical = exception = msg


def mask_secrets(_logger: object, _method: str, event: MutableMapping[str, object]) -> Mapping[str, object]:
    """A processor: no text that is logged under the name of a secret is shown."""
    for name, value in event.items():
        if isinstance(value, str | bytes) and _is_secret(name):
            event[name] = "***"
    return event


@cache
def _is_secret(name: str) -> bool:
    return any(secret in name.lower() for secret in _SECRET_NAMES)


def _json(event: object, **_options: object) -> str:
    try:
        return msgspec.json.encode(event, enc_hook=repr).decode()
    except UnicodeEncodeError:  # half a surrogate pair, which json escapes
        return json.dumps(event, default=repr)


def _renderers(settings: Settings) -> list[Processor]:
    console = settings.log_format == "console" or (settings.log_format == "auto" and sys.stderr.isatty())
    if console:
        # The default formatter would show local variables, passwords among them.
        plain = structlog.dev.plain_traceback
        return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_json)]
