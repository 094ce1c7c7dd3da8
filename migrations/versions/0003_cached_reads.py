"""Cached reads: which views were counted, what was warmed; and whether a cautious import is at its next rows."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

INSTANT = sa.DateTime(timezone=True)
CODE = sa.Text(collation="C")


def upgrade() -> None:
    op.add_column(
        "imports",
        sa.Column(
            "caution_began",
            sa.Boolean,
            nullable=False,
            server_default=sa.false(),
            comment="Somebody is judging or writing the next rows.",
        ),
    )
    op.alter_column("imports", "caution_began", server_default=None)
    op.add_column(
        "imports",
        sa.Column(
            "caution_early_deaths",
            sa.Integer,
            nullable=False,
            server_default="0",
            comment="Of workers that were not at a row.",
        ),
    )
    op.alter_column("imports", "caution_early_deaths", server_default=None)
    op.create_table(
        "view_batches",
        sa.Column("process", sa.Uuid, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("counted_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("process", name="pk_view_batches"),
        comment="The last batch of views of each process that was counted: one that comes again counts nothing.",
    )
    op.create_index("ix_view_batches_counted_at", "view_batches", ["counted_at"])
    op.create_table(
        "warmings",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("reason", CODE, nullable=False),
        sa.Column("requested_at", INSTANT, nullable=False),
        sa.Column("state", CODE, nullable=False),
        sa.Column("claimed_until", INSTANT),
        sa.Column("finished_at", INSTANT),
        sa.Column("report", postgresql.JSONB),
        sa.PrimaryKeyConstraint("id", name="pk_warmings"),
    )
    op.create_index("ix_warmings_open", "warmings", ["id"], postgresql_where=sa.text("state IN ('queued', 'running')"))


def downgrade() -> None:
    op.drop_table("warmings")
    op.drop_table("view_batches")
    op.drop_column("imports", "caution_early_deaths")
    op.drop_column("imports", "caution_began")
