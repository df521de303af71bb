"""Links say until when they open their forms; keys of requests can be found by their age."""

import sqlalchemy as sa
from alembic import op

from shared.database.types import Key, UtcDateTime

revision = "survey_0002"
down_revision = "survey_0001"
branch_labels = None
depends_on = None

SCHEMA = "survey"
KEYED = sa.text("idempotency_key IS NOT NULL")


def _table(name: str, *columns: sa.Column[object]) -> sa.Table:
    """Only a whole table's schema is translated for SQLite."""
    return sa.Table(name, sa.MetaData(), *columns, schema=SCHEMA)


links = _table("form_links", sa.Column("followup_id", Key), sa.Column("expires_at", UtcDateTime))
followups = _table("followups", sa.Column("id", Key), sa.Column("form_expires_at", UtcDateTime))


def upgrade() -> None:
    op.add_column("form_links", sa.Column("expires_at", UtcDateTime()), schema=_schema())
    expiry = sa.select(followups.c.form_expires_at).where(followups.c.id == links.c.followup_id)
    op.execute(sa.update(links).values(expires_at=expiry.scalar_subquery()))
    op.execute(sa.delete(links).where(links.c.expires_at.is_(None)))
    with op.batch_alter_table("form_links", schema=_schema()) as batch:
        batch.alter_column("expires_at", existing_type=sa.DateTime(), nullable=False)
    op.create_index("ix_form_links_expires_at", "form_links", ["expires_at"], schema=SCHEMA)
    op.create_index("ix_attempts_keyed", "attempts", ["recorded_at"], schema=SCHEMA,
                    postgresql_where=KEYED, sqlite_where=KEYED)  # fmt: skip


def downgrade() -> None:
    op.drop_index("ix_attempts_keyed", "attempts", schema=SCHEMA)
    op.drop_index("ix_form_links_expires_at", "form_links", schema=SCHEMA)
    op.drop_column("form_links", "expires_at", schema=_schema())


def _schema() -> str | None:
    """Of a statement that no schema is translated in: SQLite has a file for each service instead."""
    return SCHEMA if op.get_bind().dialect.name == "postgresql" else None
