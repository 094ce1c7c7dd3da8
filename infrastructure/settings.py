"""Everything the environment may decide, read once at `main` and frozen. The README has them in a table."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, UrlConstraints, ValidationError
from pydantic_core import ErrorDetails, Url
from pydantic_settings import BaseSettings, SettingsConfigDict

from domain.users import PASSWORD_MAX, PASSWORD_MIN, EmailAddress

PostgresUrl = Annotated[Url, UrlConstraints(allowed_schemes=["postgresql", "postgres", "postgresql+asyncpg"])]
RedisUrl = Annotated[Url, UrlConstraints(allowed_schemes=["redis", "rediss", "unix"])]
Email = Annotated[str, AfterValidator(lambda text: EmailAddress(text).value)]

MIB = 1024 * 1024


class Settings(BaseSettings):
    """`BYLINE_*` variables first, then `.env`, then these defaults; empty ones count as absent. Names carry units.

    Where `database_url` or `redis_url` is absent, `byline up` starts that server itself under `data_dir`.
    """

    model_config = SettingsConfigDict(
        env_prefix="BYLINE_", env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True, allow_inf_nan=False
    )

    database_url: PostgresUrl | None = None
    redis_url: RedisUrl | None = None
    data_dir: Annotated[Path, AfterValidator(Path.expanduser)] = Path(".byline")
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] | None = None
    """None: 8000, or the next free port. A port that was asked for and is taken is an error."""
    api_processes: int = Field(default=1, ge=1, le=64)
    public_url: str | None = None
    """How clients reach the service, where a proxy stands before it; used in absolute links that people are shown."""

    admin_email: Email = "admin@example.com"
    admin_password: SecretStr | None = Field(default=None, min_length=PASSWORD_MIN, max_length=PASSWORD_MAX)
    """None: one is made at the first start and kept in `data_dir`, readable by its owner alone."""
    secret_key: SecretStr | None = Field(default=None, min_length=32)
    """Signs access tokens. None: one is made at the first start and kept in `data_dir`."""
    access_token_ttl_s: int = Field(default=900, ge=1)
    refresh_token_ttl_s: int = Field(default=30 * 86400, ge=1)
    refresh_grace_s: int = Field(default=10, ge=0)
    """How long a refresh token that was just used may be used again, for clients whose answer was lost."""
    registration: Literal["open", "closed"] = "open"
    password_hash_threads: int = Field(default=2, ge=1)
    password_hash_queue: int = Field(default=16, ge=1)
    """Sign-ins that may wait for a hashing thread; one more answers 503."""

    site_name: str = "Byline"
    site_description: str = "A headless publishing service"
    site_language: str = "en"
    currency: str = Field(default="EUR", pattern=r"^[A-Z]{3}$")
    sample: bool = True
    """Whether `byline up` fills an empty database with the sample archive."""

    db_pool_size: int = Field(default=10, ge=1)
    db_pool_overflow: int = Field(default=0, ge=0)
    db_read_pool_size: int = Field(default=10, ge=1)
    db_import_pool_size: int = Field(default=2, ge=1)
    db_pool_wait_s: float = Field(default=1.0, gt=0)
    db_connect_timeout_s: float = Field(default=5.0, gt=0)
    statement_timeout_s: float = Field(default=5.0, gt=0)
    lock_timeout_s: float = Field(default=2.0, gt=0)
    transaction_timeout_s: float = Field(default=8.0, gt=0)
    slow_statement_s: float = Field(default=0.5, gt=0)
    """A statement slower than this is logged, without its parameters."""
    request_timeout_s: float = Field(default=10.0, gt=0)
    redis_timeout_s: float = Field(default=0.1, gt=0)

    cache: Literal["redis", "none"] = "redis"
    """What all processes of the site share; the same for all of them. Without `redis_url`, `redis` means none."""
    page_ttl_s: float = Field(default=60.0, gt=0)
    """How long a page may be kept; only its views may be as old as that."""
    hot: bool = True
    """Whether public pages are answered before the router."""
    l1_max_bytes: int = Field(default=64 * MIB, ge=0)
    """Of the answers that each API process keeps; 0: none."""
    l1_ttl_s: float = Field(default=10.0, gt=0)
    host_tokens: Annotated[Path, AfterValidator(Path.expanduser)] | None = None
    """The file, in memory, by which the processes of this host tell each other what is out of date. None: one is made
    for each `data_dir`."""
    count_views: bool = True
    views_flush_s: float = Field(default=0.5, gt=0)
    """How often views go to the database; at most so much of them is lost to a kill."""
    warm_every_s: float = Field(default=40.0, ge=0)
    """0: never of its own."""
    warm_pages_max: int = Field(default=500, ge=1)
    warm_max_s: float = Field(default=30.0, gt=0)

    max_body_bytes: int = Field(default=2 * MIB, ge=1024)
    max_upload_bytes: int = Field(default=16 * 1024 * MIB, ge=1024)
    upload_idle_timeout_s: float = Field(default=30.0, gt=0)
    upload_kept_s: int = Field(default=30 * 86400, ge=86400)
    """How long the file and the row errors of an import are kept after its end."""
    import_chunk_rows: int = Field(default=5_000, ge=1)
    import_chunk_bytes: int = Field(default=8 * MIB, ge=1024)
    max_row_bytes: int = Field(default=4 * MIB, ge=1024)
    max_text_bytes: int = Field(default=256 * 1024 * MIB, ge=1024)
    """Of a file once it is decompressed."""
    max_text_ratio: int = Field(default=200, ge=1)
    """Of the decompressed text to the file."""
    import_lease_s: float = Field(default=10.0, gt=0)
    imports_at_once: int = Field(default=2, ge=1)
    """In a worker; others wait for their turn."""
    import_share: float = Field(default=1.0, gt=0, le=1)
    """How much of the time an import may be writing: less leaves more of the machine to requests."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "json", "console"] = "auto"
    """auto: console on a terminal, JSON lines elsewhere."""


class BadSettings(Exception):
    """`str(error)` has a line for each wrong variable, which names it and says what it must be.

    No value is repeated that may hold a secret.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def load_settings() -> Settings:
    """What the environment says now. Raises BadSettings."""
    try:
        return Settings()
    except ValidationError as error:
        details = error.errors(include_url=False)
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings([f".env: cannot be read ({error})."]) from None
    raise BadSettings([_problem(detail) for detail in details])


_EXAMPLES = {
    "database_url": "postgresql://byline:password@localhost:5432/byline",
    "redis_url": "redis://localhost:6379/0",
    "port": "8000",
    "secret_key": "the output of `openssl rand -hex 32`",
    "admin_password": "the output of `openssl rand -hex 12`",
    "sample": "true",
}
_SECRET = {"database_url", "redis_url", "secret_key", "admin_password"}
_MUST = {
    "bool_parsing": "must be true or false",
    "float_parsing": "must be a number",
    "greater_than": "must be greater than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "int_parsing": "must be a whole number",
    "less_than_equal": "must be at most {le:g}",
    "literal_error": "must be {expected}",
    "string_pattern_mismatch": "must match {pattern}",
    "too_long": "must have at most {max_length} characters",
    "too_short": "must have at least {min_length} characters",
    "url_parsing": "must be a URL",
    "url_scheme": "must be a URL that begins with {expected_schemes}",
    "value_error": "cannot be used: {error}",
}


def _problem(detail: ErrorDetails) -> str:
    name = str(detail["loc"][0])
    known = _MUST.get(detail["type"])
    must = known.format(**detail.get("ctx", {})).rstrip(".") if known else detail["msg"]
    told = "" if name in _SECRET else f" (it is {str(detail['input'])[:80]!r})"
    example = _EXAMPLES.get(name, Settings.model_fields[name].default)
    return f"BYLINE_{name.upper()}: {must}{told}, for example {example}."
