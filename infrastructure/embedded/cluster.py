"""A PostgreSQL data directory and the programs that work on it."""

import os
import shutil
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infrastructure.embedded.errors import EmbeddedError
from infrastructure.embedded.folder import FolderUnusable
from infrastructure.embedded.leftovers import end_leftovers
from infrastructure.embedded.process import Program, run
from infrastructure.embedded.users import ServerUser, make_server_folder

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
TIMEOUT_S = 120.0


class WrongData(EmbeddedError):
    """What stands in the folder is not for this PostgreSQL."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """`path` may lie where `user` has no way to; `programs` must be for that user to run."""

    path: Path
    programs: Path
    user: ServerUser | None

    def exists(self, *, major: str) -> bool:
        """Whether it was made. Raises WrongData where it is not the data of PostgreSQL `major`."""
        version = self.path / "PG_VERSION"
        if not version.exists():
            if self.path.exists() and any(self.path.iterdir()):
                raise WrongData(f"{self.path} holds something else than PostgreSQL's data. Move it away.")
            return False
        made_by = version.read_text().strip()
        if made_by != major:
            raise WrongData(
                f"{self.path} was written by PostgreSQL {made_by}, and this Byline runs {major}. Dump it with the "
                f"Byline that wrote it, or move the folder away to begin with an empty one."
            )
        return True

    def sweep(self) -> None:
        """End what works in it still; the caller holds the lock of the data folder."""
        end_leftovers(self.path, program="postgres", pid_file="postmaster.pid")

    async def make(self, *statements: str, sync: bool = True) -> None:
        """Make it and execute `statements` in it. What a crash leaves is not taken for a cluster later."""
        draft = Cluster(self.path.with_suffix(".draft"), self.programs, self.user)
        draft.sweep()
        shutil.rmtree(draft.path, ignore_errors=True)
        make_server_folder(draft.path, self.user)
        # The builtin locale is the same on every system; the wheel has no ICU, and not every libc knows C.UTF-8.
        locale = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
        access = ("--username=postgres", "--auth-local=reject", "--auth-host=scram-sha-256")
        await run(draft._program("initdb", after=("--no-sync", *access, *locale)), timeout_s=TIMEOUT_S)
        await draft.execute(*statements, sync=False)
        if sync:  # once, rather than a thousand files in each step
            method = "syncfs" if sys.platform == "linux" else "fsync"
            await run(draft._program("initdb", after=("--sync-only", f"--sync-method={method}")), timeout_s=TIMEOUT_S)
        draft.path.rename(self.path)
        _sync(self.path.parent)

    async def execute(self, *statements: str, sync: bool = True) -> None:
        """Execute as the superuser, while no server runs. Raises ProgramFailed at the first error."""
        # A password in a statement is not for an error message.
        settings = ("-c", "exit_on_error=on", "-c", "log_min_error_statement=panic", "-c", f"fsync={sync}")
        stdin = "".join(f"{statement}\n" for statement in statements)
        program = self._program("postgres", before=("--single",), after=(*settings, "postgres"), stdin=stdin)
        await run(program, timeout_s=TIMEOUT_S)

    def server(self, settings: Mapping[str, str]) -> Program:
        """The server, which shuts down at once with SIGQUIT when this process dies.

        Killing the postmaster instead would leave its backends alive for as long as they are busy with a statement.
        """
        options = tuple(f"--{name}={value}" for name, value in settings.items())
        return self._program("postgres", after=options, death_signal=signal.SIGQUIT)

    def _program(
        self,
        name: str,
        *,
        before: tuple[str, ...] = (),
        after: tuple[str, ...] = (),
        stdin: str = "",
        death_signal: signal.Signals = signal.SIGKILL,
    ) -> Program:
        return Program(
            (str(self.programs / name), *before, "-D", self._directory(), *after),
            env=ENVIRONMENT,
            cwd=self.path,
            user=self.user,
            stdin=stdin,
            death_signal=death_signal,
        )

    def _directory(self) -> str:
        if self.user is None or self.user.can_reach(self.path):
            return str(self.path)
        if sys.platform == "linux":
            return "/proc/self/cwd"  # where it was started, under a name that leads there past the closed folders above
        raise FolderUnusable(
            f"Started as root, PostgreSQL runs as user {self.user.uid}, who cannot reach {self.path}. "
            f"Start Byline as another user, or set BYLINE_DATA_DIR to a folder that every user can pass through to."
        )


def _sync(folder: Path) -> None:
    """So that a crash of the machine does not undo a rename in it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
