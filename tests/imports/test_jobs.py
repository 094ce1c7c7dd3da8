"""The job as a whole: its progress, its lease, its ends, and how far it reads ahead."""

import asyncio
import errno
import gzip
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

import pytest

from application.ports.formats import Reader, Reading, ReadLimits, Record
from benchmarks.make_archive import Plan, archive
from domain.errors import Busy, ImportNotFound
from domain.ids import ImportId
from domain.import_options import ImportFormat, ImportKind, OnConflict
from domain.imports import Caution, ImportJob, ImportState, Tally
from infrastructure.formats.readers import FormatReaders
from infrastructure.storage.files import FileBlobs
from tests.imports.faults import Disturbed, raising
from tests.imports.places import CHUNK_ROWS, Place
from tests.imports.test_posts import lines, titled
from tests.imports.test_users import PASSWORD, named


@pytest.mark.parametrize("kind", ImportKind)
@pytest.mark.parametrize("form", [ImportFormat.CSV, ImportFormat.NDJSON])
async def test_exactly_the_bad_rows_of_an_archive_are_reported(
    place: Place, kind: ImportKind, form: ImportFormat
) -> None:
    plan = Plan(rows=200, bad=40, kind=kind, format=form, authors=2, row_bytes=200)
    records = list(archive(plan))
    file = b"".join(record for record, _ in records)
    if kind is ImportKind.POSTS:
        file = file.replace(b"author-0", b"ann").replace(b"author-1", b"bob")
    job = await place.imported(file, kind=kind, form=form)
    assert job.tally == Tally(created=160, failed=40)
    assert await place.refusals(job.id) == [(bad.line, bad.field, bad.code) for _, bad in records if bad]


async def test_progress_is_told_after_each_commit_and_never_falls(place: Place) -> None:
    file = lines(*(titled(f"Post {number}") for number in range(20)))
    job = await place.upload(file)
    told: list[ImportJob] = []

    async def two_seconds() -> None:
        place.clock.advance(timedelta(seconds=2))

    begin = Disturbed(place.begin)
    for number in range(1, 4):
        begin.before("hold", two_seconds, number=number)
    finished = await place.run_import(begin=begin)(job.id, told.append)
    assert [each.tally.rows_read for each in told] == [7, 14, 20]
    assert [each.bytes_done for each in told] == sorted({each.bytes_done for each in told})
    assert all(0 < each.bytes_done < len(file) for each in told)
    assert {each.state for each in told} == {ImportState.RUNNING}
    assert [(each.busy_s, each.rows_per_s) for each in told] == [(2.0, 3.5), (4.0, 3.5), (6.0, 20 / 6)]
    left = [each.seconds_left or 0.0 for each in told]
    assert left == sorted(left, reverse=True)
    assert left[-1] > 0
    assert (finished.state, finished.bytes_done, finished.finished_at, finished.seconds_left) == (
        ImportState.SUCCEEDED,
        len(file),
        place.clock.now(),
        0.0,
    )
    assert finished == await place.job(job.id)


async def test_every_commit_is_a_revision(place: Place) -> None:
    job = await place.upload(lines(*(titled(f"Post {number}") for number in range(20))))
    seen: list[int] = []

    async def look() -> None:
        seen.append((await place.job(job.id)).revision)

    begin = Disturbed(place.begin)
    for number in range(1, 6):
        begin.after("commit", look, number=number)
    await place.run_import(begin=begin)(job.id)
    assert seen == [2, 3, 4, 5, 6]


async def test_a_chunk_ends_at_its_bytes_too(place: Place) -> None:
    job = await place.upload(lines(*(titled(f"Post {number}", content="x" * 10_000) for number in range(20))))
    told: list[ImportJob] = []
    await place.run_import(chunk_rows=1000, chunk_bytes=50_000)(job.id, told.append)
    assert [each.tally.rows_read for each in told] == [5, 10, 15, 20]


async def test_an_empty_file_succeeds(place: Place) -> None:
    job = await place.imported(b"")
    assert (job.state, job.tally) == (ImportState.SUCCEEDED, Tally())


async def test_a_file_that_is_gone_fails_the_job(place: Place) -> None:
    job = await place.upload(lines(titled("T")))
    await place.blobs.delete(job.blob_key)
    job = await place.run_import()(job.id)
    assert (job.state, job.error) == (ImportState.FAILED, "The uploaded file is gone.")
    assert not job.is_refused
    assert job == await place.job(job.id)


async def test_a_file_that_is_not_of_its_format_fails_the_job(place: Place) -> None:
    job = await place.imported(b"title,autor\nT,ann\n", form=ImportFormat.CSV)
    assert (job.state, job.tally) == (ImportState.FAILED, Tally())
    assert job.error
    assert job.error.startswith("There is no column 'autor'.")
    assert job.is_refused


@pytest.mark.parametrize("limits", [ReadLimits(100_000, max_ratio=2), ReadLimits(100_000, max_text_bytes=1_000)])
async def test_a_file_past_a_limit_fails_the_job_and_is_gone_on_with_where_that_is_raised(
    place: Place, limits: ReadLimits
) -> None:
    rows = lines(*(titled("T", content="x" * 90_000) for _ in range(20)))
    job = await place.upload(gzip.compress(rows))
    run = place.run_import()

    failed = await replace(run, limits=replace(run.limits, reading=limits))(job.id)
    assert (failed.state, failed.is_refused) == (ImportState.FAILED, False)

    await place.change(job.id, lambda job: job.resumed())
    assert (await run(job.id)).tally == Tally(created=20)


async def test_a_file_that_the_disk_cannot_read_fails_the_job(place: Place, tmp_path: Path) -> None:
    job = await place.upload(lines(titled("T")))

    class Unreadable(FileBlobs):
        def open(self, key: str) -> BinaryIO:
            # Reading it is an error of the kernel's.
            return open("/proc/self/mem", "rb")  # noqa: PTH123 -- the job closes it

    job = await replace(place.run_import(), blobs=Unreadable(tmp_path))(job.id)
    assert (job.state, job.error) == (
        ImportState.FAILED,
        "The uploaded file cannot be read: Input/output error.",
    )


async def test_a_file_that_may_not_be_opened_fails_the_job(place: Place, tmp_path: Path) -> None:
    job = await place.upload(lines(titled("T")))

    class Forbidden(FileBlobs):
        def open(self, key: str) -> BinaryIO:
            raise PermissionError(errno.EACCES, "Permission denied")

    job = await replace(place.run_import(), blobs=Forbidden(tmp_path))(job.id)
    assert (job.state, job.error) == (ImportState.FAILED, "The uploaded file cannot be read: Permission denied.")


async def test_a_database_that_stays_busy_is_no_fault_of_the_jobs(place: Place) -> None:
    job = await place.upload(lines(titled("T")))
    for _ in range(2):
        busy = Disturbed(place.begin)
        for number in range(1, 5):
            busy.before("add_many", raising(Busy()), number=number)
        with pytest.raises(Busy):
            await place.run_import(begin=busy)(job.id)
        given_back = await place.job(job.id)
        assert (given_back.state, given_back.caution) == (ImportState.QUEUED, Caution())
    assert (await place.run_import()(job.id)).state is ImportState.SUCCEEDED


async def test_there_is_no_running_what_is_not_there(place: Place) -> None:
    with pytest.raises(ImportNotFound):
        await place.run_import()(ImportId(place.ids.next()))


async def test_the_lease_is_renewed_for_as_long_as_a_chunk_takes(place: Place) -> None:
    job = await place.upload(lines(titled("T")))
    lease = timedelta(milliseconds=60)
    renewed = asyncio.Event()
    seen: list[ImportJob] = []

    async def second_renewal() -> None:
        renewed.set()

    async def wait() -> None:
        place.clock.advance(timedelta(seconds=1))
        async with asyncio.timeout(10):
            await renewed.wait()
        seen.append(await place.job(job.id))

    begin = Disturbed(place.begin).before("hold", wait).after("commit", second_renewal, number=3)
    run = place.run_import(begin=begin)
    await replace(run, limits=replace(run.limits, lease=lease))(job.id)
    assert [each.lease_until for each in seen] == [place.clock.now() + lease]


class CountingFormats(FormatReaders):
    """How many records were read by now, and whether it is three chunks of them."""

    def __init__(self) -> None:
        self.records = 0
        self.three_chunks = threading.Event()

    def reader(self, name: ImportFormat) -> Reader:
        read = super().reader(name)
        return lambda file, shape, *, start: Counted(read(file, shape, start=start), self)


class Counted:
    def __init__(self, reading: Reading, counting: CountingFormats) -> None:
        self._reading = reading
        self._counting = counting

    def __iter__(self) -> Iterator[Record]:
        for record in self._reading:
            self._counting.records += 1
            if self._counting.records == 3 * CHUNK_ROWS:
                self._counting.three_chunks.set()
            yield record

    @property
    def bytes_read(self) -> int:
        return self._reading.bytes_read


async def test_one_chunk_is_looked_up_and_one_read_while_another_is_written_and_no_more(place: Place) -> None:
    job = await place.upload(lines(*(titled(f"Post {number}") for number in range(10 * CHUNK_ROWS))))
    formats = CountingFormats()

    async def read_ahead() -> None:
        assert await asyncio.to_thread(formats.three_chunks.wait, 10)

    at_commit: list[int] = []

    async def look() -> None:
        at_commit.append(formats.records)

    begin = Disturbed(place.begin).before("add_many", read_ahead).before("commit", look, number=2)
    await replace(place.run_import(begin=begin), formats=formats)(job.id)
    assert at_commit == [3 * CHUNK_ROWS]


class CountingHasher:
    def __init__(self, place: Place) -> None:
        self._hasher = place.hasher
        self.hashed: list[str] = []

    async def hash(self, password: str) -> str:
        self.hashed.append(password)
        return await self._hasher.hash(password)

    async def verify(self, password: str, password_hash: str | None) -> bool:
        return await self._hasher.verify(password, password_hash)

    def is_outdated(self, password_hash: str) -> bool:
        return self._hasher.is_outdated(password_hash)


async def test_no_password_is_hashed_for_those_who_are_here_already(place: Place) -> None:
    hasher = CountingHasher(place)
    file = lines(named("ann", password=PASSWORD), named("cleo", password=PASSWORD), named("dora"))
    for hashed, tally in ((1, Tally(created=2, skipped=1)), (1, Tally(skipped=3))):
        job = await place.upload(file, kind=ImportKind.USERS)
        assert (await replace(place.run_import(), hasher=hasher)(job.id)).tally == tally
        assert len(hasher.hashed) == hashed


async def test_a_chunk_holds_few_passwords(place: Place) -> None:
    file = lines(*(named(f"user-{number}", password=PASSWORD) for number in range(10)))
    job = await place.upload(file, kind=ImportKind.USERS)
    run = place.run_import(chunk_rows=1000)
    told: list[ImportJob] = []
    await replace(run, limits=replace(run.limits, chunk_passwords=4))(job.id, told.append)
    assert [each.tally.created for each in told] == [4, 8, 10]


@pytest.mark.parametrize(
    ("on_conflict", "tally"), [("skip", Tally(skipped=1)), ("fail", Tally(failed=1)), ("update", Tally(created=1))]
)
async def test_who_is_deleted_after_the_look_is_as_if_here_or_is_imported_with_the_password(
    place: Place, on_conflict: str, tally: Tally
) -> None:
    file = lines(named("bob", password=PASSWORD))
    job = await place.upload(file, kind=ImportKind.USERS, on_conflict=OnConflict(on_conflict))

    async def bob_leaves() -> None:
        async with place.begin() as work:
            bob = (await work.users.stored_by_login({"bob"}))["bob"].id
            await work.accounts.delete_of(bob)
            await work.users.delete(bob)
            await work.commit()

    begin = Disturbed(place.begin).before("hold", bob_leaves)
    assert (await place.run_import(begin=begin)(job.id)).tally == tally
    async with place.begin() as work:
        found = await work.users.find_by_login("bob")
    assert (found is not None) == bool(tally.created)
    if found is not None:
        assert await place.hasher.verify(PASSWORD, found.password_hash)
