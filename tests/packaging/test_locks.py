"""The lock files pin all that pyproject.toml asks for, and nothing else; checked without a network.

A lock's comments name who asked for each package, so what was added to or taken from pyproject.toml since shows.
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
RUNTIME: list[str] = PYPROJECT["project"]["dependencies"]
EXTRAS: dict[str, list[str]] = PYPROJECT["project"]["optional-dependencies"]
ASKED_BY_LOCK = {
    "requirements.lock": RUNTIME,
    "requirements-embedded.lock": RUNTIME + EXTRAS["embedded"],
    "requirements-dev.lock": RUNTIME + EXTRAS["embedded"] + EXTRAS["dev"],
    "requirements-build.lock": PYPROJECT["dependency-groups"]["build"],
}

PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(?:\[[^]]*\])?==(?P<version>\S+)(?: ; (?P<marker>.+?))? \\$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}(?: \\)?$")
every_lock = pytest.mark.parametrize("lock", ASKED_BY_LOCK)


@dataclass(frozen=True, slots=True)
class Pin:
    name: str
    version: Version
    marker: Marker | None
    hashes: int
    direct: bool


def entries(lock: str) -> Iterator[list[str]]:
    """Each requirement's lines: the pin itself, then its hashes and comments."""
    lines = (ROOT / lock).read_text().splitlines()
    starts = [number for number, line in enumerate(lines) if not line.startswith("    ")]
    for start, end in pairwise([*starts, len(lines)]):
        yield lines[start:end]


def pins(lock: str) -> list[Pin]:
    found = []
    for first, *rest in entries(lock):
        match = PIN.match(first)
        assert match, f"{lock}: not pinned to one version with hashes: {first}"
        found.append(
            Pin(
                name=canonicalize_name(match["name"]),
                version=Version(match["version"]),
                marker=Marker(match["marker"]) if match["marker"] else None,
                hashes=sum(bool(HASH.match(line)) for line in rest),
                direct=any("(pyproject.toml" in line for line in rest),
            )
        )
    return found


def versions(lock: str) -> set[tuple[str, Version]]:
    return {(pin.name, pin.version) for pin in pins(lock)}


@every_lock
def test_every_requirement_is_pinned_with_hashes(lock: str) -> None:
    assert [pin.name for pin in pins(lock) if not pin.hashes] == []


@every_lock
def test_no_host_is_named(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert not re.search(r"^\s*(-i|-f|--index-url|--extra-index-url|--find-links|--trusted-host)\b", text, re.MULTILINE)


@every_lock
def test_it_answers_exactly_what_pyproject_asks(lock: str) -> None:
    asked = {canonicalize_name(Requirement(text).name) for text in ASKED_BY_LOCK[lock]}
    assert {pin.name for pin in pins(lock) if pin.direct} == asked


@every_lock
def test_its_versions_satisfy_pyproject(lock: str) -> None:
    pinned = {pin.name: pin for pin in pins(lock)}
    for requirement in map(Requirement, ASKED_BY_LOCK[lock]):
        pin = pinned[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(pin.version, prereleases=True), f"{requirement} but {pin.version}"
        assert (pin.marker is None) == (requirement.marker is None), f"{requirement} but only where {pin.marker}"


def test_what_is_tested_is_what_runs() -> None:
    assert versions("requirements.lock") <= versions("requirements-embedded.lock")
    assert versions("requirements-embedded.lock") <= versions("requirements-dev.lock")


def test_what_builds_and_what_is_tested_can_live_in_one_environment() -> None:
    tested = versions("requirements-dev.lock")
    names = {name for name, _ in tested}
    assert {pin for pin in versions("requirements-build.lock") if pin[0] in names} <= tested


def test_the_image_holds_no_servers() -> None:
    servers = {canonicalize_name(Requirement(text).name) for text in EXTRAS["embedded"]}
    assert servers.isdisjoint(pin.name for pin in pins("requirements.lock"))
