"""The port of the API."""

from infrastructure.embedded.ports import free_port, require_port
from infrastructure.settings import Settings

DEFAULT_PORT = 8000


def api_port(settings: Settings) -> int:
    """The one that was asked for, else 8000 or the next one that is free. Raises PortTaken."""
    if settings.port:
        return require_port(settings.port, settings.host)
    return free_port(DEFAULT_PORT if settings.port is None else 0, settings.host)
