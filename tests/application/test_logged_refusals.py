"""What is logged of rows that the database refuses: never what they hold."""

import traceback

import asyncpg  # type: ignore[import-untyped]  # it has no types of its own
import pytest
from sqlalchemy.exc import DBAPIError

from application.importing.refusals import speakable


def refusal() -> Exception:
    error: Exception = asyncpg.CheckViolationError("new row violates check")
    for name, value in (("constraint_name", "ck_users_role"), ("detail", "Failing row contains (secret).")):
        setattr(error, name, value)
    return error


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    with pytest.raises(type(error)) as caught:
        raise error from cause
    return caught.value


@pytest.mark.parametrize(
    "error",
    [
        raised(refusal()),
        raised(RuntimeError("secret"), refusal()),
        raised(DBAPIError("INSERT", {"password_hash": "secret"}, raised(RuntimeError("secret"), refusal()))),
    ],
    ids=["driver", "cause", "sqlalchemy"],
)
def test_of_a_refusal_its_kind_and_constraint_are_logged_and_where_it_was(error: Exception) -> None:
    logged = "".join(traceback.format_exception(speakable(error)))
    assert "secret" in "".join(traceback.format_exception(error))
    assert "secret" not in logged
    assert "CheckViolationError 23514 ck_users_role" in logged
    assert "in raised" in logged


def test_neither_are_the_words_of_one_behind_ours() -> None:
    error = raised(TypeError("ours"))
    error.__context__, error.__suppress_context__ = raised(refusal()), False
    assert "secret" in "".join(traceback.format_exception(error))
    assert "secret" not in "".join(traceback.format_exception(speakable(error)))


def test_an_error_that_is_no_drivers_is_logged_as_it_is() -> None:
    error = raised(TypeError("ours"))
    assert speakable(error) is error
