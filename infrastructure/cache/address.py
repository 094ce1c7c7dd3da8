"""Where Redis is, and how a connection to it begins."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from redis.asyncio.connection import SSLConnection, parse_url

Wired = TypeVar("Wired", bound=asyncio.Protocol)


@dataclass(frozen=True, slots=True)
class Address:
    """Of a URL as redis-py reads it: redis://, rediss:// or unix://."""

    host: str
    port: int
    path: str | None
    db: int
    tls: ssl.SSLContext | None = field(repr=False)
    credentials: tuple[str, ...] = field(repr=False)

    @classmethod
    def of(cls, url: str) -> "Address":
        """Raises ValueError."""
        parsed: dict[str, Any] = dict(parse_url(url))
        credentials = [parsed[name] for name in ("username", "password") if name in parsed]
        tls = None
        if parsed.pop("connection_class", None) is SSLConnection:
            tls = SSLConnection(**parsed).ssl_context.get()
        return cls(
            parsed.get("host", "localhost"),
            parsed.get("port", 6379),
            parsed.get("path"),
            parsed.get("db", 0),
            tls,
            tuple(credentials) if "password" in parsed else (),
        )

    @property
    def greeting(self) -> list[tuple[str | int, ...]]:
        """The commands to begin with."""
        commands: list[tuple[str | int, ...]] = [("AUTH", *self.credentials)] if self.credentials else []
        return [*commands, ("SELECT", self.db)] if self.db else commands

    async def dial(self, protocol: Callable[[], Wired]) -> Wired:
        """Raises OSError."""
        loop = asyncio.get_running_loop()
        if self.path is not None:
            _, made = await loop.create_unix_connection(protocol, self.path)
        else:
            name = self.host if self.tls is not None else None
            _, made = await loop.create_connection(protocol, self.host, self.port, ssl=self.tls, server_hostname=name)
        return made
