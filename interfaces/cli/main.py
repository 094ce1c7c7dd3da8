"""The `byline` command: its commands, and the adapters that stand behind them.

Imports wait until a command needs them: `byline --help` is quick, and `byline up` stays small while it runs.
"""

import os
import secrets
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from interfaces.cli import administrators, cache, doctor, import_command, imports, migrations, prepare, processes, up
from interfaces.cli.composition import ADMIN_PASSWORD_FILE, Schema
from interfaces.cli.console import CommandFailed, ExitCode, fail, out

if TYPE_CHECKING:
    from application.use_cases import UseCases
    from infrastructure.diagnosis.findings import Finding
    from infrastructure.embedded.service import LocalService
    from infrastructure.embedded.state import Running
    from infrastructure.settings import Settings

SERVERS_TRIES = 60_000
SERVERS_PAUSE_S = 0.01
PARENT = "BYLINE_UP_WITH_PARENT"
"""The process id of whoever started `byline up` and is not to be outlived by it, as `make` is."""


class Adapters:
    """The `Composition` of the service. `configures_logging`: of the whole process, which is the command's own."""

    def __init__(self, *, configures_logging: bool = False) -> None:
        self._configures_logging = configures_logging

    def settings(self) -> "Settings":
        from infrastructure.settings import load_settings

        return load_settings()

    def use_server_urls(self, *, redis: bool = False) -> None:
        settings = self.settings()
        if settings.database_url is None:
            running = self._running(settings)
            if running is None:
                raise CommandFailed(
                    f"No database is known. Set BYLINE_DATABASE_URL, or have `byline up` run on {settings.data_dir}."
                )
            os.environ["BYLINE_DATABASE_URL"] = running.database_url
            if settings.redis_url is None:
                os.environ["BYLINE_REDIS_URL"] = running.redis_url
        elif redis and settings.redis_url is None:
            raise CommandFailed("No Redis is known. Set BYLINE_REDIS_URL.")

    @staticmethod
    def _running(settings: "Settings") -> "Running | None":
        """The `byline up` of this data folder."""
        from infrastructure.embedded.state import read_state

        try:
            return read_state(settings.data_dir / "state.json")
        except OSError as error:
            raise CommandFailed(f"{settings.data_dir} cannot be read: {error.strerror}.") from None

    def wait_for_servers(self) -> None:
        # What comes next needs it, and importing it takes as long as the servers take to start.
        import infrastructure.container  # noqa: F401

        settings = self.settings()
        for _ in range(SERVERS_TRIES):
            if running := self._running(settings):
                os.environ |= {"BYLINE_DATABASE_URL": running.database_url, "BYLINE_REDIS_URL": running.redis_url}
                return
            time.sleep(SERVERS_PAUSE_S)
        raise CommandFailed("The servers did not start.")

    def use_cases(self) -> "AbstractAsyncContextManager[UseCases]":
        from infrastructure.container import Container, running

        self._log_as_configured()
        return running(Container(settings=self.settings()))

    def database_url(self) -> object:
        self.use_server_urls()
        return self.settings().database_url

    def schema(self) -> Schema:
        from infrastructure.database import schema

        return schema

    def port(self) -> int:
        from infrastructure.embedded.api_port import api_port

        return api_port(self.settings())

    def admin_password(self) -> str:
        from infrastructure.embedded.secrets import kept_secret

        settings = self.settings()
        if settings.admin_password is not None:
            return settings.admin_password.get_secret_value()
        return kept_secret(settings.data_dir / ADMIN_PASSWORD_FILE, lambda: secrets.token_urlsafe(12))

    def configure_logging(self, *, quiet: bool = False) -> None:
        from infrastructure.logging import configure_logging

        settings = self.settings()
        muted = quiet and settings.log_level == "info"
        configure_logging(settings.model_copy(update={"log_level": "warning"}) if muted else settings)

    def local_service(self, *, logs_shown: bool) -> "LocalService":
        from infrastructure.embedded.launch import die_with_parent
        from infrastructure.embedded.service import Commands, LocalService

        if parent := os.environ.pop(PARENT, ""):
            die_with_parent(int(parent), signal.SIGTERM)
        commands = Commands(*map(_own_command, ("prepare", "serve", "worker")))
        return LocalService(self.settings(), commands, logs_shown=logs_shown)

    def die_with(self, parent: int) -> None:
        from infrastructure.embedded.launch import die_with_parent

        die_with_parent(parent, signal.SIGKILL)

    async def diagnose(self) -> "Sequence[Finding]":
        from infrastructure.diagnosis.diagnosis import diagnose
        from infrastructure.settings import BadSettings

        with suppress(BadSettings):  # which it will tell
            self._log_as_configured()
        return await diagnose()

    def _log_as_configured(self) -> None:
        """As it comes, structlog writes among what is printed, and shows local variables with a traceback, passwords
        among them."""
        if self._configures_logging:
            self.configure_logging(quiet=True)


def _own_command(name: str) -> tuple[str, ...]:
    """This program again, found neither by the working directory nor by the path."""
    return sys.executable, "-P", str(Path(sys.argv[0]).resolve()), name


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        out.print(f"byline {version('byline')}")
        raise typer.Exit


class _Commands(TyperGroup):
    """Ends with one message and an exit code for what a person can mend; a defect shows its traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort, typer.TyperException):
            raise
        except Exception as error:
            code = _expected(error)
            if code is None:
                raise
            fail(str(error), code)


def _expected(error: Exception) -> ExitCode | None:
    from domain.errors import BylineError
    from infrastructure.embedded.errors import EmbeddedError
    from infrastructure.settings import BadSettings

    match error:
        case CommandFailed():
            return error.code
        case BadSettings():
            return ExitCode.USAGE
        case BylineError() | EmbeddedError():
            return ExitCode.FAILED
    return None


app = typer.Typer(
    name="byline",
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Settings come from BYLINE_* variables and from .env; `byline doctor` says what is wrong with them.",
)


@app.callback()
def byline(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version, and end.", metavar=""),
    ] = False,
) -> None:
    """Byline, a headless publishing service: users, posts and imports behind a fast, predictable HTTP API."""


app.command(epilog="[bold]byline up[/]\n\n[bold]BYLINE_PORT=9000 BYLINE_SAMPLE=false byline up --logs[/]")(up.up)
app.command(epilog="[bold]BYLINE_API_PROCESSES=4 BYLINE_HOST=0.0.0.0 byline serve[/]")(processes.serve)
app.command(epilog="[bold]byline worker[/]")(processes.worker)
app.add_typer(migrations.migrate, name="migrate", help="Bring the database's schema forward or back, or ask about it.")
app.command(
    "import",
    epilog="[bold]byline import users.csv[/]\n\n"
    "[bold]byline import archive.ndjson.gz --kind posts --on-conflict update[/]\n\n"
    "[bold]byline import wordpress.xml --create-authors --dry-run[/]\n\n"
    "[bold]byline import old.csv --kind posts --map headline=title --map writer=author[/]\n\n"
    "[bold]curl -s https://old.example/posts.ndjson | byline import - --kind posts --default-author ada[/]\n\n"
    "[bold]id=$(byline import huge.ndjson --kind posts --detach) && byline import --watch $id[/]",
)(import_command.import_file)
app.add_typer(
    imports.imports, name="imports", help="List imports, show how they go and which rows failed; stop, resume, retry."
)
app.add_typer(cache.cache, name="cache", help="Warm the cache of pages, see its figures, have it forget.")
app.command(
    epilog="[bold]byline create-admin[/]\n\n"
    "[bold]pass show byline | byline create-admin --email ada@example.com --password-stdin[/]\n\n"
    "[bold]byline create-admin --email ada@example.com --promote[/]"
)(administrators.create_admin)
app.command(epilog="[bold]byline doctor[/]\n\n[bold]byline doctor --json | jq '.[] | select(.state != \"ok\")'[/]")(
    doctor.doctor
)
app.command(hidden=True)(prepare.prepare)


def main() -> None:
    app(obj=Adapters(configures_logging=True))


if __name__ == "__main__":
    main()
