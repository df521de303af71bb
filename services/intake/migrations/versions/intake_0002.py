"""A demand stands in the row of the event that raised it."""

import sqlalchemy as sa
from alembic import op

from shared.database.types import Identifier, Key, UtcDateTime

revision = "intake_0002"
down_revision = "intake_0001"
branch_labels = None
depends_on = None

SCHEMA = "intake"
_EVENTS = "source id property time demand data accepted_at accepted_by case_awaited_since"
_DEMANDS = "id property kind source event reference accepted_by raised_at accepted_at asked_at opened_at"


def _table(name: str, columns: str) -> sa.Table:
    """Only a whole table's schema is translated for SQLite."""
    return sa.Table(
        name,
        sa.MetaData(),
        *(sa.Column(column, sa.types.NullType) for column in columns.split()),
        schema=SCHEMA,
    )


events = _table("events", _EVENTS)
demands = _table("demands", _DEMANDS)
case_states = _table("case_states", "case changed_at")
UNOPENED = sa.text("opened_at IS NULL")
RAISES_DEMAND = sa.text("demand IS NOT NULL")
AWAITS_CASE = sa.text("case_awaited_since IS NOT NULL")


def upgrade() -> None:
    op.add_column("events", sa.Column("case_awaited_since", UtcDateTime()), schema=_schema())
    awaited = sa.select(demands.c.asked_at).where(
        demands.c.id == events.c.demand, demands.c.opened_at.is_(None)
    )
    op.execute(
        sa.update(events)
        .where(events.c.demand.is_not(None))
        .values(case_awaited_since=awaited.scalar_subquery())
    )
    op.drop_table("demands", schema=SCHEMA)
    op.create_index("ix_events_demand", "events", ["demand"], unique=True, schema=SCHEMA,
                    postgresql_where=RAISES_DEMAND, sqlite_where=RAISES_DEMAND)  # fmt: skip
    op.create_index("ix_events_case_awaited_since", "events", ["case_awaited_since"], schema=SCHEMA,
                    postgresql_where=AWAITS_CASE, sqlite_where=AWAITS_CASE)  # fmt: skip


def downgrade() -> None:
    """When a case was opened is not known any more: its last change stands for it."""
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
    op.create_index("ix_demands_unopened", "demands", ["asked_at"], schema=SCHEMA,
                    postgresql_where=UNOPENED, sqlite_where=UNOPENED)  # fmt: skip
    changed = sa.func.coalesce(case_states.c.changed_at, events.c.accepted_at)
    rows = (
        sa.select(
            events.c.demand,
            events.c.property,
            _member("kind"),
            events.c.source,
            events.c.id,
            _member("reference"),
            events.c.accepted_by,
            events.c.time,
            events.c.accepted_at,
            sa.func.coalesce(events.c.case_awaited_since, events.c.accepted_at),
            sa.case((events.c.case_awaited_since.is_(None), changed), else_=None),
        )
        .join_from(events, case_states, case_states.c.case == events.c.demand, isouter=True)
        .where(events.c.demand.is_not(None))
    )
    op.execute(sa.insert(demands).from_select([column.name for column in demands.c], rows))
    op.drop_index("ix_events_case_awaited_since", "events", schema=SCHEMA)
    op.drop_index("ix_events_demand", "events", schema=SCHEMA)
    op.drop_column("events", "case_awaited_since", schema=_schema())


def _schema() -> str | None:
    """Of a statement that no schema is translated in: SQLite has a file for each service instead."""
    return SCHEMA if op.get_bind().dialect.name == "postgresql" else None


def _member(name: str) -> sa.ColumnElement[str]:
    """A text of what was posted, which is JSON in bytes."""
    if op.get_bind().dialect.name == "postgresql":
        return sa.func.convert_from(events.c.data, "UTF8").cast(sa.JSON)[name].as_string()
    return sa.func.json_extract(sa.cast(events.c.data, sa.Text), f"$.{name}")
