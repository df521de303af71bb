"""An accepted event's row is also what is published of it, and says what may be erased."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from services.intake.operations.publication import make_outgoing
from services.intake.queries import StoredEvent
from shared.database.types import Identifier, Key, UtcDateTime
from shared.messaging.outbox import next_position

revision = "intake_0003"
down_revision = "intake_0002"
branch_labels = None
depends_on = None

SCHEMA = "intake"
AWAITED = sa.text("case_awaited_since IS NOT NULL")
REPUBLISHED = sa.text("republish_at IS NOT NULL")
PUBLISHABLE = sa.text("xid IS NOT NULL")
ERASED, NOT_ERASED = sa.text("data IS NULL"), sa.text("data IS NOT NULL")
NEW_INDEXES = {
    "ix_events_republish_at": ("republish_at", REPUBLISHED),
    "ix_events_xid": ("xid", PUBLISHABLE),
    "ix_events_to_erase": ("accepted_at", NOT_ERASED),
    "ix_events_to_delete": ("accepted_at", ERASED),
}


def _table(name: str, *columns: sa.Column[Any]) -> sa.Table:
    """Only a whole table's schema is translated for SQLite."""
    return sa.Table(name, sa.MetaData(), *columns, schema=SCHEMA)


EVENTS = _table(
    "events",
    sa.Column("source", Key),
    sa.Column("id", Key),
    sa.Column("type", sa.Text),
    sa.Column("time", UtcDateTime),
    sa.Column("demand", Identifier),
    sa.Column("data", sa.LargeBinary),
    sa.Column("accepted_at", UtcDateTime),
    sa.Column("xid", sa.BigInteger),
    sa.Column("trace", sa.Text),
    sa.Column("republish_at", UtcDateTime),
)
UNSENT = _table("unsent", sa.Column("xid", sa.BigInteger))
OUTBOX = _table(
    "outbox",
    sa.Column("xid", sa.BigInteger),
    sa.Column("position", sa.BigInteger),
    sa.Column("type", sa.Text),
    sa.Column("body", sa.LargeBinary),
    sa.Column("recorded_at", UtcDateTime),
)


def upgrade() -> None:
    """What is there was published through the outbox. Demands without a case are published once more."""
    op.drop_index("ix_events_case_awaited_since", "events", schema=SCHEMA)
    with op.batch_alter_table("events", schema=_schema()) as events:
        events.add_column(sa.Column("xid", sa.BigInteger()))
        events.add_column(sa.Column("trace", sa.Text()))
        events.alter_column("data", existing_type=sa.LargeBinary(), nullable=True)
        events.alter_column("case_awaited_since", existing_type=sa.DateTime(), new_column_name="republish_at")
    for name, (column, rows) in NEW_INDEXES.items():
        op.create_index(name, "events", [column], schema=SCHEMA, postgresql_where=rows, sqlite_where=rows)
    op.create_index("ix_api_keys_revoked_at", "api_keys", ["revoked_at"], schema=SCHEMA)


def downgrade() -> None:
    """What is still to be published goes into the outbox; of what was erased nothing is known."""
    _move_unsent_to_outbox()
    op.drop_index("ix_api_keys_revoked_at", "api_keys", schema=SCHEMA)
    for name in NEW_INDEXES:
        op.drop_index(name, "events", schema=SCHEMA)
    op.execute(sa.update(EVENTS).where(EVENTS.c.data.is_(None)).values(data=b"{}"))
    awaited = EVENTS.c.republish_at.is_not(None)
    op.execute(sa.update(EVENTS).where(awaited).values(republish_at=EVENTS.c.accepted_at))
    with op.batch_alter_table("events", schema=_schema()) as batch:
        batch.drop_column("xid")
        batch.drop_column("trace")
        batch.alter_column("data", existing_type=sa.LargeBinary(), nullable=False)
        batch.alter_column("republish_at", existing_type=sa.DateTime(), new_column_name="case_awaited_since")
    op.create_index("ix_events_case_awaited_since", "events", ["case_awaited_since"], schema=SCHEMA,
                    postgresql_where=AWAITED, sqlite_where=AWAITED)  # fmt: skip


def _move_unsent_to_outbox() -> None:
    connection = op.get_bind()
    if not sa.inspect(connection).has_table("unsent", schema=_schema()):
        return  # the tables of messaging went back before, with what was unsent in their outbox
    unsent = sa.select(EVENTS).where(EVENTS.c.xid.in_(sa.select(UNSENT.c.xid))).order_by(EVENTS.c.xid)
    for row in connection.execute(unsent).all():
        stored = StoredEvent(*(row._mapping[name] for name in StoredEvent._fields))
        type_, body = make_outgoing(stored)
        connection.execute(
            sa.insert(OUTBOX).values(
                xid=row.xid, position=next_position(), type=type_, body=body, recorded_at=stored.accepted_at
            )
        )


def _schema() -> str | None:
    """Of a statement that no schema is translated in: SQLite has a file for each service instead."""
    return SCHEMA if op.get_bind().dialect.name == "postgresql" else None
