"""The mechanism's tables: outbox, inbox, dead letters, revoked keys."""

import sqlalchemy as sa
from alembic import context, op

from shared.database.types import Json, Key, UtcDateTime

revision = "mechanism_0001"
down_revision = None
branch_labels = ("mechanism",)
depends_on = None


def _schema() -> str:
    return str(context.config.attributes["service"])


def upgrade() -> None:
    schema = _schema()
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), sa.Identity(always=False)),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("recorded_at", UtcDateTime(), nullable=False),
        sa.Column("available_at", UtcDateTime(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("sent_at", UtcDateTime()),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        schema=schema,
    )
    unsent, sent = sa.text("sent_at IS NULL"), sa.text("sent_at IS NOT NULL")
    op.create_index("ix_outbox_unsent", "outbox", ["id"], schema=schema,
                    postgresql_where=unsent, sqlite_where=unsent)  # fmt: skip
    op.create_index("ix_outbox_sent_at", "outbox", ["sent_at"], schema=schema,
                    postgresql_where=sent, sqlite_where=sent)  # fmt: skip
    op.create_table(
        "inbox",
        sa.Column("consumer", Key, nullable=False),
        sa.Column("source", Key, nullable=False),
        sa.Column("id", Key, nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("consumer", "source", "id", name="pk_inbox"),
        schema=schema,
    )
    op.create_index("ix_inbox_received_at", "inbox", ["received_at"], schema=schema)
    op.create_table(
        "dead_letters",
        sa.Column("id", Key, nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("headers", Json, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("died_at", UtcDateTime(), nullable=False),
        sa.Column("replayed_at", UtcDateTime()),
        sa.PrimaryKeyConstraint("id", name="pk_dead_letters"),
        schema=schema,
    )
    op.create_index("ix_dead_letters_queue", "dead_letters", ["queue", "died_at"], schema=schema)
    op.create_table(
        "revoked_keys",
        sa.Column("key", Key, nullable=False),
        sa.Column("revoked_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_revoked_keys"),
        schema=schema,
    )


def downgrade() -> None:
    for table in ("revoked_keys", "dead_letters", "inbox", "outbox"):
        op.drop_table(table, schema=_schema())
