"""Stored files: whole or not at all, in memory and in a folder alike."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from application.ports.services import BlobStorage
from domain.errors import BlobNotFound, TooLarge
from infrastructure.memory.storage import MemoryBlobs
from infrastructure.storage.files import FileBlobs

MIB = 1024 * 1024


@pytest.fixture(params=["memory", "files"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStorage:
    return MemoryBlobs() if request.param == "memory" else FileBlobs(tmp_path)


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        await asyncio.sleep(0)
        yield part


def content(blobs: BlobStorage, key: str) -> bytes:
    with blobs.open(key) as file:
        return file.read()


@pytest.mark.parametrize(
    "parts", [(), (b"",), (b"a", b"", b"bc"), (b"x" * (3 * MIB + 1), b"y")], ids=["none", "empty", "small", "large"]
)
async def test_a_file_is_kept_whole_with_its_size_and_hash(blobs: BlobStorage, parts: tuple[bytes, ...]) -> None:
    whole = b"".join(parts)
    blob = await blobs.write("imports/1", chunks(*parts), limit=4 * MIB)
    assert (blob.key, blob.size, blob.sha256) == ("imports/1", len(whole), hashlib.sha256(whole).hexdigest())
    assert content(blobs, "imports/1") == whole


async def test_reading_begins_anywhere(blobs: BlobStorage) -> None:
    await blobs.write("imports/1", chunks(b"0123456789"), limit=10)
    with blobs.open("imports/1") as file:
        assert file.seek(4) == 4
        assert (file.read(3), file.tell()) == (b"456", 7)


async def test_a_file_as_large_as_the_limit_is_kept_and_a_larger_one_leaves_nothing(blobs: BlobStorage) -> None:
    await blobs.write("imports/1", chunks(b"12345", b"67890"), limit=10)
    with pytest.raises(TooLarge) as refused:
        await blobs.write("imports/2", chunks(b"12345", b"67890", b"!"), limit=10)
    assert refused.value.limit_bytes == 10
    assert content(blobs, "imports/1") == b"1234567890"
    with pytest.raises(BlobNotFound):
        blobs.open("imports/2")


async def test_an_upload_that_breaks_off_leaves_what_was_there_before(blobs: BlobStorage) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"new"
        raise ConnectionResetError

    await blobs.write("imports/1", chunks(b"old"), limit=10)
    for key in ("imports/1", "imports/2"):
        with pytest.raises(ConnectionResetError):
            await blobs.write(key, broken(), limit=10)
    assert content(blobs, "imports/1") == b"old"
    with pytest.raises(BlobNotFound):
        blobs.open("imports/2")


async def test_a_file_is_replaced_as_a_whole(blobs: BlobStorage) -> None:
    await blobs.write("imports/1", chunks(b"the first one"), limit=100)
    await blobs.write("imports/1", chunks(b"second"), limit=100)
    assert content(blobs, "imports/1") == b"second"


async def test_what_is_deleted_is_gone_and_may_be_deleted_again(blobs: BlobStorage) -> None:
    await blobs.write("imports/1", chunks(b"one"), limit=10)
    await blobs.write("imports/2", chunks(b"two"), limit=10)
    await blobs.delete("imports/1")
    await blobs.delete("imports/1")
    await blobs.delete("never/there")
    with pytest.raises(BlobNotFound):
        blobs.open("imports/1")
    assert content(blobs, "imports/2") == b"two"


async def test_files_are_told_by_their_age(blobs: BlobStorage) -> None:
    for key in ("imports/1", "imports/2", "other/3"):
        await blobs.write(key, chunks(b"one"), limit=10)
    await blobs.delete("imports/2")
    minute = timedelta(minutes=1)
    assert sorted(await blobs.older_than(datetime.now(UTC) + minute)) == ["imports/1", "other/3"]
    assert await blobs.older_than(datetime.now(UTC) - minute) == []
    assert await blobs.drop_unfinished(datetime.now(UTC) + minute) == 0
    assert content(blobs, "imports/1") == b"one"


async def test_a_storage_that_was_never_written_to_is_empty(blobs: BlobStorage) -> None:
    assert await blobs.older_than(datetime.now(UTC)) == []
    assert await blobs.drop_unfinished(datetime.now(UTC)) == 0


@pytest.mark.parametrize("key", ["imports/1", "imports", "../secret", ""])
async def test_what_was_never_stored_is_not_found(blobs: BlobStorage, key: str) -> None:
    with pytest.raises(BlobNotFound):
        blobs.open(key)
