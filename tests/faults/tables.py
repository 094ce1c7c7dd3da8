"""What imports leave in a database, row for row, to be compared with what others left in another.

Left out is only what cannot be told beforehand: the ids that workers make for accounts and authors (their usernames
stand for them), when and by whom a job was worked at, and what it remembers, which is swept at any time. Posts have
the ids that their job and place give them.
"""

from collections import Counter
from collections.abc import Mapping

import asyncpg  # type: ignore[import-untyped]  # it has no types of its own

Tables = Mapping[str, list[str]]
"""By name, the rows in order, each as text."""

_SHOWN = 3
_STATEMENTS: Mapping[str, tuple[str, frozenset[str]]] = {
    "posts": (
        "SELECT p.*, username FROM posts p JOIN users u ON u.id = author_id ORDER BY p.id",
        frozenset({"author_id"}),
    ),
    "post_views": ("SELECT * FROM post_views ORDER BY post_id", frozenset()),
    "users": (
        "SELECT *, password_hash IS NOT NULL AS has_password FROM users ORDER BY username",
        frozenset({"id", "password_hash"}),
    ),
    "profiles": (
        "SELECT username, profiles.* FROM profiles JOIN users ON users.id = user_id ORDER BY username",
        frozenset({"user_id"}),
    ),
    "accounts": (
        "SELECT username, accounts.* FROM accounts JOIN users ON users.id = owner_id ORDER BY username",
        frozenset({"id", "owner_id"}),
    ),
    "entries": ("SELECT * FROM entries ORDER BY id", frozenset()),
    "imports": (
        "SELECT * FROM imports ORDER BY id",
        frozenset(
            {
                *("started_at", "finished_at", "progressed_at", "busy_s"),
                *("fence", "lease_until", "revision"),
                *("caution_chunk_rows", "caution_rows", "caution_deaths", "caution_began", "caution_early_deaths"),
            }
        ),
    ),
    # As text: jsonb would refuse what a bad row may hold.
    "import_errors": (
        "SELECT import_id, number, line, field, code, message, row::text, place FROM import_errors ORDER BY 1, 2",
        frozenset(),
    ),
}


async def tables(url: str) -> Tables:
    connection = await asyncpg.connect(url)
    try:
        return {
            name: [
                str({column: value for column, value in row.items() if column not in left_out})
                for row in await connection.fetch(statement)
            ]
            for name, (statement, left_out) in _STATEMENTS.items()
        }
    finally:
        await connection.close()


def assert_equal(found: Tables, expected: Tables) -> None:
    """Tells the first rows that differ."""
    told = []
    for name, rows in expected.items():
        too_many = list((Counter(found[name]) - Counter(rows)).elements())
        missing = list((Counter(rows) - Counter(found[name])).elements())
        told += [f"{name}: there are {len(too_many)} such as", *too_many[:_SHOWN]] if too_many else []
        told += [f"{name}: missing are {len(missing)} such as", *missing[:_SHOWN]] if missing else []
    assert not told, "\n".join(told)
    assert found == expected, "the order of rows"
