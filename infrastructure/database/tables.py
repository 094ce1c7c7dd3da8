"""The tables, as SQLAlchemy Core sees them. Every constraint and index has a name, since errors are told by it.

Identifiers and codes are compared byte by byte (collation C), so that their indexes are fast and do not depend on the
server's locale.
"""

from typing import Final

from sqlalchemy import (
    ARRAY,
    CHAR,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    Connection,
    DateTime,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    event,
    func,
)
from sqlalchemy.dialects.postgresql import JSON, JSONB
from sqlalchemy.types import TypeEngine

from domain.actors import Role
from domain.posts import ContentFormat, PostStatus, PostType

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

Code: Final[TypeEngine[str]] = Text(collation="C")
Instant: Final = DateTime(timezone=True)


def _one_of(column: str, codes: type[Role] | type[PostStatus] | type[PostType] | type[ContentFormat]) -> str:
    return f"{column} IN ({', '.join(repr(code.value) for code in codes)})"


users = Table(
    "users",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("username", Code, nullable=False),
    Column("email", Code),
    Column("password_hash", Text),
    Column("role", Code, nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("version", Integer, nullable=False),
    Column("origin", Uuid, comment="The import that made it."),
    CheckConstraint(_one_of("role", Role), name="role"),
)
Index("uq_users_username", func.lower(users.c.username), unique=True)
Index("uq_users_email", func.lower(users.c.email), unique=True)
Index("ix_users_newest", users.c.is_active, users.c.created_at, users.c.id)
Index(
    "ix_users_staff",
    users.c.role,
    users.c.is_active,
    users.c.created_at,
    users.c.id,
    postgresql_where=users.c.role != Role.AUTHOR.value,
)

profiles = Table(
    "profiles",
    metadata,
    Column("user_id", ForeignKey(users.c.id, ondelete="CASCADE"), primary_key=True),
    Column("display_name", Text, nullable=False),
    Column("bio", Text, nullable=False),
    Column("avatar_url", Text),
    Column("website", Text),
)

accounts = Table(
    "accounts",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("owner_id", ForeignKey(users.c.id, ondelete="RESTRICT"), nullable=False),
    Column("currency", CHAR(3), nullable=False),
    Column("balance", BigInteger, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("version", Integer, nullable=False),
    UniqueConstraint("owner_id", name="uq_accounts_owner_id"),
    CheckConstraint("balance >= 0", name="balance"),
)

entries = Table(
    "entries",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("account_id", ForeignKey(accounts.c.id, ondelete="RESTRICT"), nullable=False),
    Column("transfer_id", Uuid, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("created_at", Instant, nullable=False),
    CheckConstraint("amount <> 0", name="amount"),
)
Index("ix_entries_account", entries.c.account_id, entries.c.id)

# What the ledger says was once true stays said: a mistake is mended by an entry against it.
_APPEND_ONLY: Final = (
    """
    CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE restrict_violation USING MESSAGE = 'rows of ' || TG_TABLE_NAME || ' are never changed or deleted';
    END $$
    """,
    """
    CREATE TRIGGER tr_entries_append_only BEFORE UPDATE OR DELETE ON entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
)


@event.listens_for(entries, "after_create")
def _make_append_only(_table: Table, connection: Connection, **_options: object) -> None:
    for statement in _APPEND_ONLY:
        connection.exec_driver_sql(statement)


posts = Table(
    "posts",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("author_id", ForeignKey(users.c.id, ondelete="RESTRICT"), nullable=False),
    Column("slug", Code, nullable=False),
    Column("title", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("content_format", Code, nullable=False),
    Column("excerpt", Text),
    Column("tags", ARRAY(Text), nullable=False),
    Column("type", Code, nullable=False),
    Column("status", Code, nullable=False),
    Column("published_at", Instant),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("version", Integer, nullable=False),
    Column("source", Code),
    Column("external_id", Code),
    Column("origin", Uuid, comment="The import that made it."),
    Column(
        "listed_at",
        Instant,
        Computed("COALESCE(published_at, 'infinity'::timestamp with time zone)", persisted=True),
        nullable=False,
        comment="Where lists by published_at have it: a draft that was never published comes as the newest.",
    ),
    UniqueConstraint("slug", name="uq_posts_slug"),
    CheckConstraint(_one_of("content_format", ContentFormat), name="content_format"),
    CheckConstraint(_one_of("type", PostType), name="type"),
    CheckConstraint(_one_of("status", PostStatus), name="status"),
    CheckConstraint("status <> 'published' OR published_at IS NOT NULL", name="published_at"),
)
Index(
    "uq_posts_external_id",
    posts.c.source,
    posts.c.external_id,
    unique=True,
    postgresql_where=posts.c.external_id.is_not(None),
)
# See docs/decisions/0001-post-indexes.md: with status and type in front, any list is one to four walks of one of these.
Index("ix_posts_listed", posts.c.status, posts.c.type, posts.c.listed_at, posts.c.id)
Index("ix_posts_created", posts.c.status, posts.c.type, posts.c.created_at, posts.c.id)
Index("ix_posts_author_listed", posts.c.author_id, posts.c.status, posts.c.type, posts.c.listed_at, posts.c.id)
Index("ix_posts_author_created", posts.c.author_id, posts.c.status, posts.c.type, posts.c.created_at, posts.c.id)
Index("ix_posts_tags", posts.c.tags, postgresql_using="gin")


@event.listens_for(posts, "after_create")
def _tell_what_goes_together(_table: Table, connection: Connection, **_options: object) -> None:
    # A site's drafts may all be posts and its pages all be published: else the planner takes the two for unrelated.
    connection.exec_driver_sql("CREATE STATISTICS st_posts_status_type (mcv) ON status, type FROM posts")


post_views = Table(
    "post_views",
    metadata,
    Column("post_id", ForeignKey(posts.c.id, ondelete="CASCADE"), primary_key=True),
    Column("views", BigInteger, nullable=False),
    CheckConstraint("views > 0", name="views"),
    comment="Posts without a row have no views. In posts, an indexed counter would slow every update down.",
)
Index("ix_post_views_views", post_views.c.views, post_views.c.post_id)

view_batches = Table(
    "view_batches",
    metadata,
    Column("process", Uuid, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("counted_at", Instant, nullable=False),
    comment="The last batch of views of each process that was counted: one that comes again counts nothing.",
)
Index("ix_view_batches_counted_at", view_batches.c.counted_at)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", ForeignKey(users.c.id, ondelete="CASCADE"), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("revoked_at", Instant),
)
Index("ix_sessions_user", sessions.c.user_id)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("session_id", ForeignKey(sessions.c.id, ondelete="CASCADE"), nullable=False),
    Column("issued_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("used_at", Instant),
)
Index("ix_refresh_tokens_session", refresh_tokens.c.session_id, refresh_tokens.c.expires_at)

imports = Table(
    "imports",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("kind", Code, nullable=False),
    Column("format", Code, nullable=False),
    Column("blob_key", Text, nullable=False),
    Column("file_name", Text),
    Column("file_hash", Code, nullable=False),
    Column("bytes_total", BigInteger, nullable=False),
    Column("created_by", ForeignKey(users.c.id, ondelete="SET NULL")),
    Column("created_at", Instant, nullable=False),
    Column("state", Code, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("updated", BigInteger, nullable=False),
    Column("unchanged", BigInteger, nullable=False),
    Column("skipped", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
    Column("next_offset", BigInteger, nullable=False),
    Column("next_line", BigInteger, nullable=False),
    Column("started_at", Instant),
    Column("finished_at", Instant),
    Column("error", Text),
    Column("fence", Integer, nullable=False),
    Column("lease_until", Instant),
    Column("options", JSONB, nullable=False, comment="All but the kind."),
    Column("authors_created", BigInteger, nullable=False),
    Column("reasons", JSONB, nullable=False, comment="Why rows were skipped, and how many."),
    Column("bytes_read", BigInteger, nullable=False),
    Column("caution_chunk_rows", Integer, nullable=False),
    Column("caution_rows", Integer, nullable=False),
    Column("caution_deaths", Integer, nullable=False),
    Column("caution_began", Boolean, nullable=False, comment="Somebody is judging or writing the next rows."),
    Column("caution_early_deaths", Integer, nullable=False, comment="Of workers that were not at a row."),
    Column("busy_s", Double, nullable=False),
    Column("progressed_at", Instant),
    Column("forgiven", BigInteger, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("parent_id", Uuid),
    Column("idempotency_key", Text),
    ForeignKeyConstraint(["parent_id"], ["imports.id"], ondelete="SET NULL"),
)
Index("ix_imports_open", imports.c.id, postgresql_where=imports.c.state.in_(["queued", "running", "cancelling"]))
Index("ix_imports_created_by", imports.c.created_by)
Index("ix_imports_state", imports.c.state, imports.c.id)
Index("ix_imports_parent", imports.c.parent_id, imports.c.id, postgresql_where=imports.c.parent_id.is_not(None))
Index(
    "uq_imports_idempotency_key",
    imports.c.created_by,
    imports.c.idempotency_key,
    unique=True,
    postgresql_where=imports.c.idempotency_key.is_not(None),
)

import_errors = Table(
    "import_errors",
    metadata,
    Column("import_id", Uuid, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("line", BigInteger, nullable=False),
    Column("field", Text),
    Column("code", Text, nullable=False),
    Column("message", Text, nullable=False),
    # As it came: jsonb would refuse a NUL character or half of a surrogate pair, which a bad row may well hold.
    Column("row", JSON),
    Column("place", BigInteger, nullable=False),
    ForeignKeyConstraint(["import_id"], [imports.c.id], ondelete="CASCADE"),
)
Index("ix_import_errors_place", import_errors.c.import_id, import_errors.c.place)

import_marks = Table(
    "import_marks",
    metadata,
    Column("import_id", Uuid, primary_key=True),
    Column("mark", LargeBinary, primary_key=True),
    ForeignKeyConstraint(["import_id"], [imports.c.id], ondelete="CASCADE"),
    comment="What a job has met, or would have made, that its next chunks must know.",
)

warmings = Table(
    "warmings",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("reason", Code, nullable=False),
    Column("requested_at", Instant, nullable=False),
    Column("state", Code, nullable=False),
    Column("claimed_until", Instant),
    Column("finished_at", Instant),
    Column("report", JSONB),
)
Index("ix_warmings_open", warmings.c.id, postgresql_where=warmings.c.state.in_(["queued", "running"]))

outbox = Table(
    "outbox",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("topic", Code, nullable=False),
    Column("body", JSONB, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", Instant, nullable=False),
)
Index("ix_outbox_due", outbox.c.due_at, outbox.c.id)
