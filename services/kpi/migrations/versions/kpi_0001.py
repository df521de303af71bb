"""The first tables: facts, cases, items, standings, revisions."""

import sqlalchemy as sa
from alembic import context, op

from shared.database.types import Key

revision = "kpi_0001"
down_revision = None
branch_labels = ("kpi",)
depends_on = None


def _schema() -> str:
    return str(context.config.attributes["service"])


def upgrade() -> None:
    schema = _schema()
    op.create_table(
        "facts",
        sa.Column("source", Key, nullable=False),
        sa.Column("id", Key, nullable=False),
        sa.Column("property", Key, nullable=False),
        sa.Column("kind", Key, nullable=False),
        sa.Column("thing", Key, nullable=False),
        sa.Column("bill", Key),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("source", "id", name="pk_facts"),
        schema=schema,
    )
    op.create_index("ix_facts_thing", "facts", ["property", "kind", "thing"], schema=schema)
    paid = sa.text("bill IS NOT NULL")
    op.create_index("ix_facts_bill", "facts", ["property", "bill"], schema=schema,
                    postgresql_where=paid, sqlite_where=paid)  # fmt: skip
    op.create_table(
        "cases",
        sa.Column("property", Key, nullable=False),
        sa.Column("case_id", Key, nullable=False),
        sa.Column("number", Key, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("property", "case_id", name="pk_cases"),
        schema=schema,
    )
    op.create_table(
        "items",
        sa.Column("property", Key, nullable=False),
        sa.Column("kind", Key, nullable=False),
        sa.Column("thing", Key, nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("family", Key, nullable=False),
        sa.Column("counted_at", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("weight", sa.BigInteger(), nullable=False),
        sa.Column("good", sa.BigInteger(), nullable=False),
        sa.Column("case_id", Key, nullable=False),
        sa.PrimaryKeyConstraint("property", "kind", "thing", "seq", name="pk_items"),
        schema=schema,
    )
    covering = ["property", "family", "counted_at", "since", "until", "weight", "good"]
    op.create_index("ix_items_counted", "items", covering, schema=schema)
    op.create_table(
        "standings",
        sa.Column("property", Key, nullable=False),
        sa.Column("kpi", Key, nullable=False),
        sa.Column("met", sa.Boolean(), nullable=False),
        sa.Column("as_of", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("property", "kpi", name="pk_standings"),
        schema=schema,
    )
    op.create_table(
        "revisions",
        sa.Column("property", Key, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("property", name="pk_revisions"),
        schema=schema,
    )


def downgrade() -> None:
    for table in ("revisions", "standings", "items", "cases", "facts"):
        op.drop_table(table, schema=_schema())
