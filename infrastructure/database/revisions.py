"""Where the migrations lie, and the newest of them. For the many processes that only compare it: Alembic itself takes
10 MB in each."""

from functools import cache
from importlib.resources import files

MIGRATIONS = files("migrations")


@cache
def newest_revision() -> str:
    """Files of revisions begin with their number; there is one line of them."""
    names = (path.name for path in MIGRATIONS.joinpath("versions").iterdir() if path.name[0].isdecimal())
    return max(names).partition("_")[0]
