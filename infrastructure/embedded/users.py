"""Whom the servers run as: PostgreSQL refuses to be root, and Valkey need not be."""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from infrastructure.embedded.errors import EmbeddedError
from infrastructure.embedded.folder import FolderUnusable


class NoServerUser(EmbeddedError):
    """Started as root, and there is nobody else to be."""


@dataclass(frozen=True, slots=True)
class ServerUser:
    """A user without privileges, for a server that root starts."""

    uid: int
    gid: int

    @classmethod
    def of(cls, folder: Path) -> Self | None:
        """The owner of a server's `folder`; `nobody` where root owns it or it is not there yet.

        None unless this process is root: a server then simply runs as whoever started it. Raises FolderUnusable where
        the folder is somebody else's.
        """
        owner = folder.stat() if folder.exists() else None
        if os.geteuid() != 0:
            if owner and owner.st_uid != os.geteuid():
                raise FolderUnusable(
                    f"{folder} belongs to user {owner.st_uid}, as after a start as root. Start as root again, "
                    f"`sudo chown -R {os.geteuid()} {folder.parent}`, or set BYLINE_DATA_DIR to another folder."
                )
            return None
        if owner and owner.st_uid != 0:
            return cls(owner.st_uid, owner.st_gid)
        try:
            nobody = pwd.getpwnam("nobody")
        except KeyError:
            raise NoServerUser(
                "The embedded servers do not run as root, and this system has no user `nobody` to run them as. "
                "Start Byline as another user, or set BYLINE_DATABASE_URL and BYLINE_REDIS_URL."
            ) from None
        return cls(nobody.pw_uid, nobody.pw_gid)

    def can_reach(self, path: Path) -> bool:
        """Whether every folder above `path` lets this user pass."""
        return all(self._may(stat.S_IXOTH, parent) for parent in path.resolve().parents)

    def can_run(self, program: Path) -> bool:
        return self.can_reach(program) and self._may(stat.S_IXOTH | stat.S_IROTH, program)

    def _may(self, wanted: int, path: Path) -> bool:
        status = path.stat()
        if status.st_uid == self.uid:
            wanted <<= 6
        elif status.st_gid == self.gid:
            wanted <<= 3
        return status.st_mode & wanted == wanted


def make_server_folder(folder: Path, user: ServerUser | None) -> None:
    """A folder that only the server's user can enter."""
    folder.mkdir(mode=0o700, exist_ok=True)
    if user is not None:
        os.chown(folder, user.uid, user.gid)
