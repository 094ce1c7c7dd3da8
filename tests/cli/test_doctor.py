"""`byline doctor` names what is wrong, and how to mend it."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner

from infrastructure.settings import Settings
from interfaces.cli.main import Adapters, app

Findings = dict[str, list[dict[str, str]]]


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"BYLINE_{name.upper()}", raising=False)


def doctor(status: int, **settings: str) -> Findings:
    with capture_logs():
        result = CliRunner(env=settings).invoke(app, ["doctor", "--json"], obj=Adapters())
    assert result.exit_code == status, result.output
    findings: Findings = {}
    for finding in json.loads(result.stdout):
        findings.setdefault(finding["check"], []).append(finding)
    return findings


def wrong(findings: Findings) -> set[str]:
    return {check for check, found in findings.items() if any(finding["state"] == "wrong" for finding in found)}


def test_nothing_is_wrong_before_the_first_start() -> None:
    findings = doctor(0)

    assert wrong(findings) == set()
    assert findings["Embedded servers"][0]["message"] == "Their programs are installed."


def test_a_wrong_setting_is_named_and_ends_the_look() -> None:
    findings = doctor(1, BYLINE_PORT="http", BYLINE_CURRENCY="euro")

    assert [finding["message"].partition(":")[0] for finding in findings["Settings"]] == [
        "BYLINE_PORT",
        "BYLINE_CURRENCY",
    ]
    assert "Database" not in findings


def test_a_misspelt_variable_is_told_with_the_one_that_was_meant() -> None:
    [finding, _] = doctor(0, BYLINE_DATABSE_URL="postgresql://localhost/byline")["Settings"]

    assert finding["state"] == "warning"
    assert finding["remedy"] == "Did you mean BYLINE_DATABASE_URL?"


def test_servers_that_are_away_are_wrong_and_nothing_after_them_is_asked() -> None:
    findings = doctor(
        1,
        BYLINE_DATABASE_URL="postgresql://byline:hush@127.0.0.1:1/byline",
        BYLINE_REDIS_URL="redis://:hush@127.0.0.1:1",
    )

    assert wrong(findings) == {"Database", "Redis"}
    assert len(findings["Database"]) == 1
    assert "Migrations" not in findings
    assert "hush" not in json.dumps(findings)
    assert findings["Signing key"][0]["state"] == "warning"


def test_a_data_folder_that_cannot_be_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert wrong(doctor(1, BYLINE_DATA_DIR=str(tmp_path / "file" / "data"))) == {"Data folder"}


def test_a_secret_that_others_can_read_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "secret_key").touch(mode=0o644)

    [_, finding] = doctor(1, BYLINE_DATA_DIR=str(tmp_path))["Data folder"]

    assert finding["remedy"] == f"chmod 600 {tmp_path / 'secret_key'}"


def test_a_host_that_is_not_here_is_wrong() -> None:
    assert wrong(doctor(1, BYLINE_HOST="192.0.2.1")) == {"Port"}


class Answer(BaseHTTPRequestHandler):
    body = b"{}"

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(("body", "state"), [(b'{"status":"alive"}', "ok"), (b"{}", "wrong")])
def test_a_port_that_is_taken_is_well_if_byline_took_it(body: bytes, state: str) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Other", (Answer,), {"body": body})) as other:
        Thread(target=other.serve_forever, args=(0.01,)).start()
        [finding] = doctor(state == "wrong", BYLINE_PORT=str(other.server_address[1]))["Port"]
        other.shutdown()

    assert finding["state"] == state


@pytest.mark.parametrize("is_json", [True, False])
def test_a_migrated_database_wants_an_administrator(database_url: str, redis_url: str, is_json: bool) -> None:
    settings = {"BYLINE_DATABASE_URL": database_url, "BYLINE_REDIS_URL": redis_url}
    if is_json:
        findings = doctor(1, **settings)
        assert wrong(findings) == {"Administrator"}
        assert findings["Administrator"][0]["remedy"] == "byline create-admin"
    else:
        with capture_logs():
            result = CliRunner(env=settings).invoke(app, ["doctor"], obj=Adapters())
        assert "✖  Administrator" in result.stdout
        assert "✔  Migrations" in result.stdout
        assert result.stderr == "1 thing is wrong.\n"


def test_a_database_without_the_schema_is_told_to_migrate(database_url: str) -> None:
    postgres = database_url.rpartition("/")[0] + "/postgres"

    findings = doctor(1, BYLINE_DATABASE_URL=postgres)

    assert wrong(findings) >= {"Migrations"}
    assert findings["Migrations"][0]["remedy"] == "byline migrate upgrade"
    assert findings["Redis"][0]["state"] == "warning"
