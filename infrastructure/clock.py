"""The machine's clock and its UUIDv7s."""

from datetime import UTC, datetime
from uuid import UUID

from uuid_utils.compat import uuid7


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class Uuid7Ids:
    def next(self) -> UUID:
        return uuid7()
