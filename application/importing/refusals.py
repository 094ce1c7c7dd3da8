"""What may be logged of an error: a database's words hold the row that it refused, and with it what is secret."""

from collections.abc import Iterator


class RefusedByDatabase(Exception):
    """Stands for a driver's error. `str` says its kind, its code and its constraint, and nothing of the row."""


def speakable(error: BaseException) -> BaseException:
    """Itself, unless a driver's error is behind it; else what stands for that, raised where it was."""
    reasons = list(_reasons(error, set()))
    refusal = next((each for each in reasons if getattr(each, "sqlstate", None) or hasattr(each, "orig")), None)
    if refusal is None:
        return error
    code, constraint = (_known(reasons, name) for name in ("sqlstate", "constraint_name"))
    words = [type(refusal).__name__, *(word for word in (code, constraint) if word)]
    return RefusedByDatabase(" ".join(words)).with_traceback(error.__traceback__)


def _reasons(error: BaseException, known: set[int]) -> Iterator[BaseException]:
    """The innermost first."""
    known.add(id(error))
    for reason in (getattr(error, "orig", None), error.__cause__, error.__context__):
        if isinstance(reason, BaseException) and id(reason) not in known:
            yield from _reasons(reason, known)
    yield error


def _known(reasons: list[BaseException], name: str) -> str | None:
    found = (getattr(each, name, None) for each in reasons)
    return next((each for each in found if isinstance(each, str)), None)
