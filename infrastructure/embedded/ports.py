"""Ports that nobody listens on yet. An answer may be out of date at once; the server's own bind decides."""

import errno
import os
import socket

from infrastructure.embedded.errors import EmbeddedError

TRIES = 100


class PortTaken(EmbeddedError):
    """The port that was asked for cannot be had."""


def free_port(preferred: int, host: str = "127.0.0.1") -> int:
    """`preferred` if it is free on `host`, else the next one that is; 0 leaves the choice to the kernel."""
    if preferred:
        for port in range(preferred, min(preferred + TRIES, 65536)):
            if _refusal(port, host) is None:
                return port
    with _bound(0, host) as listener:
        any_port: int = listener.getsockname()[1]
        return any_port


def require_port(port: int, host: str = "127.0.0.1", *, setting: str = "BYLINE_PORT") -> int:
    """`port` if it is free on `host`. Raises PortTaken, which names the port and the setting that chose it."""
    refusal = _refusal(port, host)
    if refusal is None:
        return port
    if refusal.errno == errno.EADDRINUSE:
        raise PortTaken(
            f"Port {port} on {host} is taken by another process. Stop that one, set {setting} to another port, "
            f"or unset it to take the next free one."
        )
    reason = os.strerror(refusal.errno) if refusal.errno else str(refusal)
    raise PortTaken(f"Port {port} on {host} cannot be used ({reason}). Set {setting} to another port.")


def _refusal(port: int, host: str) -> OSError | None:
    try:
        _bound(port, host).close()
    except OSError as error:
        return error
    return None


def _bound(port: int, host: str) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        # As servers do: connections of the last run that are still in TIME_WAIT do not make a port taken.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1)
    except BaseException:
        listener.close()
        raise
    return listener
