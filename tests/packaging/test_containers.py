"""The image and the compose file, judged by what stands in them: no engine is needed."""

import json
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from infrastructure.settings import Settings

ROOT = Path(__file__).parents[2]
Instruction = tuple[str, str]
Service = dict[str, Any]

ONE_SHOT = {"migrate"}
OWN_IMAGE = {"migrate", "api", "worker"}


def dockerfile() -> list[Instruction]:
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    joined = re.sub(r"\\\n\s*", "", text)
    return [
        (word.upper(), rest.strip()) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)
    ]


def stages() -> list[list[Instruction]]:
    found: list[list[Instruction]] = []
    for instruction in dockerfile():
        if instruction[0] == "FROM":
            found.append([])
        found[-1].append(instruction)
    return found


def last(word: str) -> str:
    """What the final stage says by `word`; its last word counts."""
    return [rest for name, rest in stages()[-1] if name == word][-1]


def health_command() -> list[str]:
    _, _, command = last("HEALTHCHECK").partition("CMD ")
    parsed: list[str] = json.loads(command)
    return parsed


def copied() -> set[str]:
    """What the build takes from the checkout."""
    sources = [rest.split()[:-1] for name, rest in dockerfile() if name == "COPY" and "--from" not in rest]
    return {source for group in sources for source in group}


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return loaded


def services() -> dict[str, Service]:
    found: dict[str, Service] = compose()["services"]
    return found


@contextmanager
def answering(status: int) -> Iterator[tuple[int, list[str]]]:
    """A server on a free port that answers everything alike, and the paths that it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the base class names it so
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1], asked
        finally:
            server.shutdown()
            thread.join()


def ask_health(port: int) -> int:
    _, *arguments = health_command()
    environment = {"BYLINE_PORT": str(port), "http_proxy": "http://127.0.0.1:9"}
    return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, check=False).returncode


def test_the_image_runs_unprivileged() -> None:
    user, _, group = last("USER").partition(":")
    assert int(user) > 0
    assert int(group) > 0


def test_signals_reach_the_process_itself() -> None:
    assert json.loads(last("CMD")) == ["byline", "serve"]
    assert last("STOPSIGNAL") == "SIGTERM"
    assert not any(name == "ENTRYPOINT" for name, _ in stages()[-1])


def test_the_health_check_asks_the_service_and_no_proxy() -> None:
    with answering(200) as (port, asked):
        assert ask_health(port) == 0
    assert asked == ["/health/live"]


def test_the_health_check_fails_with_the_service() -> None:
    with answering(503) as (port, _):
        assert ask_health(port) != 0
    assert ask_health(port) != 0, "nobody listens there any more"


def test_base_images_are_pinned() -> None:
    bases = [rest.split()[0] for name, rest in dockerfile() if name == "FROM"]
    assert bases == ["python:3.11-slim-bookworm"] * 2


def test_the_image_takes_packages_by_hash_alone() -> None:
    installs = [
        command
        for name, rest in dockerfile()
        if name == "RUN"
        for command in rest.split("&&")
        if "pip install" in command and "--no-deps /dist/" not in command
    ]
    assert len(installs) == 2
    for command in installs:
        assert "--require-hashes" in command
        assert "--no-cache" in command
        lock = command.split("--requirement ")[1].split()[0]
        assert (ROOT / lock).exists()


def test_every_package_of_the_wheel_reaches_the_build() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = set(pyproject["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    assert packages <= copied()


def test_the_build_is_sent_only_what_it_copies() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    assert {line[1:] for line in lines if line.startswith("!")} == copied()


def test_every_service_that_stays_up_has_a_health_check() -> None:
    for name, service in services().items():
        check = service["healthcheck"]
        if name in ONE_SHOT:
            assert check == {"disable": True}
        else:
            assert check["test"][0] == "CMD", f"{name}: no shell is needed"
            assert {"interval", "timeout", "start_period", "retries"} <= check.keys(), name


def test_a_service_waits_for_what_it_needs() -> None:
    conditions = {
        name: {needed: how["condition"] for needed, how in service.get("depends_on", {}).items()}
        for name, service in services().items()
    }
    ready = {"migrate": "service_completed_successfully", "postgres": "service_healthy", "valkey": "service_healthy"}
    assert conditions["migrate"] == {"postgres": "service_healthy"}
    assert conditions["api"] == ready
    assert conditions["worker"] == ready


def test_api_worker_and_migrations_are_one_image() -> None:
    assert {name for name, service in services().items() if "build" in service} == OWN_IMAGE
    assert len({services()[name]["image"] for name in OWN_IMAGE}) == 1
    assert {name: services()[name]["command"][1] for name in OWN_IMAGE} == {
        "migrate": "migrate",
        "api": "serve",
        "worker": "worker",
    }


def test_the_worker_finds_what_the_api_stored() -> None:
    api, worker = services()["api"], services()["worker"]
    folder = api["environment"]["BYLINE_DATA_DIR"]
    assert api["volumes"] == worker["volumes"] == [f"uploads:{folder}"]
    assert last("VOLUME") == json.dumps([folder])


def test_every_volume_that_is_used_is_declared() -> None:
    used = {volume.partition(":")[0] for service in services().values() for volume in service.get("volumes", [])}
    assert used == compose()["volumes"].keys()


def test_postgres_keeps_its_data_where_18_writes_it() -> None:
    postgres = services()["postgres"]
    assert postgres["image"] == "postgres:18"
    assert postgres["volumes"] == ["postgres:/var/lib/postgresql"]


def test_valkey_forgets_no_job() -> None:
    command = services()["valkey"]["command"]
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert options["--appendonly"] == "yes"
    assert options["--maxmemory-policy"] == "noeviction"
    assert services()["valkey"]["volumes"] == ["valkey:/data"]


def test_every_service_starts_again_by_itself() -> None:
    for name, service in services().items():
        assert service["restart"] == ("on-failure:3" if name in ONE_SHOT else "unless-stopped"), name


def test_no_secret_has_a_default() -> None:
    text = (ROOT / "compose.yaml").read_text()
    for secret in ("BYLINE_SECRET_KEY", "POSTGRES_PASSWORD"):
        uses = re.findall(rf"\$\{{{secret}\b([^}}]*)\}}", text)
        assert uses
        assert all(use.startswith(":?") for use in uses)


@pytest.mark.parametrize("name", sorted(OWN_IMAGE))
def test_its_environment_is_a_sound_set_of_settings(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for field in Settings.model_fields:
        monkeypatch.delenv(f"BYLINE_{field.upper()}", raising=False)
    for variable, value in services()[name]["environment"].items():
        assert variable.removeprefix("BYLINE_").lower() in Settings.model_fields
        monkeypatch.setenv(variable, re.sub(r"\$\{[^}]*\}", "0123456789abcdef" * 2, value))

    settings = Settings()

    assert settings.database_url is not None
    assert settings.database_url.host == "postgres"
    assert settings.redis_url is not None
    assert settings.redis_url.host == "valkey"
    assert settings.port == 8000


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_pre_commit_runs_what_make_check_runs() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = {hook["entry"] for repository in config["repos"] for hook in repository["hooks"]}
    check = re.search(r"^check: ([a-z -]+)", (ROOT / "Makefile").read_text(), re.MULTILINE)

    assert check
    assert hooks == {f"make {target}" for target in check[1].split()}
    assert set(check[1].split()) <= make_targets()


def test_continuous_integration_runs_what_anybody_can_run() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    steps = [step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"]]
    script = (ROOT / ".ci" / "run").read_text()

    assert "bash .ci/run" in steps
    assert re.findall(r"^step make (\S+)$", script, re.MULTILINE) == ["check", "test"]
