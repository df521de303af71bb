"""The first tables: follow-ups, attempts, links to forms."""

import sqlalchemy as sa
from alembic import context, op

from shared.database.types import Json, Key, UtcDateTime

revision = "survey_0001"
down_revision = None
branch_labels = ("survey",)
depends_on = None


def _schema() -> str:
    return str(context.config.attributes["service"])


def upgrade() -> None:
    schema = _schema()
    op.create_table(
        "followups",
        sa.Column("id", Key, nullable=False),
        sa.Column("case_id", Key, nullable=False),
        sa.Column("case_version", sa.Integer(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("property", Key, nullable=False),
        sa.Column("kind", Key, nullable=False),
        sa.Column("line", Key, nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("workers", Json, nullable=False),
        sa.Column("language", sa.Text()),
        sa.Column("form_expires_at", UtcDateTime(), nullable=False),
        sa.Column("state", Key, server_default="due", nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_followups"),
        schema=schema,
    )
    op.create_index("uq_followups_case_id", "followups", ["case_id"], unique=True, schema=schema)
    op.create_index("ix_followups_due_at", "followups", ["due_at", "id"], schema=schema)
    due = sa.text("state = 'due'")
    op.create_index("ix_followups_open", "followups", ["property", "due_at", "id"], schema=schema,
                    postgresql_where=due, sqlite_where=due)  # fmt: skip
    op.create_table(
        "attempts",
        sa.Column("followup_id", Key, nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("outcome", Key, nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("recorded_at", UtcDateTime(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("recorded_by", sa.Text(), nullable=False),
        sa.Column("answer", Json),
        sa.Column("state", Key, nullable=False),
        sa.Column("result", Key),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("caller", Key),
        sa.Column("idempotency_key", Key),
        sa.Column("body_hash", sa.Text()),
        sa.PrimaryKeyConstraint("followup_id", "seq", name="pk_attempts"),
        schema=schema,
    )
    keyed = sa.text("idempotency_key IS NOT NULL")
    request = ["caller", "idempotency_key"]
    op.create_index("uq_attempts_caller", "attempts", request, unique=True, schema=schema,
                    postgresql_where=keyed, sqlite_where=keyed)  # fmt: skip
    op.create_table(
        "form_links",
        sa.Column("token_hash", Key, nullable=False),
        sa.Column("followup_id", Key, nullable=False),
        sa.PrimaryKeyConstraint("token_hash", name="pk_form_links"),
        schema=schema,
    )


def downgrade() -> None:
    for table in ("form_links", "attempts", "followups"):
        op.drop_table(table, schema=_schema())
