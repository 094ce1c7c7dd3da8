"""`byline import`, on memory adapters."""

import json
import re
import shlex
from pathlib import Path

import pytest

from domain.import_options import ImportFormat, ImportKind, ImportOptions, OnConflict, Publish
from domain.imports import ImportState
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


@pytest.fixture
def posts(tmp_path: Path) -> Path:
    path = tmp_path / "posts.ndjson"
    path.write_text('{"title": "One", "author": "root"}\n')
    return path


def test_rows_that_fail_are_counted_and_shown_and_the_exit_code_says_so(byline: Byline, archive: Path) -> None:
    result = byline("import", str(archive))

    assert result.exit_code == 3, result.output
    assert re.search(r"users\.ndjson: 5 rows read, 3 created, 2 failed, in \d", result.stdout)
    table = [line.split() for line in result.stdout.splitlines() if re.match(r" *[│┃] *\d+ ", line)]
    assert [(row[1], row[3]) for row in table] == [("4", "username"), ("5", "email")]
    assert byline.job().state is ImportState.COMPLETED_WITH_ERRORS


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
    assert byline.job().state is ImportState.FAILED


def test_rows_come_through_standard_input(byline: Byline, archive: Path) -> None:
    result = byline("import", "-", "--kind", "users", "--format", "ndjson", stdin=archive.read_bytes())

    assert result.exit_code == 3, result.output
    assert byline.job().tally.created == 3


def test_a_detached_import_waits_for_the_worker_and_can_be_gone_on_with(byline: Byline, archive: Path) -> None:
    detached = byline("import", str(archive), "--detach")

    assert detached.exit_code == 0, detached.output
    job = byline.job()
    assert detached.stdout.strip() == str(job.id)
    assert job.state is ImportState.QUEUED
    assert byline("import", "--resume", str(job.id)).exit_code == 3
    assert byline.job(job.id).tally.created == 3


def test_an_import_that_has_finished_is_told_again(byline: Byline, archive: Path) -> None:
    byline("import", str(archive))

    again = byline("import", "--resume", str(byline.job().id))

    assert again.exit_code == 3
    assert "5 rows read, 3 created, 2 failed" in again.stdout


ID = "0190a8c1-0000-7000-8000-000000000000"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.csv"], "There is no file missing.csv."),
        (["."], ". is a folder: name a file."),
        (["data.csv"], "data.csv does not tell what it holds: add --kind users or --kind posts."),
        (["-"], "Standard input does not tell what it holds: add --kind users or --kind posts."),
        ([], "Give a file, --watch ID or --resume ID: one of them."),
        (["users.csv", "--resume", ID], "Give a file, --watch ID or --resume ID: one of them."),
        (["--watch", ID, "--resume", ID], "Give a file, --watch ID or --resume ID: one of them."),
        (["--watch", ID, "--detach"], "Give --watch or --detach, not both."),
        (
            ["--resume", ID, "--max-errors", "0"],
            "An import goes on as it began: only --detach goes with --resume, and nothing with --watch.",
        ),
        (["users.csv", "--map", "name"], "--map name is not of the form OLD=NEW, such as --map headline=title."),
        (["users.csv", "--map", "a=bio", "--map", "a=role"], "--map says twice what a is."),
        (
            ["users.csv", "--map", "a=b"],
            (
                "--map a=b: there is no field b."
                " Those of users are: bio, display_name, email, password, password_hash, role, username, website."
            ),
        ),
        (["users.csv", "--create-authors"], "--create-authors, --default-author and --publish are for posts."),
        (["users.csv", "--publish", "all"], "--create-authors, --default-author and --publish are for posts."),
    ],
)
def test_wrong_usage_says_what_to_add(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("data.csv", "users.csv"):
        Path(name).touch()

    result = Byline()("import", *arguments)

    assert (result.exit_code, result.stderr) == (2, f"byline: {message}\n")


WXR = (
    '<?xml version="1.0"?><rss version="2.0" xmlns:wp="http://wordpress.org/export/1.2/"><channel>'
    "<wp:wxr_version>1.2</wp:wxr_version></channel></rss>"
)
GHOST = '{"db": [{"meta": {"exported_on": 1, "version": "5.0.0"}, "data": {"posts": [], "users": []}}]}'


@pytest.mark.parametrize(
    ("name", "content", "kind", "file_format"),
    [
        ("users.csv", "username,email\n", "users", "csv"),
        ("2024-Posts.NDJSON", '{"title": "T"}\n', "posts", "ndjson"),
        ("user_export.txt", '{"username": "ada", "email": "ada@example.com"}\n', "users", "ndjson"),
        ("users.csv", '[{"username": "ada", "email": "ada@example.com"}]', "users", "json"),
        ("export.xml", WXR, "posts", "wxr"),
        ("mysite.ghost.2026-01-01-10-00-00.json", GHOST, "posts", "ghost"),
    ],
)
def test_the_kind_is_guessed_by_the_name_and_the_format_by_the_content(
    byline: Byline, name: str, content: str, kind: str, file_format: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text(content)

    result = byline("import", str(path), "--detach")

    assert result.exit_code == 0, result.output
    assert (byline.job().kind, byline.job().format, byline.job().file_name) == (kind, file_format, name)


def test_archives_of_a_given_format_hold_posts(byline: Byline) -> None:
    result = byline("import", "-", "--format", "wxr", "--detach", stdin=WXR)

    assert result.exit_code == 0, result.output
    assert (byline.job().kind, byline.job().format) == (ImportKind.POSTS, ImportFormat.WXR)


def test_options_are_those_of_the_job(byline: Byline, posts: Path) -> None:
    arguments = "--on-conflict update --publish draft --create-authors --default-author root --max-errors 5 --dry-run"
    maps = ["--map", "headline=title", "--map", "a=b=author", "--map", "internal_id="]
    assert byline("import", str(posts), *arguments.split(), *maps, "--detach").exit_code == 0

    author = byline.job().options.default_author
    assert author == byline.job().created_by
    assert byline.job().options == ImportOptions(
        ImportKind.POSTS,
        on_conflict=OnConflict.UPDATE,
        dry_run=True,
        create_authors=True,
        default_author=author,
        max_errors=5,
        publish=Publish.DRAFT,
        columns={"headline": "title", "a=b": "author", "internal_id": ""},
    )
    assert byline("import", str(posts), "--detach").exit_code == 0
    assert byline.job().options == ImportOptions(ImportKind.POSTS)


def test_a_file_that_no_job_came_of_is_discarded(byline: Byline, posts: Path) -> None:
    refused = byline("import", str(posts), "--default-author", "nobody")

    assert refused.exit_code == 1
    assert "Nobody has 'nobody' as username, email address or id." in refused.stderr
    assert byline.jobs() == []
    assert byline.stored_files() == []


def test_a_dry_run_tells_the_same_and_that_nothing_was_changed(byline: Byline, archive: Path) -> None:
    dry = byline("import", str(archive), "--dry-run")
    assert dry.exit_code == 3, dry.output
    assert "This was a dry run: nothing was changed." in dry.stdout
    assert "imports retry" not in dry.stdout

    real = byline("import", str(archive))
    assert "dry run" not in real.stdout
    assert re.search(counted := r"5 rows read, 3 created, 2 failed", dry.stdout)
    assert re.search(counted, real.stdout)


def test_rows_that_were_here_are_told_with_the_reason(byline: Byline, archive: Path) -> None:
    byline("import", str(archive))

    again = byline("import", str(archive))

    assert "5 rows read, 0 created, 3 skipped, 2 failed" in again.stdout
    reasons = byline.job().tally.reasons
    assert sum(reasons.values()) == 3
    assert f"Skipped: {', '.join(f'{count} {reason}' for reason, count in reasons.items())}\n" in again.stdout


def command_told(output: str, name: str) -> list[str]:
    """The arguments of the command that the output proposes."""
    told = re.search(rf"byline ({name}.*)$", output, re.MULTILINE)
    assert told, output
    return shlex.split(told[1])


def test_the_rows_that_failed_are_mended_by_the_commands_that_are_told(
    byline: Byline, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first = byline("import", str(archive))

    retried = byline(*command_told(first.stdout, "imports retry"))
    assert retried.exit_code == 3, retried.output
    assert "2 rows read, 0 created, 2 failed" in retried.stdout
    assert byline.job().parent_id == byline.jobs()[1].id

    assert byline(*command_told(first.stdout, "imports errors")).exit_code == 0
    failed = Path("failed.csv")
    failed.write_text(failed.read_text().replace("no spaces", "four").replace("nowhere", "five@example.com"))
    mended = byline(*command_told(first.stdout, "import failed"))
    assert mended.exit_code == 0, mended.output
    assert "2 rows read, 2 created" in mended.stdout


def test_more_errors_than_allowed_fail_the_import(byline: Byline, archive: Path) -> None:
    result = byline("import", str(archive), "--max-errors", "1")

    assert result.exit_code == 1, result.output
    assert result.stderr.splitlines()[-1].startswith("byline: The import failed: ")
    assert byline(*command_told(result.stdout, "imports resume")).exit_code in (1, 3)


def test_an_import_that_was_cancelled_is_no_success(byline: Byline, archive: Path) -> None:
    byline("import", str(archive), "--detach")
    byline("imports", "cancel", "last")

    watched = byline("import", "--watch", "last")

    assert watched.exit_code == 1
    assert watched.stderr == "byline: The import was cancelled. What was imported until then stays.\n"
    resumed = byline(*command_told(watched.stdout, "imports resume"))
    assert resumed.exit_code == 3
    assert "3 created" in resumed.stdout


def test_what_a_file_says_cannot_write_to_the_terminal(byline: Byline, tmp_path: Path) -> None:
    path = tmp_path / "users\x1b[2J[red].ndjson"
    path.write_text('{"username": "ada", "email": "ada@example.com", "\\u001b[31mx[/]": 1}\n')

    result = byline("import", str(path))

    assert result.exit_code == 3, result.output
    assert "\x1b" not in result.output
    assert "users\ufffd[2J[red].ndjson: 1 rows read" in result.stdout


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
