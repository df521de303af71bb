"""What is to be published is told by transaction, in `unsent`; rows of the outbox are never updated."""

import sqlalchemy as sa
from alembic import context, op

from shared.database.types import UtcDateTime

revision = "mechanism_0002"
down_revision = "mechanism_0001"
branch_labels = None
depends_on = None

POSITION = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_OLD = "id type body recorded_at available_at attempts sent_at"
_NEW = "xid position type body recorded_at"
_UNSENT = "xid events recorded_at available_at attempts"


def upgrade() -> None:
    """Events that were not sent are those of one transaction, 0: they are sent anew after the start."""
    _put_aside("outbox")
    unsent = sa.Table(
        "unsent",
        sa.MetaData(),
        sa.Column("xid", POSITION, primary_key=True),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("recorded_at", UtcDateTime(), nullable=False),
        sa.Column("available_at", UtcDateTime(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("xid", name="pk_unsent"),
        schema=_schema(),
        sqlite_autoincrement=True,
    )
    unsent.create(op.get_bind())
    op.create_table(
        "outbox",
        sa.Column("xid", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("recorded_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("xid", "position", name="pk_outbox"),
        schema=_schema(),
    )
    old, new = _table("outbox_before", _OLD), _table("outbox", _NEW)
    # what was sent keeps away from transaction 0
    xid = sa.case((old.c.sent_at.is_(None), 0), else_=-1)
    rows = sa.select(xid, old.c.id, old.c.type, old.c.body, old.c.recorded_at)
    op.execute(sa.insert(new).from_select(_NEW.split(), rows))
    oldest = sa.func.min(old.c.recorded_at)
    waiting = sa.select(sa.literal(0), sa.func.count(), oldest, oldest, sa.func.max(old.c.attempts))
    waiting = waiting.where(old.c.sent_at.is_(None)).having(sa.func.count() > 0)
    op.execute(sa.insert(_table("unsent", _UNSENT)).from_select(_UNSENT.split(), waiting))
    op.drop_table("outbox_before", schema=_schema())
    op.create_index("ix_outbox_recorded_at", "outbox", ["recorded_at"], schema=_schema())
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            f"ALTER TABLE {_schema()}.unsent SET (autovacuum_vacuum_scale_factor = 0,"
            " autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0)"
        )


def downgrade() -> None:
    """What is unsent comes first and is sent anew."""
    _put_aside("outbox")
    op.create_table(
        "outbox",
        sa.Column("id", POSITION, sa.Identity(always=False)),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("recorded_at", UtcDateTime(), nullable=False),
        sa.Column("available_at", UtcDateTime(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("sent_at", UtcDateTime()),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        schema=_schema(),
    )
    kept, waiting, old = _table("outbox_before", _NEW), _table("unsent", _UNSENT), _table("outbox", _OLD)
    is_unsent = sa.exists().where(waiting.c.xid == kept.c.xid)
    rows = sa.select(
        kept.c.type,
        kept.c.body,
        kept.c.recorded_at,
        kept.c.recorded_at,
        sa.case((is_unsent, None), else_=kept.c.recorded_at),
    ).order_by(kept.c.xid, kept.c.position)
    columns = ["type", "body", "recorded_at", "available_at", "sent_at"]
    op.execute(sa.insert(old).from_select(columns, rows))
    op.drop_table("outbox_before", schema=_schema())
    op.drop_table("unsent", schema=_schema())
    unsent, sent = sa.text("sent_at IS NULL"), sa.text("sent_at IS NOT NULL")
    op.create_index("ix_outbox_unsent", "outbox", ["id"], schema=_schema(),
                    postgresql_where=unsent, sqlite_where=unsent)  # fmt: skip
    op.create_index("ix_outbox_sent_at", "outbox", ["sent_at"], schema=_schema(),
                    postgresql_where=sent, sqlite_where=sent)  # fmt: skip


def _put_aside(table: str) -> None:
    """Rename `table` and, on PostgreSQL, what would take the names of the new one."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"ALTER TABLE {_schema()}.{table} RENAME CONSTRAINT pk_{table} TO pk_{table}_before")
    op.rename_table(table, f"{table}_before", schema=_schema())


def _table(name: str, columns: str) -> sa.Table:
    """Only a whole table's schema is translated for SQLite."""
    return sa.Table(
        name,
        sa.MetaData(),
        *(sa.Column(column, sa.types.NullType) for column in columns.split()),
        schema=str(context.config.attributes["service"]),
    )


def _schema() -> str | None:
    """Of a statement that no schema is translated in: SQLite has a file for each service instead."""
    service = str(context.config.attributes["service"])
    return service if op.get_bind().dialect.name == "postgresql" else None
