"""The image and the compose file, judged by what stands in them: no engine is needed."""

import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from infrastructure.settings import Settings
from tests.packaging.images import ROOT, compose, dockerfile, last, services, stages

ONE_SHOT = {"migrate"}
OWN_IMAGE = {"migrate", "api", "worker"}


def copied() -> set[str]:
    """What the build takes from the checkout."""
    sources = [rest.split()[:-1] for name, rest in dockerfile() if name == "COPY" and "--from" not in rest]
    return {source for group in sources for source in group}


def test_the_image_runs_unprivileged() -> None:
    user, _, group = last("USER").partition(":")
    assert int(user) > 0
    assert int(group) > 0


def test_signals_reach_the_process_itself() -> None:
    assert json.loads(last("CMD")) == ["byline", "serve"]
    assert last("STOPSIGNAL") == "SIGTERM"
    assert not any(name == "ENTRYPOINT" for name, _ in stages()[-1])


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


def test_valkey_is_bounded_and_never_refuses_a_write() -> None:
    command = services()["valkey"]["command"]
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert options["--appendonly"] == "yes"
    assert options["--maxmemory"].endswith("mb")
    assert options["--maxmemory-policy"] == "allkeys-lru"
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
