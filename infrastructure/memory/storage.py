"""Stored files in memory."""

import hashlib
from collections.abc import AsyncIterable
from datetime import datetime
from io import BytesIO
from typing import BinaryIO

from application.ports.services import Blob, Clock
from domain.errors import BlobNotFound, StorageFull, TooLarge
from infrastructure.clock import SystemClock


class MemoryBlobs:
    """`space_bytes` is what there is room for in all, None for any amount."""

    def __init__(self, *, clock: Clock | None = None, space_bytes: int | None = None) -> None:
        self.files: dict[str, bytes] = {}
        self.space_bytes = space_bytes
        self._clock = clock or SystemClock()
        self._written: dict[str, datetime] = {}

    async def write(self, key: str, chunks: AsyncIterable[bytes], *, limit: int) -> Blob:
        kept = bytearray()
        async for chunk in chunks:
            kept += chunk
            if len(kept) > limit:
                raise TooLarge("The file", limit_bytes=limit)
            if self.space_bytes is not None and len(kept) + sum(map(len, self.files.values())) > self.space_bytes:
                raise StorageFull
        self.files[key] = bytes(kept)
        self._written[key] = self._clock.now()
        return Blob(key, len(kept), hashlib.sha256(kept).hexdigest())

    def open(self, key: str) -> BinaryIO:
        if key not in self.files:
            raise BlobNotFound(key)
        return BytesIO(self.files[key])

    async def delete(self, key: str) -> None:
        self.files.pop(key, None)
        self._written.pop(key, None)

    async def older_than(self, instant: datetime) -> list[str]:
        return [key for key, written in self._written.items() if written < instant]

    async def drop_unfinished(self, before: datetime) -> int:
        """Nothing of a process in memory outlives it."""
        return 0
