"""Whole imports: options, progress, cancels, retries; where failed rows stand, and what a job has met."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

INSTANT = sa.DateTime(timezone=True)

# What every import did before there was a choice.
OPTIONS = (
    '{"on_conflict": "skip", "dry_run": false, "create_authors": false, "default_author": null, "max_errors": null,'
    ' "publish": "keep", "columns": {}}'
)


def upgrade() -> None:
    _imports()
    _errors()
    op.create_table(
        "import_marks",
        sa.Column("import_id", sa.Uuid, nullable=False),
        sa.Column("mark", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("import_id", "mark", name="pk_import_marks"),
        sa.ForeignKeyConstraint(["import_id"], ["imports.id"], name="fk_import_marks_import_id", ondelete="CASCADE"),
        comment="What a job has met, or would have made, that its next chunks must know.",
    )


def downgrade() -> None:
    """A job that this revision's predecessor cannot do does not become another one: it fails, and where its format is
    unknown there, it goes."""
    op.drop_table("import_marks")
    op.drop_index("ix_import_errors_place", "import_errors")
    op.drop_column("import_errors", "place")
    op.execute("DELETE FROM imports WHERE format NOT IN ('csv', 'ndjson')")
    failed = sa.text(
        """
        UPDATE imports SET state = 'failed', lease_until = NULL, finished_at = COALESCE(finished_at, now()),
               error = 'It was cancelled, or asks for what this version of Byline cannot do.'
        WHERE state IN ('uploaded', 'cancelling', 'cancelled')
           OR state IN ('queued', 'running') AND (options <> CAST(:options AS jsonb) OR parent_id IS NOT NULL)
        """
    )
    op.execute(failed.bindparams(options=OPTIONS))
    for index in ("uq_imports_idempotency_key", "ix_imports_parent", "ix_imports_state", "ix_imports_open"):
        op.drop_index(index, "imports")
    op.drop_constraint("fk_imports_parent_id", "imports")
    for column in (
        "options",
        "authors_created",
        "reasons",
        "bytes_read",
        "caution_chunk_rows",
        "caution_rows",
        "caution_deaths",
        "busy_s",
        "progressed_at",
        "forgiven",
        "revision",
        "parent_id",
        "idempotency_key",
    ):
        op.drop_column("imports", column)
    _add("imports", "attempts", sa.Integer(), "0")
    op.create_index("ix_imports_open", "imports", ["id"], postgresql_where=sa.text("state IN ('queued', 'running')"))


def _imports() -> None:
    _add("imports", "options", postgresql.JSONB(), OPTIONS, comment="All but the kind.")
    _add("imports", "authors_created", sa.BigInteger(), "0")
    _add("imports", "reasons", postgresql.JSONB(), "{}", comment="Why rows were skipped, and how many.")
    _add("imports", "bytes_read", sa.BigInteger(), "0")
    for name in ("caution_chunk_rows", "caution_rows", "caution_deaths"):
        _add("imports", name, sa.Integer(), "0")
    _add("imports", "busy_s", sa.Double(), "0")
    op.add_column("imports", sa.Column("progressed_at", INSTANT))
    _add("imports", "forgiven", sa.BigInteger(), "0")
    _add("imports", "revision", sa.Integer(), "1")
    op.add_column("imports", sa.Column("parent_id", sa.Uuid))
    op.create_foreign_key("fk_imports_parent_id", "imports", "imports", ["parent_id"], ["id"], ondelete="SET NULL")
    op.add_column("imports", sa.Column("idempotency_key", sa.Text))
    # Files were neither compressed nor decoded: an offset was one of the stored file. How long a job waited in between
    # its claims was not written down, so the time that it took is as near as can be told.
    op.execute(
        """
        UPDATE imports SET
            bytes_read = LEAST(next_offset, bytes_total),
            busy_s = COALESCE(GREATEST(extract(epoch FROM finished_at - started_at), 0), 0),
            progressed_at = finished_at
        """
    )
    op.drop_column("imports", "attempts")
    op.drop_index("ix_imports_open", "imports")
    op.create_index(
        "ix_imports_open",
        "imports",
        ["id"],
        postgresql_where=sa.text("state IN ('queued', 'running', 'cancelling')"),
    )
    op.create_index("ix_imports_state", "imports", ["state", "id"])
    op.create_index(
        "ix_imports_parent", "imports", ["parent_id", "id"], postgresql_where=sa.text("parent_id IS NOT NULL")
    )
    op.create_index(
        "uq_imports_idempotency_key",
        "imports",
        ["created_by", "idempotency_key"],
        unique=True,
        postgresql_where=sa.text("idempotency_key IS NOT NULL"),
    )


def _errors() -> None:
    op.add_column("import_errors", sa.Column("place", sa.BigInteger))
    # Until now every record began a line of its own.
    op.execute("UPDATE import_errors SET place = line")
    op.alter_column("import_errors", "place", nullable=False)
    op.create_index("ix_import_errors_place", "import_errors", ["import_id", "place"])


def _add(table: str, name: str, kind: TypeEngine[Any], value: str, *, comment: str | None = None) -> None:
    """NOT NULL, with `value` in the rows that are there."""
    op.add_column(table, sa.Column(name, kind, nullable=False, server_default=value, comment=comment))
    op.alter_column(table, name, server_default=None)
