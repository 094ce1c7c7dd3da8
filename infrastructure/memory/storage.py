"""Stored files in memory."""

import hashlib
from collections.abc import AsyncIterable
from io import BytesIO
from typing import BinaryIO

from application.ports.services import Blob
from domain.errors import BlobNotFound, StorageFull, TooLarge


class MemoryBlobs:
    """`space_bytes` is what there is room for in all, None for any amount."""

    def __init__(self, *, space_bytes: int | None = None) -> None:
        self.files: dict[str, bytes] = {}
        self.space_bytes = space_bytes

    async def write(self, key: str, chunks: AsyncIterable[bytes], *, limit: int) -> Blob:
        kept = bytearray()
        async for chunk in chunks:
            kept += chunk
            if len(kept) > limit:
                raise TooLarge("The file", limit_bytes=limit)
            if self.space_bytes is not None and len(kept) + sum(map(len, self.files.values())) > self.space_bytes:
                raise StorageFull
        self.files[key] = bytes(kept)
        return Blob(key, len(kept), hashlib.sha256(kept).hexdigest())

    def open(self, key: str) -> BinaryIO:
        if key not in self.files:
            raise BlobNotFound(key)
        return BytesIO(self.files[key])

    async def delete(self, key: str) -> None:
        self.files.pop(key, None)
