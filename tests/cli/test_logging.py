"""Logs: one event a line on stderr, whoever logs it, and no secrets."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from infrastructure.logging import configure_logging
from infrastructure.settings import Settings


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    logging.captureWarnings(False)
    structlog.reset_defaults()


def configured(level: str = "info", log_format: str = "json") -> None:
    configure_logging(Settings.model_validate({"log_level": level, "log_format": log_format}))


def test_both_ways_to_log_give_json_lines_alike(capsys: pytest.CaptureFixture[str]) -> None:
    configured()

    structlog.get_logger("one").warning("row_failed", line=3)
    logging.getLogger("other").warning("took %d ms", 7)

    events = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(event["event"], event["level"], event["logger"]) for event in events] == [
        ("row_failed", "warning", "one"),
        ("took 7 ms", "warning", "other"),
    ]
    assert all(event["timestamp"].endswith("Z") for event in events)
    assert events[0]["line"] == 3


def test_what_goes_by_the_name_of_a_secret_is_masked(capsys: pytest.CaptureFixture[str]) -> None:
    configured()

    structlog.get_logger().info("x", password="hush", access_token="hush", Authorization="Bearer hush", tokens_swept=2)
    logging.getLogger().info("x", extra={"secret_key": "hush"})

    written = capsys.readouterr().err
    assert "hush" not in written
    assert json.loads(written.splitlines()[0])["tokens_swept"] == 2


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_traceback_shows_no_local_variables(log_format: str, capsys: pytest.CaptureFixture[str]) -> None:
    configured(log_format=log_format)
    password = "".join(["hu", "sh"])
    assert password

    try:
        int("boom")
    except ValueError:
        structlog.get_logger().exception("failed")

    written = capsys.readouterr().err
    assert "ValueError: invalid literal" in written
    assert "hush" not in written


@pytest.mark.parametrize(("level", "shown"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_the_level_holds_for_both_ways(level: str, shown: int, capsys: pytest.CaptureFixture[str]) -> None:
    configured(level)

    for log in (structlog.get_logger("one"), logging.getLogger("other")):
        for name in ("debug", "info", "warning", "error"):
            getattr(log, name)("x")

    assert len(capsys.readouterr().err.splitlines()) == 2 * shown


def test_half_a_surrogate_pair_is_logged_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    configured()

    structlog.get_logger().info("x", path="/a\ud800b")

    assert json.loads(capsys.readouterr().err)["path"] == "/a\ud800b"
