"""Read pages from PostgreSQL: one statement each, and one more for a total or for users' posts."""

from infrastructure.database.pages.reader import SqlPages

__all__ = ["SqlPages"]
