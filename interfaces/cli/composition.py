"""What `main` gives to the commands: their ways to the outside, each imported when it is first used."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # a command that needs no use cases does not wait for them
    from application.use_cases import UseCases

ADMIN_PASSWORD_FILE = "admin_password"  # noqa: S105 - the name of the file, in the data folder


class Secret(Protocol):
    def get_secret_value(self) -> str: ...


class ServiceSettings(Protocol):
    """What the commands read of the settings; the README has them in a table."""

    @property
    def data_dir(self) -> Path: ...
    @property
    def host(self) -> str: ...
    @property
    def api_processes(self) -> int: ...
    @property
    def public_url(self) -> str | None: ...
    @property
    def request_timeout_s(self) -> float: ...
    @property
    def admin_email(self) -> str: ...
    @property
    def admin_password(self) -> Secret | None: ...
    @property
    def sample(self) -> bool: ...


class Revision(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def is_head(self) -> bool: ...


class Schema(Protocol):
    """The migrations of the database at `url`."""

    async def upgrade(self, url: object, revision: str = "head") -> None: ...
    async def downgrade(self, url: object, revision: str) -> None: ...
    async def current(self, url: object) -> str | None:
        """None where it is empty."""
        ...

    def history(self) -> Sequence[Revision]:
        """Newest first."""
        ...


class Finding(Protocol):
    """What `doctor` found of one thing: `ok`, `warning` or `wrong`, and how to mend it."""

    @property
    def check(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def message(self) -> str: ...
    @property
    def remedy(self) -> str | None: ...


class LocalService(Protocol):
    async def run(self, *, tell: Callable[[str], None], welcome: Callable[[str], None]) -> None:
        """Until a signal ends it. `tell` gets each step as it begins, `welcome` the API's URL."""
        ...


class Composition(Protocol):
    """Which adapters stand behind the commands; `main` has the only one, since nobody else may import them.

    Whatever it raises that a person can mend, `main` shows as one message.
    """

    def settings(self) -> ServiceSettings: ...

    def use_server_urls(self, *, redis: bool = False) -> None:
        """Where the environment names no database, put the URLs of the running `byline up` into it."""
        ...

    def wait_for_servers(self) -> None:
        """As `use_server_urls`, of the `byline up` that starts this moment."""
        ...

    def use_cases(self) -> AbstractAsyncContextManager["UseCases"]: ...

    def database_url(self) -> object:
        """Of the environment, or of the running `byline up`."""
        ...

    def schema(self) -> Schema: ...

    def port(self) -> int:
        """Where the API shall listen: a port that is free."""
        ...

    def admin_password(self) -> str:
        """The one that was set, or the one kept in the data folder, made when it is first asked for."""
        ...

    def configure_logging(self, *, quiet: bool = False) -> None: ...

    def local_service(self, *, logs_shown: bool) -> LocalService: ...

    def die_with(self, parent: int) -> None:
        """Have this process killed when `parent`, which started it, ends."""
        ...

    async def diagnose(self) -> Sequence[Finding]: ...
