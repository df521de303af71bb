"""intake's first tables: events, demands, what became of them, keys."""

import sqlalchemy as sa
from alembic import op

from shared.database.types import Identifier, Json, Key, UtcDateTime

revision = "intake_0001"
down_revision = None
branch_labels = ("intake",)
depends_on = None

SCHEMA = "intake"


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column("source", Key, nullable=False),
        sa.Column("id", Key, nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("property", sa.Text(), nullable=False),
        sa.Column("time", UtcDateTime(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("demand", Identifier),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("accepted_at", UtcDateTime(), nullable=False),
        sa.Column("accepted_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("source", "id", name="pk_events"),
        schema=SCHEMA,
    )
    op.create_table(
        "demands",
        sa.Column("id", Identifier, nullable=False),
        sa.Column("property", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("source", Key, nullable=False),
        sa.Column("event", Key, nullable=False),
        sa.Column("reference", sa.Text()),
        sa.Column("accepted_by", sa.Text(), nullable=False),
        sa.Column("raised_at", UtcDateTime(), nullable=False),
        sa.Column("accepted_at", UtcDateTime(), nullable=False),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.Column("opened_at", UtcDateTime()),
        sa.PrimaryKeyConstraint("id", name="pk_demands"),
        schema=SCHEMA,
    )
    unopened = sa.text("opened_at IS NULL")
    op.create_index("ix_demands_unopened", "demands", ["asked_at"], schema=SCHEMA,
                    postgresql_where=unopened, sqlite_where=unopened)  # fmt: skip
    op.create_table(
        "case_states",
        sa.Column("case", Identifier, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.Column("deadlines", Json, nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("case", name="pk_case_states"),
        schema=SCHEMA,
    )
    op.create_table(
        "api_keys",
        sa.Column("id", Identifier, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("roles", Json, nullable=False),
        sa.Column("properties", Json, nullable=False),
        sa.Column("person", sa.Text()),
        sa.Column("issued_at", UtcDateTime(), nullable=False),
        sa.Column("issued_by", sa.Text(), nullable=False),
        sa.Column("revoked_at", UtcDateTime()),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        schema=SCHEMA,
    )


def downgrade() -> None:
    for table in ("api_keys", "case_states", "demands", "events"):
        op.drop_table(table, schema=SCHEMA)
