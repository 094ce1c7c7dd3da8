"""Where the API listens, and where it answers."""

from infrastructure.embedded.ports import free_port, require_port
from infrastructure.settings import BadSettings, Settings

DEFAULT_PORT = 8000


def api_port(settings: Settings) -> int:
    """The one that was asked for, else 8000 or the next one that is free. Raises PortTaken, BadSettings."""
    try:
        any_port = free_port(0, settings.host)
    except OSError:
        problem = f"BYLINE_HOST: must be an address of this machine (it is {settings.host!r}), for example 127.0.0.1."
        raise BadSettings([problem]) from None
    if settings.port is None:
        return free_port(DEFAULT_PORT, settings.host)
    return require_port(settings.port, settings.host) if settings.port else any_port


def reachable(host: str) -> str:
    """Where a server that listens on `host` answers on this machine."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 - compared, not bound
