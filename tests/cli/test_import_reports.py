"""What `byline import` and `byline imports errors` tell of what failed."""

import json
import re
from pathlib import Path

import pytest

from domain.imports import ImportState
from tests.cli.memory import Byline

GOOD = {"title": "Of root", "author": "root"}
BAD = {"title": "", "author": "root"}


@pytest.fixture
def byline() -> Byline:
    return Byline().with_admin()


def lines_told(output: str) -> list[str]:
    """The first column of the table of errors."""
    return re.findall(r"^│ *(.*?) *│", output, re.MULTILINE)


def test_a_row_of_an_array_on_one_line_is_told_by_its_number(byline: Byline, tmp_path: Path) -> None:
    path = tmp_path / "posts.json"
    path.write_text(json.dumps([GOOD, BAD, GOOD, BAD]))

    imported = byline("import", str(path))

    told = ["1, row 2", "1, row 4"]
    assert lines_told(imported.stdout) == told
    assert lines_told(byline("imports", "errors", "last").stdout) == told
    in_csv = byline("imports", "errors", "last", "--format", "csv").stdout.splitlines()
    assert in_csv[0] == "line,field,code,message,row"
    assert [line.split(",")[0] for line in in_csv[1:]] == ["1", "1"]


def test_a_row_that_begins_a_line_is_told_by_its_line(byline: Byline, tmp_path: Path) -> None:
    path = tmp_path / "posts.ndjson"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in (GOOD, BAD)))

    assert lines_told(byline("import", str(path)).stdout) == ["2"]
    assert lines_told(byline("imports", "errors", "last").stdout) == ["2"]


@pytest.mark.parametrize(
    ("content", "options", "words"),
    [
        ("headline,author\nx,ada\n", [], "--map headline=title says so"),
        ("title,author,title\nx,ada,y\n", [], "names the column 'title' twice"),
        ("title,author\nx,ada\n", ["--format", "json"], "It is no JSON array"),
        ("title,author\nx,ada\n", ["--format", "stackexchange"], "It is no"),
    ],
)
def test_what_fails_for_its_file_or_options_is_to_be_mended_and_not_resumed(
    byline: Byline, tmp_path: Path, content: str, options: list[str], words: str
) -> None:
    path = tmp_path / "posts.csv"
    path.write_text(content)

    result = byline("import", str(path), *options)

    assert (result.exit_code, byline.job().state) == (1, ImportState.FAILED)
    assert words in result.stderr
    assert result.stderr.endswith("Mend the file or its options, and import it again.\n")
    assert "imports resume" not in result.output
    assert "imports resume" not in byline("import", "--watch", "last").output


def test_the_option_that_a_wrong_header_is_answered_with_imports_the_file(byline: Byline, tmp_path: Path) -> None:
    path = tmp_path / "posts.csv"
    path.write_text("headline,author\nx,root\n")
    option = re.search(r"--map \S+=title", byline("import", str(path)).stderr)
    assert option

    again = byline("import", str(path), *option[0].split())

    assert again.exit_code == 0, again.output


def test_what_fails_for_another_reason_can_be_resumed(byline: Byline, tmp_path: Path) -> None:
    path = tmp_path / "posts.ndjson"
    path.write_text(json.dumps(BAD))

    result = byline("import", str(path), "--max-errors", "0")

    assert (result.exit_code, byline.job().state) == (1, ImportState.FAILED)
    assert f"byline imports resume {byline.job().id}" in result.stdout
    assert "Mend the file" not in result.output
