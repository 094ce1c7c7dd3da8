"""The data folder: everything Byline keeps on this machine, used by one process tree at a time."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from infrastructure.embedded.errors import EmbeddedError


class FolderInUse(EmbeddedError):
    """Another process holds the data folder."""


class FolderUnusable(EmbeddedError):
    """The data folder cannot be made, read or written by this user."""


class DataFolder:
    """An open data folder is a held lock: it ends with `close()` or with the process, however that ends."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def open(cls, path: Path) -> Self:
        """Make the folder if it is absent, and lock it. Raises FolderInUse or FolderUnusable."""
        path = path.expanduser().resolve()
        # Servers started by root run as somebody else, who has to pass through to their own folders below.
        mode = 0o711 if os.geteuid() == 0 else 0o700
        try:
            path.mkdir(mode=mode, parents=True, exist_ok=True)
            lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise FolderUnusable(
                f"The data folder {path} cannot be used ({error.strerror}). It may belong to another user, for example "
                f"after a start as root: start as that user, or set BYLINE_DATA_DIR to another folder."
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(lock, 20, 0).decode().strip() or "unknown"
            os.close(lock)
            raise FolderInUse(
                f"The data folder {path} is in use by another Byline (process {holder}). Stop that one first, "
                f"or give this one a folder of its own with BYLINE_DATA_DIR."
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        return cls(path, lock)

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def state(self) -> Path:
        return self.path / "state.json"

    def close(self) -> None:
        os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
