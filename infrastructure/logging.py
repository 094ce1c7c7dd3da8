"""Structured logs of every process, on stderr: one event a line, JSON or for people to read, without secrets."""

import logging
import sys
from collections.abc import Mapping, MutableMapping

import structlog
from structlog.typing import Processor

from infrastructure.settings import Settings

_SECRET_NAMES = ("authorization", "cookie", "password", "secret", "token")
_CHATTY = ("arq", "asyncio", "httpcore", "httpx")
"""Libraries whose INFO tells what Byline's own events say better, or every tick of a schedule."""


def configure_logging(settings: Settings) -> None:
    """Route structlog and the standard library's loggers alike to stderr."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        mask_secrets,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
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


def mask_secrets(_logger: object, _method: str, event: MutableMapping[str, object]) -> Mapping[str, object]:
    """A processor: no text that is logged under the name of a secret is shown."""
    for name, value in event.items():
        if isinstance(value, str | bytes) and any(secret in name.lower() for secret in _SECRET_NAMES):
            event[name] = "***"
    return event


def _renderers(settings: Settings) -> list[Processor]:
    console = settings.log_format == "console" or (settings.log_format == "auto" and sys.stderr.isatty())
    if console:
        # The default formatter would show local variables, passwords among them.
        plain = structlog.dev.plain_traceback
        return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
