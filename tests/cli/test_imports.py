"""`byline imports`, on memory adapters."""

import csv
import io
import json
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from domain.import_options import ImportKind
from domain.imports import ImportState
from interfaces.cli import console
from interfaces.cli.import_reports import job_table
from interfaces.http.schemas.imports import ImportShown
from tests.cli.memory import Byline

POSTS = [
    {"title": "Of root", "author": "root"},
    {"title": "Of nobody", "author": "nobody"},
    {"title": "", "author": "root"},
]


@pytest.fixture
def byline() -> Byline:
    return Byline().with_admin()


@pytest.fixture
def posts(tmp_path: Path) -> Path:
    """One post that is well, one whose author is unknown, one without a title."""
    path = tmp_path / "posts.ndjson"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in POSTS))
    return path


@pytest.fixture
def users(tmp_path: Path) -> Path:
    path = tmp_path / "users.csv"
    path.write_text("username,email\nada,ada@example.com\n")
    return path


def ids(output: str) -> list[str]:
    return [line.split()[0] for line in output.splitlines()[1:]]


def test_imports_are_listed_newest_first_and_filtered(byline: Byline, posts: Path, users: Path) -> None:
    byline("import", str(users))
    byline("import", str(posts))
    byline("import", str(posts), "--detach", "--dry-run")
    waiting, some_failed, whole = (str(job.id) for job in byline.jobs())

    assert ids(byline("imports", "list").stdout) == [waiting, some_failed, whole]
    assert ids(byline("imports", "list", "--limit", "1").stdout) == [waiting]
    assert ids(byline("imports", "list", "--kind", "users").stdout) == [whole]
    assert ids(byline("imports", "list", "--state", "completed_with_errors").stdout) == [some_failed]
    row = byline("imports", "list", "--kind", "users").stdout.splitlines()[1].split()
    assert row[:7] == [whole, "succeeded", "users", "users.csv", "100%", "1", "0"]
    assert "posts.ndjson (dry run)" in byline("imports", "list", "--state", "queued").stdout


@pytest.mark.parametrize("width", [80, 100, 160])
def test_ids_and_states_are_whole_however_narrow_a_terminal_and_long_a_name(
    byline: Byline, tmp_path: Path, width: int
) -> None:
    path = tmp_path / f"posts{'x' * 200}.ndjson"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in POSTS))
    byline("import", str(path))
    console = Console(width=width, file=io.StringIO())

    with console.capture() as shown:
        console.print(job_table(byline.jobs()))

    head, first, *_ = shown.get().splitlines()
    assert head.split()[:2] == ["ID", "State"]
    assert first.split()[:2] == [str(byline.job().id), "completed_with_errors"]


def test_where_there_is_none_it_says_so(byline: Byline) -> None:
    none = byline("imports", "list")
    assert (none.exit_code, none.stdout, none.stderr) == (0, "", "There is no import yet.\n")
    assert byline("imports", "list", "--state", "failed").stderr == "There is no such import.\n"
    assert byline("imports", "list", "--json").stdout == "[]\n"
    assert byline("imports", "show", "last").stderr == "byline: There is no import yet.\n"


def test_an_import_is_shown(byline: Byline, posts: Path) -> None:
    byline("import", str(posts), "--max-errors", "9", "--map", "headline=title")

    shown = byline("imports", "show", "last")

    assert shown.exit_code == 0
    facts = dict(line.split(maxsplit=1) for line in shown.stdout.splitlines())
    assert facts["ID"].strip() == str(byline.job().id)
    assert facts["State"].strip() == "completed_with_errors"
    assert facts["Options"].strip() == "--on-conflict skip --publish keep --max-errors 9 --map headline=title"
    assert (facts["Created"].strip(), facts["Failed"].strip()) == ("1", "2")
    assert "Skipped" not in facts


def test_json_is_that_of_the_http_api(byline: Byline, posts: Path) -> None:
    byline("import", str(posts))
    byline("import", str(posts), "--default-author", "root", "--max-errors", "9")
    assert byline.job().tally.reasons
    byline("imports", "retry", "last", "--detach")

    expected = [msgspec.to_builtins(ImportShown.of(job)) for job in byline.jobs()]
    assert json.loads(byline("imports", "list", "--json").stdout) == expected
    assert json.loads(byline("imports", "show", str(byline.job().id), "--json").stdout) == expected[0]


def test_rows_that_failed_are_told_in_a_table_or_as_a_file(byline: Byline, posts: Path) -> None:
    byline("import", str(posts))

    table = byline("imports", "errors", "last")
    assert table.exit_code == 0
    assert [line.split()[1] for line in table.stdout.splitlines() if line.startswith("│")] == ["2", "3"]
    first = byline("imports", "errors", "last", "--limit", "1")
    assert f"These are the first 1. All of them: byline imports errors {byline.job().id} --output" in first.stdout
    assert "unknown_author" in first.stdout

    in_csv = byline("imports", "errors", "last", "--format", "csv").stdout
    assert [row["line"] for row in csv.DictReader(io.StringIO(in_csv))] == ["2", "3"]
    in_ndjson = byline("imports", "errors", "last", "--format", "ndjson").stdout
    assert [json.loads(line)["row"] for line in in_ndjson.splitlines()] == POSTS[1:]


def test_where_no_row_failed_that_is_told(byline: Byline, users: Path) -> None:
    byline("import", str(users))

    none = byline("imports", "errors", "last")

    assert (none.exit_code, none.stdout, none.stderr) == (0, "", "No row failed.\n")
    refused = byline("imports", "retry", "last")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr == "byline: No row of the import failed: there is nothing to try again.\n"


def test_the_file_of_errors_is_a_new_one(byline: Byline, posts: Path, tmp_path: Path) -> None:
    byline("import", str(posts))
    output = tmp_path / "failed.jsonl"

    assert byline("imports", "errors", "last", "--output", str(output)).exit_code == 0
    assert len(output.read_text().splitlines()) == 2

    again = byline("imports", "errors", "last", "--output", str(posts))
    assert (again.exit_code, again.stderr) == (1, f"byline: {posts} is there already: name another file.\n")
    assert len(posts.read_text().splitlines()) == len(POSTS)
    nameless = byline("imports", "errors", "last", "--output", str(tmp_path / "failed.json"))
    assert nameless.stderr == "byline: failed.json does not tell its format: add --format csv or --format ndjson.\n"
    nowhere = byline("imports", "errors", "last", "--output", str(tmp_path / "no" / "failed.csv"))
    assert nowhere.stderr.endswith("cannot be written: No such file or directory.\n")


def test_an_import_is_cancelled_and_gone_on_with(byline: Byline, posts: Path) -> None:
    byline("import", str(posts), "--detach")

    cancelled = byline("imports", "cancel", "last")
    assert cancelled.exit_code == 0, cancelled.output
    assert cancelled.stdout == f"Cancelled after 0 rows. To go on: byline imports resume {byline.job().id}\n"
    assert byline.job().state is ImportState.CANCELLED

    detached = byline("imports", "resume", "last", "--detach")
    assert (detached.exit_code, detached.stdout) == (0, f"{byline.job().id}\n")
    assert detached.stderr.endswith(f"To watch it: byline import --watch {byline.job().id}\n")
    assert byline.job().state is ImportState.QUEUED

    resumed = byline("imports", "resume", "last")
    assert resumed.exit_code == 3, resumed.output
    assert "3 rows read, 1 created, 2 failed" in resumed.stdout
    for refused in (byline("imports", "cancel", "last"), byline("imports", "resume", "last")):
        assert refused.exit_code == 1
        assert refused.stderr.startswith("byline: The import is completed_with_errors")


def test_failed_rows_are_tried_again_with_other_options(byline: Byline, posts: Path) -> None:
    byline("import", str(posts))
    parent = byline.job()

    retried = byline("imports", "retry", "last", "--create-authors", "--publish", "all", "--on-conflict", "fail")

    assert retried.exit_code == 3, retried.output
    assert "2 rows read, 1 created, 1 failed" in retried.stdout
    assert "Authors created: 1\n" in retried.stdout
    child = byline.job()
    assert child.parent_id == parent.id
    assert (child.options.create_authors, child.options.publish, child.options.on_conflict) == (True, "all", "fail")
    assert child.kind is ImportKind.POSTS


def test_a_dry_run_of_a_retry_can_be_followed_by_a_real_one(byline: Byline, posts: Path) -> None:
    byline("import", str(posts))

    dry = byline("imports", "retry", "last", "--default-author", "root", "--dry-run")
    assert "2 rows read, 1 created, 1 failed" in dry.stdout
    assert "This was a dry run: nothing was changed." in dry.stdout
    real = byline("imports", "retry", str(byline.jobs()[1].id), "--default-author", "root")
    assert "2 rows read, 1 created, 1 failed" in real.stdout


@pytest.mark.parametrize("command", ["show", "errors", "cancel", "resume", "retry"])
def test_an_import_must_be_named(byline: Byline, command: str) -> None:
    wrong = byline("imports", command, "first")
    assert (wrong.exit_code, wrong.stderr) == (
        2,
        "byline: first is no id of an import: `byline imports list` shows them, or say last.\n",
    )
    unknown = byline("imports", command, "0190a8c1-0000-7000-8000-000000000000")
    assert unknown.exit_code == 1
    assert unknown.stderr.endswith("There is no import 0190a8c1-0000-7000-8000-000000000000.\n")


def test_off_a_terminal_a_row_is_a_line_however_narrow_the_console(
    byline: Byline, posts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    byline("import", str(posts))
    monkeypatch.setattr(console.out, "width", 80)
    (line,) = byline("imports", "list").stdout.splitlines()[1:]
    assert line.split()[:4] == [str(byline.jobs()[0].id), "completed_with_errors", "posts", "posts.ndjson"]
