"""What PostgreSQL refuses, as the domain's errors: by constraint name, else by SQLSTATE (PostgreSQL, appendix A)."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import asyncpg  # type: ignore[import-untyped]  # it has no types of its own
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from domain.errors import (
    Busy,
    BylineError,
    Conflict,
    EmailTaken,
    ExternalIdTaken,
    ImportNotFound,
    InvalidToken,
    PostNotFound,
    SlugTaken,
    Unavailable,
    UsernameTaken,
    UserNotFound,
)

Refusals = Mapping[str, Callable[[str], BylineError]]
"""By name of the constraint: the error, made of the value that the constraint refused."""

REFUSALS: Refusals = {
    "uq_users_username": UsernameTaken,
    "uq_users_email": lambda _: EmailTaken(),
    "uq_accounts_owner_id": lambda _: Conflict("The user has an account."),
    "uq_posts_slug": SlugTaken,
    "uq_posts_external_id": lambda _: ExternalIdTaken(),
    "fk_posts_author_id": UserNotFound,
    "fk_accounts_owner_id": UserNotFound,
    "fk_sessions_user_id": UserNotFound,
    "fk_imports_created_by": UserNotFound,
    "fk_post_views_post_id": PostNotFound,
    "fk_refresh_tokens_session_id": lambda _: InvalidToken(),
    "uq_imports_idempotency_key": lambda _: Busy("Another request has this idempotency key."),
    "fk_imports_parent_id": ImportNotFound,
    "fk_import_errors_import_id": ImportNotFound,
    "fk_import_marks_import_id": ImportNotFound,
}


def _in_conflict() -> Busy:
    return Busy("Another transaction stood in the way.")


def _too_slow() -> Busy:
    return Busy("The database took too long.")


def _full() -> Busy:
    return Busy("The database has no connection free.")


def _away() -> Unavailable:
    return Unavailable("The database")


def _without_schema() -> Unavailable:
    return Unavailable("A table of Byline's")


_STATES: Mapping[str, Callable[[], BylineError]] = {
    "40001": _in_conflict,  # serialization failure
    "40P01": _in_conflict,  # deadlock
    "55P03": _in_conflict,  # lock timeout
    "57014": _too_slow,  # statement timeout
    "25P03": _too_slow,  # idle in a transaction
    "25P04": _too_slow,  # transaction timeout
    "53300": _full,
    "3D000": _away,  # no such database
    "42P01": _without_schema,  # no such table
    "25006": _away,  # a standby, read-only
    "57P01": _away,  # an administrator's command
    "57P02": _away,  # after a crash
    "57P03": _away,  # starting up or shutting down
    "57P05": _away,  # idle session
}
_CLASSES: Mapping[str, Callable[[], BylineError]] = {
    "08": _away,  # connection
    "28": _away,  # authorization
    "53": _away,  # resources
    "58": _away,  # the server's system
}

_VALUE = re.compile(r"\)=\((.*?)\)")


@contextmanager
def in_domain_terms(refusals: Refusals = REFUSALS) -> Iterator[None]:
    """Raises the domain's error for what the database refuses; `refusals` go before the general ones."""
    try:
        yield
    except Exception as error:
        known = domain_error(error, refusals)
        if known is None:
            raise
        raise known from error


def domain_error(error: Exception, refusals: Refusals = REFUSALS) -> BylineError | None:
    """What an error of SQLAlchemy or of asyncpg itself means; None where it is a mistake of ours."""
    if isinstance(error, NoConnectionFree):
        return _full()
    if isinstance(error, DBAPIError):
        lost = error.connection_invalidated
        return _of_driver(error.driver_exception, refusals) or (_away() if lost else None)
    return _of_driver(error, refusals)


def _of_driver(error: BaseException, refusals: Refusals) -> BylineError | None:
    if isinstance(error, asyncpg.PostgresError):
        make = _STATES.get(error.sqlstate) or _CLASSES.get(error.sqlstate[:2])
        return make() if make else _of_constraint(error, refusals)
    is_lost = isinstance(error, asyncpg.InterfaceError) and "closed" in str(error)
    return _away() if is_lost or isinstance(error, OSError) else None


def _of_constraint(error: asyncpg.PostgresError, refusals: Refusals) -> BylineError | None:
    name = error.constraint_name or ""
    make = refusals.get(name) or REFUSALS.get(name)
    if make is None:
        return None
    value = _VALUE.search(error.detail or "")
    return make(value[1] if value else "")
