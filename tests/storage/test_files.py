"""Stored files in a folder, beyond what every blob storage holds to (tests/contract/test_blobs.py)."""

import asyncio
import errno
import os
import resource
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domain.errors import BlobNotFound, InvalidValue, StorageFull, TooLarge
from infrastructure.storage.files import FileBlobs

MIB = 1024 * 1024


async def chunks_of(content: bytes, size: int = 64 * 1024) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


async def test_a_file_lies_where_its_key_says_and_nothing_beside_it(tmp_path: Path) -> None:
    await FileBlobs(tmp_path).write("imports/one", chunks_of(b"x"), limit=1)
    assert files_in(tmp_path) == ["files/imports/one"]


@pytest.mark.parametrize("limit", [2 * MIB - 1, 10])
async def test_nothing_is_left_of_a_file_that_is_too_large(tmp_path: Path, limit: int) -> None:
    blobs = FileBlobs(tmp_path)
    with pytest.raises(TooLarge) as refused:
        await blobs.write("imports/one", chunks_of(bytes(2 * MIB)), limit=limit)
    assert refused.value.limit_bytes == limit
    assert files_in(tmp_path) == []


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """The kernel's own refusal, in the middle of a write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_nothing_is_left_where_the_disk_takes_no_more(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    with files_no_larger_than(MIB + 5), pytest.raises(StorageFull):
        await blobs.write("imports/one", chunks_of(bytes(3 * MIB)), limit=4 * MIB)
    assert files_in(tmp_path) == []


async def test_a_disk_that_is_found_full_only_at_the_sync_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFull):
        await FileBlobs(tmp_path).write("imports/one", chunks_of(b"x"), limit=1)
    assert files_in(tmp_path) == []


async def test_nothing_is_left_of_an_upload_that_was_cancelled_or_broke_off(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    begun = asyncio.Event()

    async def stalling() -> AsyncIterator[bytes]:
        yield bytes(MIB)
        begun.set()
        await asyncio.Event().wait()

    upload = asyncio.create_task(blobs.write("imports/one", stalling(), limit=2 * MIB))
    await begun.wait()
    assert files_in(tmp_path) == ["files/imports/.one.part"]
    upload.cancel()
    with pytest.raises(asyncio.CancelledError):
        await upload

    async def breaking() -> AsyncIterator[bytes]:
        yield bytes(MIB)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await blobs.write("imports/one", breaking(), limit=2 * MIB)
    assert files_in(tmp_path) == []


async def test_nothing_is_left_of_an_upload_that_was_cancelled_when_it_was_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_place, goes_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    sync = os.fsync

    def slow(file: int) -> None:
        if files_in(tmp_path) == ["files/imports/one"]:
            loop.call_soon_threadsafe(in_place.set)
            assert goes_on.wait(10)
        sync(file)

    monkeypatch.setattr(os, "fsync", slow)
    upload = asyncio.create_task(FileBlobs(tmp_path).write("imports/one", chunks_of(b"x"), limit=1))
    await in_place.wait()
    upload.cancel()
    goes_on.set()
    with pytest.raises(asyncio.CancelledError):
        await upload
    assert files_in(tmp_path) == []


async def test_what_a_killed_process_left_half_written_is_dropped_when_it_is_old(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    await blobs.write("imports/one", chunks_of(b"x"), limit=1)
    day = timedelta(days=1)
    for name, age in ((".two.part", 2 * day), (".three.part", timedelta()), ("one", 2 * day)):
        path = tmp_path / "files" / "imports" / name
        path.touch()
        written = (datetime.now(UTC) - age).timestamp()
        os.utime(path, (written, written))

    assert await blobs.older_than(datetime.now(UTC) - day) == ["imports/one"]
    assert await blobs.drop_unfinished(datetime.now(UTC) - day) == 1
    assert files_in(tmp_path) == ["files/imports/.three.part", "files/imports/one"]


@pytest.mark.parametrize(
    "key", ["", "..", "../x", "a/../../x", "/etc/passwd", "a//b", ".hidden", "a/.one.part", "a\\..\\b", "a\x00b", "a/"]
)
async def test_no_key_leads_out_of_the_folder(tmp_path: Path, key: str) -> None:
    (tmp_path / "x").write_bytes(b"not to be reached")
    blobs = FileBlobs(tmp_path / "data")
    with pytest.raises(InvalidValue):
        await blobs.write(key, chunks_of(b"x"), limit=1)
    with pytest.raises(BlobNotFound):
        blobs.open(key)
    await blobs.delete(key)
    assert files_in(tmp_path) == ["x"]


async def test_neither_a_folder_nor_what_would_lie_in_a_file_is_found(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    await blobs.write("imports/one", chunks_of(b"x"), limit=1)
    for key in ("imports", "imports/one/more"):
        with pytest.raises(BlobNotFound, match=key):
            blobs.open(key)
    await blobs.delete("imports/one/more")
