"""Tables of dispatch: cases with their history, timers, and what cases are opened and ended by.

`body` holds the case; the columns beside it are those that cases are searched by. `papers` never changes.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    text,
)
from sqlalchemy.types import TypeEngine

from shared.database.types import Json, Key, UtcDateTime, metadata_for
from shared.messaging.tables import define_messaging_tables

metadata = metadata_for("dispatch")
messaging_tables = define_messaging_tables(metadata)
_Position: TypeEngine[int] = BigInteger().with_variant(Integer(), "sqlite")

workflow_versions = Table(
    "workflow_versions",
    metadata,
    Column("name", Key, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("definition", Text, nullable=False),
    Column("stored_at", UtcDateTime, nullable=False),
)
"""Every definition that a case ever began with, as its file said it."""

cases = Table(
    "cases",
    metadata,
    Column("id", Key, primary_key=True),
    Column("number", Key, nullable=False),
    Column("property", Key, nullable=False),
    Column("kind", Key, nullable=False),
    Column("state", Key, nullable=False),
    Column("is_open", Boolean, nullable=False),
    Column("is_busy", Boolean, nullable=False),
    Column("assignee", Key),
    Column("version", Integer, nullable=False),
    Column("source", Key, nullable=False),
    Column("reference", Key),
    Column("parent", Key),
    Column("rework_of", Key),
    Column("words", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("papers", LargeBinary, nullable=False),
    Index("ix_cases_property", "property", "id"),
    Index("ix_cases_number", "number"),
)
"""`is_busy`: its assignee is occupied by it. `words`: number, summary and place, for searching."""


def _where(name: str, condition: str, *columns: str, unique: bool = False) -> Index:
    return Index(
        name,
        *(cases.c[column] for column in columns),
        unique=unique,
        postgresql_where=text(condition),
        sqlite_where=text(condition),
    )


_where("ix_cases_open", "is_open", "property", "id")
_where("ix_cases_open_state", "is_open", "property", "kind", "state")
_where("ix_cases_open_assignee", "is_open AND assignee IS NOT NULL", "property", "assignee", "id")
_where("ix_cases_busy", "is_busy", "property", "assignee")
_where("ix_cases_reference", "reference IS NOT NULL", "property", "source", "reference")
_where("ix_cases_parent", "parent IS NOT NULL", "parent")
_where("uq_cases_rework_of", "rework_of IS NOT NULL", "rework_of", unique=True)

case_history = Table(
    "case_history",
    metadata,
    Column("position", _Position, Identity(always=False), primary_key=True),
    Column("xid", BigInteger, nullable=False),
    Column("case_id", Key, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("action", Key, nullable=False),
    Column("from_state", Key),
    Column("to_state", Key, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("recorded_at", UtcDateTime, nullable=False),
    Column("actor", Key, nullable=False),
    Column("recorded_by", Key, nullable=False),
    Column("data", Json, nullable=False),
    Index("uq_case_history_case_id", "case_id", "seq", unique=True),
    Index("ix_case_history_xid", "xid", "position"),
)
"""Every step. (`xid`, `position`) orders them as the stream sends them: by the transaction that wrote them,
so that nothing that commits late is passed over; on SQLite, with its one writer, `xid` is 0."""

timers = Table(
    "timers",
    metadata,
    Column("case_id", Key, primary_key=True),
    Column("name", Key, primary_key=True),
    Column("due_at", UtcDateTime, nullable=False),
    Index("ix_timers_due_at", "due_at"),
)
"""When to check which case again: pending timers only, each derivable from its case."""

action_keys = Table(
    "action_keys",
    metadata,
    Column("caller", Key, primary_key=True),
    Column("key", Key, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("answer", LargeBinary, nullable=False),
    Column("recorded_at", UtcDateTime, nullable=False),
    Index("ix_action_keys_recorded_at", "recorded_at"),
)
"""The reply that was given under an `Idempotency-Key` of a caller."""

equipment = Table(
    "equipment",
    metadata,
    Column("property", Key, primary_key=True),
    Column("equipment", Key, primary_key=True),
    Column("system", Key),
    Column("critical", Boolean, nullable=False),
    Column("registered_at", UtcDateTime),
)
"""Equipment that was registered or reported of; its row is locked while its states are recorded."""

equipment_states = Table(
    "equipment_states",
    metadata,
    Column("property", Key, primary_key=True),
    Column("equipment", Key, primary_key=True),
    Column("at", UtcDateTime, primary_key=True),
    Column("source", Key, primary_key=True),
    Column("event", Key, primary_key=True),
    Column("state", Key, nullable=False),
    Column("alarm", Boolean, nullable=False),
    Column("case_id", Key),
)
"""The reported states of equipment, and the repair that an alarm opened or an all-clear belongs to."""

inspections = Table(
    "inspections",
    metadata,
    Column("property", Key, primary_key=True),
    Column("inspection", Key, primary_key=True),
    Column("at", UtcDateTime),
    Column("source", Key),
    Column("event", Key),
    Column("case_id", Key),
)
"""The latest of every inspection, and the work that a failed one opened."""

withdrawals = Table(
    "withdrawals",
    metadata,
    Column("source", Key, primary_key=True),
    Column("event", Key, primary_key=True),
    Column("property", Key, nullable=False),
    Column("demand", Key),
    Column("reference", Key),
    Column("at", UtcDateTime, nullable=False),
    Column("reason", Text),
    Column("heard_at", UtcDateTime, nullable=False),
    Index("ix_withdrawals_demand", "demand"),
    Index("ix_withdrawals_reference", "property", "source", "reference"),
)
"""Demands taken back before they came."""

residents = Table(
    "residents",
    metadata,
    Column("property", Key, primary_key=True),
    Column("resident", Key, primary_key=True),
    Column("tier", Key),
    Column("language", Key),
    Column("at", UtcDateTime, nullable=False),
)
"""What residents are registered with that moves priority and contact; no name, no phone."""
