"""`byline import`, on memory adapters."""

import asyncio
import json
import re
from pathlib import Path

import pytest

from domain.ids import ImportId
from domain.imports import ImportJob, ImportState
from tests.cli.memory import Byline


@pytest.fixture
def byline() -> Byline:
    return Byline().with_admin()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Five users, two of them wrong."""
    rows = [{"username": f"user{number}", "email": f"user{number}@example.com"} for number in range(1, 4)]
    rows += [{"username": "no spaces", "email": "four@example.com"}, {"username": "five", "email": "nowhere"}]
    path = tmp_path / "users.ndjson"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def job_of(byline: Byline, import_id: ImportId | None = None) -> ImportJob:
    """The newest import, or that of the id."""

    async def look() -> ImportJob:
        async with byline.adapters.store().begin() as work:
            return await work.imports.get(import_id) if import_id else (await work.imports.newest(1))[0]

    return asyncio.run(look())


def test_rows_that_fail_are_counted_and_shown_and_the_exit_code_says_so(byline: Byline, archive: Path) -> None:
    result = byline("import", str(archive))

    assert result.exit_code == 3, result.output
    assert re.search(r"users\.ndjson: 5 rows read, 3 created, 2 failed, in \d", result.stdout)
    table = [line.split() for line in result.stdout.splitlines() if re.match(r" *[│┃] *\d+ ", line)]
    assert [(row[1], row[3]) for row in table] == [("4", "username"), ("5", "email")]
    assert job_of(byline).state is ImportState.COMPLETED_WITH_ERRORS


def test_a_file_that_is_imported_whole_is_a_success(byline: Byline, archive: Path) -> None:
    archive.write_text("".join(archive.read_text().splitlines(keepends=True)[:3]))

    result = byline("import", str(archive))

    assert result.exit_code == 0, result.output
    assert "3 rows read, 3 created" in result.stdout


def test_a_file_that_cannot_be_read_as_its_format_fails_as_a_whole(byline: Byline, tmp_path: Path) -> None:
    path = tmp_path / "users.csv"
    path.write_text("colour\nblue\n")

    result = byline("import", str(path))

    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith("byline: The import failed: There is no column 'colour'.")
    assert job_of(byline).state is ImportState.FAILED


def test_rows_come_through_standard_input(byline: Byline, archive: Path) -> None:
    result = byline("import", "-", "--kind", "users", "--format", "ndjson", stdin=archive.read_bytes())

    assert result.exit_code == 3, result.output
    assert job_of(byline).tally.created == 3


def test_a_detached_import_waits_for_the_worker_and_can_be_gone_on_with(byline: Byline, archive: Path) -> None:
    detached = byline("import", str(archive), "--detach")

    assert detached.exit_code == 0, detached.output
    job = job_of(byline)
    assert detached.stdout.strip() == str(job.id)
    assert job.state is ImportState.QUEUED
    assert byline("import", "--resume", str(job.id)).exit_code == 3
    assert job_of(byline, job.id).tally.created == 3


def test_an_import_that_has_finished_is_told_again(byline: Byline, archive: Path) -> None:
    byline("import", str(archive))

    again = byline("import", "--resume", str(job_of(byline).id))

    assert again.exit_code == 3
    assert "5 rows read, 3 created, 2 failed" in again.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.csv"], "There is no file missing.csv."),
        (["data.csv"], "data.csv does not tell what it holds: add --kind users or --kind posts."),
        (["users.txt"], "users.txt does not tell its format: add --format csv or --format ndjson."),
        (["-", "--kind", "posts"], "- does not tell its format: add --format csv or --format ndjson."),
        ([], "Give either a file or --resume ID."),
        (["users.csv", "--resume", "0190a8c1-0000-7000-8000-000000000000"], "Give either a file or --resume ID."),
    ],
)
def test_wrong_usage_says_what_to_add(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("data.csv", "users.txt", "users.csv"):
        Path(name).touch()

    result = Byline()("import", *arguments)

    assert (result.exit_code, result.stderr) == (2, f"byline: {message}\n")


@pytest.mark.parametrize(
    ("name", "kind", "file_format"),
    [
        ("users.csv", "users", "csv"),
        ("2024-Posts.NDJSON", "posts", "ndjson"),
        ("user_export.jsonl", "users", "ndjson"),
    ],
)
def test_kind_and_format_are_guessed_by_the_name(
    byline: Byline, name: str, kind: str, file_format: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.touch()

    byline("import", str(path), "--detach")

    job = job_of(byline)
    assert (job.kind, job.format, job.file_name) == (kind, file_format, name)


def test_it_needs_an_administrator_to_act_as(archive: Path) -> None:
    result = Byline()("import", str(archive))

    assert (result.exit_code, result.stderr) == (
        1,
        "byline: There is no administrator to act as. Make one: byline create-admin\n",
    )


def test_an_unknown_import_is_no_defect(byline: Byline) -> None:
    result = byline("import", "--resume", "0190a8c1-0000-7000-8000-000000000000")

    assert result.exit_code == 1
    assert result.stderr.endswith("byline: There is no import 0190a8c1-0000-7000-8000-000000000000.\n")
