"""Users, posts, accounts, sessions, imports and the outbox."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

CODE = sa.Text(collation="C")
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    _users()
    _accounts()
    _posts()
    _sessions()
    _imports()
    op.create_table(
        "outbox",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("topic", CODE, nullable=False),
        sa.Column("body", postgresql.JSONB, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
    )
    op.create_index("ix_outbox_due", "outbox", ["due_at", "id"])


def downgrade() -> None:
    for table in (
        "outbox",
        "import_errors",
        "imports",
        "refresh_tokens",
        "sessions",
        "post_views",
        "posts",
        "entries",
        "accounts",
        "profiles",
        "users",
    ):
        op.drop_table(table)
    op.execute("DROP FUNCTION refuse_change()")


def _users() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("username", CODE, nullable=False),
        sa.Column("email", CODE),
        sa.Column("password_hash", sa.Text),
        sa.Column("role", CODE, nullable=False),
        sa.Column("is_active", sa.Boolean, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("origin", sa.Uuid, comment="The import that made it."),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.CheckConstraint("role IN ('author', 'operator', 'admin')", name=op.f("ck_users_role")),
    )
    op.create_index("uq_users_username", "users", [sa.text("lower(username)")], unique=True)
    op.create_index("uq_users_email", "users", [sa.text("lower(email)")], unique=True)
    op.create_index("ix_users_newest", "users", ["is_active", "created_at", "id"])
    op.create_index(
        "ix_users_staff",
        "users",
        ["role", "is_active", "created_at", "id"],
        postgresql_where=sa.text("role <> 'author'"),
    )
    op.create_table(
        "profiles",
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("display_name", sa.Text, nullable=False),
        sa.Column("bio", sa.Text, nullable=False),
        sa.Column("avatar_url", sa.Text),
        sa.Column("website", sa.Text),
        sa.PrimaryKeyConstraint("user_id", name="pk_profiles"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_profiles_user_id", ondelete="CASCADE"),
    )


def _accounts() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("owner_id", sa.Uuid, nullable=False),
        sa.Column("currency", sa.CHAR(3), nullable=False),
        sa.Column("balance", sa.BigInteger, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_accounts"),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name="fk_accounts_owner_id", ondelete="RESTRICT"),
        sa.UniqueConstraint("owner_id", name="uq_accounts_owner_id"),
        sa.CheckConstraint("balance >= 0", name=op.f("ck_accounts_balance")),
    )
    op.create_table(
        "entries",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("account_id", sa.Uuid, nullable=False),
        sa.Column("transfer_id", sa.Uuid, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_entries"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_entries_account_id", ondelete="RESTRICT"),
        sa.CheckConstraint("amount <> 0", name=op.f("ck_entries_amount")),
    )
    op.create_index("ix_entries_account", "entries", ["account_id", "id"])
    op.execute(
        """
        CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE restrict_violation USING MESSAGE = 'rows of ' || TG_TABLE_NAME || ' are never changed or deleted';
        END $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER tr_entries_append_only BEFORE UPDATE OR DELETE ON entries
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
        """
    )


def _posts() -> None:
    op.create_table(
        "posts",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("author_id", sa.Uuid, nullable=False),
        sa.Column("slug", CODE, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("content_format", CODE, nullable=False),
        sa.Column("excerpt", sa.Text),
        sa.Column("tags", sa.ARRAY(sa.Text), nullable=False),
        sa.Column("type", CODE, nullable=False),
        sa.Column("status", CODE, nullable=False),
        sa.Column("published_at", INSTANT),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("source", CODE),
        sa.Column("external_id", CODE),
        sa.Column("origin", sa.Uuid, comment="The import that made it."),
        sa.Column(
            "listed_at",
            INSTANT,
            sa.Computed("COALESCE(published_at, 'infinity'::timestamp with time zone)", persisted=True),
            nullable=False,
            comment="Where lists by published_at have it: a draft that was never published comes as the newest.",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_posts"),
        sa.ForeignKeyConstraint(["author_id"], ["users.id"], name="fk_posts_author_id", ondelete="RESTRICT"),
        sa.UniqueConstraint("slug", name="uq_posts_slug"),
        sa.CheckConstraint("content_format IN ('markdown', 'html')", name=op.f("ck_posts_content_format")),
        sa.CheckConstraint("type IN ('post', 'page')", name=op.f("ck_posts_type")),
        sa.CheckConstraint("status IN ('draft', 'published')", name=op.f("ck_posts_status")),
        sa.CheckConstraint("status <> 'published' OR published_at IS NOT NULL", name=op.f("ck_posts_published_at")),
    )
    op.create_index(
        "uq_posts_external_id",
        "posts",
        ["source", "external_id"],
        unique=True,
        postgresql_where=sa.text("external_id IS NOT NULL"),
    )
    op.create_index("ix_posts_listed", "posts", ["status", "type", "listed_at", "id"])
    op.create_index("ix_posts_created", "posts", ["status", "type", "created_at", "id"])
    op.create_index("ix_posts_author_listed", "posts", ["author_id", "status", "type", "listed_at", "id"])
    op.create_index("ix_posts_author_created", "posts", ["author_id", "status", "type", "created_at", "id"])
    op.create_index("ix_posts_tags", "posts", ["tags"], postgresql_using="gin")
    op.execute("CREATE STATISTICS st_posts_status_type (mcv) ON status, type FROM posts")
    op.create_table(
        "post_views",
        sa.Column("post_id", sa.Uuid, nullable=False),
        sa.Column("views", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("post_id", name="pk_post_views"),
        sa.ForeignKeyConstraint(["post_id"], ["posts.id"], name="fk_post_views_post_id", ondelete="CASCADE"),
        sa.CheckConstraint("views > 0", name=op.f("ck_post_views_views")),
        comment="Posts without a row have no views. In posts, an indexed counter would slow every update down.",
    )
    op.create_index("ix_post_views_views", "post_views", ["views", "post_id"])


def _sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("revoked_at", INSTANT),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_sessions_user_id", ondelete="CASCADE"),
    )
    op.create_index("ix_sessions_user", "sessions", ["user_id"])
    op.create_table(
        "refresh_tokens",
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("session_id", sa.Uuid, nullable=False),
        sa.Column("issued_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("used_at", INSTANT),
        sa.PrimaryKeyConstraint("digest", name="pk_refresh_tokens"),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name="fk_refresh_tokens_session_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_refresh_tokens_session", "refresh_tokens", ["session_id", "expires_at"])


def _imports() -> None:
    op.create_table(
        "imports",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("kind", CODE, nullable=False),
        sa.Column("format", CODE, nullable=False),
        sa.Column("blob_key", sa.Text, nullable=False),
        sa.Column("file_name", sa.Text),
        sa.Column("file_hash", CODE, nullable=False),
        sa.Column("bytes_total", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.Uuid),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("state", CODE, nullable=False),
        *(
            sa.Column(name, sa.BigInteger, nullable=False)
            for name in ("created", "updated", "unchanged", "skipped", "failed", "next_offset", "next_line")
        ),
        sa.Column("started_at", INSTANT),
        sa.Column("finished_at", INSTANT),
        sa.Column("error", sa.Text),
        sa.Column("fence", sa.Integer, nullable=False),
        sa.Column("lease_until", INSTANT),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_imports"),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name="fk_imports_created_by", ondelete="SET NULL"),
    )
    op.create_index("ix_imports_open", "imports", ["id"], postgresql_where=sa.text("state IN ('queued', 'running')"))
    op.create_index("ix_imports_created_by", "imports", ["created_by"])
    op.create_table(
        "import_errors",
        sa.Column("import_id", sa.Uuid, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("line", sa.BigInteger, nullable=False),
        sa.Column("field", sa.Text),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("row", postgresql.JSON),
        sa.PrimaryKeyConstraint("import_id", "number", name="pk_import_errors"),
        sa.ForeignKeyConstraint(["import_id"], ["imports.id"], name="fk_import_errors_import_id", ondelete="CASCADE"),
    )
