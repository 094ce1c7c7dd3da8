"""What things are called in Redis, and what is published there."""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b

import msgspec

FORMAT = 1
"""Of entries and keys. Another one reads nothing of this one's."""
LONG = 200
NO_HOST = ""
"""A sender whom every host heeds."""

_HOUR_S = 3600
_message = msgspec.json.Decoder(list[str])


@dataclass(frozen=True, slots=True)
class Names:
    """Of the keys on one server in one life of it.

    A server that was started again, or a replica that took over, may have an older state (an append-only file synced
    every second; asynchronous replication), in which old entries match old tokens again. It has another run_id, and
    nothing that was written under one run_id is ever read under another.
    """

    page_prefix: str
    tag_prefix: str
    reads_prefix: str

    @classmethod
    def under(cls, run_id: str) -> "Names":
        namespace = f"byline:{FORMAT}-{run_id[:8] or '0'}"
        return cls(f"{namespace}:p:", f"{namespace}:t:", f"{namespace}:reads:")

    def page(self, key: str) -> str:
        return self.page_prefix + (key if len(key) <= LONG and key.isascii() else digest(key))

    def tag(self, tag: str) -> str:
        return self.tag_prefix + (tag if len(tag) <= LONG and tag.isascii() else digest(tag))

    def reads(self, at: float, *, hours_ago: int = 0) -> str:
        return f"{self.reads_prefix}{int(at // _HOUR_S) - hours_ago}"


def digest(text: str) -> str:
    """No key and no tag of Byline's begins with its first character."""
    return "#" + blake2b(text.encode("utf-8", "surrogatepass"), digest_size=20).hexdigest()


def channel(db: int) -> str:
    """Databases share one server's channels."""
    return f"byline:{db}:forgotten"


def announcement(sender: str, tags: Iterable[str]) -> bytes:
    """That the host `sender` forgot these tags."""
    return msgspec.json.encode([sender, *tags])


def announced(payload: bytes) -> tuple[str, list[str]]:
    """Sender and tags. Raises ValueError."""
    sender, *tags = _message.decode(payload)
    return sender, tags
