"""The first tables: workflow versions, cases, history, timers, keys, equipment, inspections, residents."""

import sqlalchemy as sa
from alembic import context, op

from shared.database.types import Json, Key, UtcDateTime

revision = "dispatch_0001"
down_revision = None
branch_labels = ("dispatch",)
depends_on = None


def _schema() -> str:
    return str(context.config.attributes["service"])


def _key(name: str, null: bool = False) -> "sa.Column[str]":
    return sa.Column(name, Key, nullable=null)


def _time(name: str, null: bool = False) -> "sa.Column[sa.DateTime]":
    return sa.Column(name, UtcDateTime(), nullable=null)


def _index(name: str, table: str, columns: list[str], where: str | None = None, unique: bool = False) -> None:
    condition = {} if where is None else {"postgresql_where": sa.text(where), "sqlite_where": sa.text(where)}
    op.create_index(name, table, columns, schema=_schema(), unique=unique, **condition)


def upgrade() -> None:
    _cases()
    _history()
    _around()
    _facts()


def _cases() -> None:
    op.create_table(
        "workflow_versions",
        _key("name"),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("definition", sa.Text(), nullable=False),
        _time("stored_at"),
        sa.PrimaryKeyConstraint("name", "version", name="pk_workflow_versions"),
        schema=_schema(),
    )
    op.create_table(
        "cases",
        _key("id"),
        _key("number"),
        _key("property"),
        _key("kind"),
        _key("state"),
        sa.Column("is_open", sa.Boolean(), nullable=False),
        sa.Column("is_busy", sa.Boolean(), nullable=False),
        _key("assignee", null=True),
        sa.Column("version", sa.Integer(), nullable=False),
        _key("source"),
        _key("reference", null=True),
        _key("parent", null=True),
        _key("rework_of", null=True),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("papers", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_cases"),
        schema=_schema(),
    )
    _index("ix_cases_property", "cases", ["property", "id"])
    _index("ix_cases_number", "cases", ["number"])
    _index("ix_cases_open", "cases", ["property", "id"], "is_open")
    _index("ix_cases_open_state", "cases", ["property", "kind", "state"], "is_open")
    _index(
        "ix_cases_open_assignee", "cases", ["property", "assignee", "id"], "is_open AND assignee IS NOT NULL"
    )
    _index("ix_cases_busy", "cases", ["property", "assignee"], "is_busy")
    _index("ix_cases_reference", "cases", ["property", "source", "reference"], "reference IS NOT NULL")
    _index("ix_cases_parent", "cases", ["parent"], "parent IS NOT NULL")
    _index("uq_cases_rework_of", "cases", ["rework_of"], "rework_of IS NOT NULL", unique=True)


def _history() -> None:
    op.create_table(
        "case_history",
        sa.Column(
            "position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), sa.Identity(always=False)
        ),
        sa.Column("xid", sa.BigInteger(), nullable=False),
        _key("case_id"),
        sa.Column("seq", sa.Integer(), nullable=False),
        _key("action"),
        _key("from_state", null=True),
        _key("to_state"),
        _time("at"),
        _time("recorded_at"),
        _key("actor"),
        _key("recorded_by"),
        sa.Column("data", Json, nullable=False),
        sa.PrimaryKeyConstraint("position", name="pk_case_history"),
        schema=_schema(),
    )
    _index("uq_case_history_case_id", "case_history", ["case_id", "seq"], unique=True)
    _index("ix_case_history_xid", "case_history", ["xid", "position"])


def _around() -> None:
    op.create_table(
        "timers",
        _key("case_id"),
        _key("name"),
        _time("due_at"),
        sa.PrimaryKeyConstraint("case_id", "name", name="pk_timers"),
        schema=_schema(),
    )
    _index("ix_timers_due_at", "timers", ["due_at"])
    op.create_table(
        "action_keys",
        _key("caller"),
        _key("key"),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        _time("recorded_at"),
        sa.PrimaryKeyConstraint("caller", "key", name="pk_action_keys"),
        schema=_schema(),
    )
    _index("ix_action_keys_recorded_at", "action_keys", ["recorded_at"])


def _facts() -> None:
    op.create_table(
        "equipment",
        _key("property"),
        _key("equipment"),
        _key("system", null=True),
        sa.Column("critical", sa.Boolean(), nullable=False),
        _time("registered_at", null=True),
        sa.PrimaryKeyConstraint("property", "equipment", name="pk_equipment"),
        schema=_schema(),
    )
    op.create_table(
        "equipment_states",
        _key("property"),
        _key("equipment"),
        _time("at"),
        _key("source"),
        _key("event"),
        _key("state"),
        sa.Column("alarm", sa.Boolean(), nullable=False),
        _key("case_id", null=True),
        sa.PrimaryKeyConstraint("property", "equipment", "at", "source", "event", name="pk_equipment_states"),
        schema=_schema(),
    )
    op.create_table(
        "inspections",
        _key("property"),
        _key("inspection"),
        _time("at", null=True),
        _key("source", null=True),
        _key("event", null=True),
        _key("case_id", null=True),
        sa.PrimaryKeyConstraint("property", "inspection", name="pk_inspections"),
        schema=_schema(),
    )
    op.create_table(
        "withdrawals",
        _key("source"),
        _key("event"),
        _key("property"),
        _key("demand", null=True),
        _key("reference", null=True),
        _time("at"),
        sa.Column("reason", sa.Text()),
        _time("heard_at"),
        sa.PrimaryKeyConstraint("source", "event", name="pk_withdrawals"),
        schema=_schema(),
    )
    _index("ix_withdrawals_demand", "withdrawals", ["demand"])
    _index("ix_withdrawals_reference", "withdrawals", ["property", "source", "reference"])
    op.create_table(
        "residents",
        _key("property"),
        _key("resident"),
        _key("tier", null=True),
        _key("language", null=True),
        _time("at"),
        sa.PrimaryKeyConstraint("property", "resident", name="pk_residents"),
        schema=_schema(),
    )


def downgrade() -> None:
    for table in (
        "residents", "withdrawals", "inspections", "equipment_states", "equipment", "action_keys", "timers",
        "case_history", "cases", "workflow_versions",
    ):  # fmt: skip
        op.drop_table(table, schema=_schema())
