"""Tables of dispatch: cases, what was said when they were raised, their steps; what opens and ends cases.

`body` holds what it is; the columns beside it are those that are searched by.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    text,
)

from shared.database.types import Key, UtcDateTime, metadata_for
from shared.messaging.tables import define_messaging_tables

metadata = metadata_for("dispatch")
messaging_tables = define_messaging_tables(metadata)

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
    Column("property", Key, nullable=False),
    Column("kind", Key, nullable=False),
    Column("state", Key, nullable=False),
    Column("is_open", Boolean, nullable=False),
    Column("is_busy", Boolean, nullable=False),
    Column("assignee", Key),
    Column("parent", Key),
    Column("due_at", UtcDateTime),
    Column("version", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    postgresql_with={"fillfactor": 45},
)
"""Cases as they are: `body` after step `version`. `revision` counts how often the row was written: what was
decided holds only while it is the same. `is_busy`: its assignee is occupied by it. `due_at`: when to check it
again."""


def _where(name: str, condition: str, table: Table, *columns: str, unique: bool = False) -> Index:
    return Index(
        name,
        *(table.c[column] for column in columns),
        unique=unique,
        postgresql_where=text(condition),
        sqlite_where=text(condition),
    )


_where("ix_cases_open", "is_open", cases, "property", "id")
_where("ix_cases_open_assignee", "is_open AND assignee IS NOT NULL", cases, "property", "assignee", "id")
_where("ix_cases_parent", "parent IS NOT NULL", cases, "parent")
_where("ix_cases_due_at", "due_at IS NOT NULL", cases, "due_at")

case_requests = Table(
    "case_requests",
    metadata,
    Column("id", Key, primary_key=True),
    Column("number", Key, nullable=False),
    Column("property", Key, nullable=False),
    Column("source", Key, nullable=False),
    Column("reference", Key),
    Column("rework_of", Key),
    Column("words", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("ix_case_requests_property", "property", "id"),
    Index("ix_case_requests_number", "number"),
)
"""What was said when a case was raised; never changed. `words`: number, summary and place, for searching."""
_where(
    "ix_case_requests_reference", "reference IS NOT NULL", case_requests, "property", "source", "reference"
)
_where("uq_case_requests_rework_of", "rework_of IS NOT NULL", case_requests, "rework_of", unique=True)

steps = Table(
    "steps",
    metadata,
    Column("xid", BigInteger, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("case_id", Key, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("recorded_at", UtcDateTime, nullable=False),
    Column("entry", LargeBinary, nullable=False),
    Column("body", LargeBinary),
    Column("caller", Key),
    Column("key", Key),
    Column("digest", Text),
    Index("uq_steps_case_id", "case_id", "seq", unique=True),
)
"""Every step, for ever: history, source of the stream and of what is published, memory of a key.

(`xid`, `position`) orders steps as the stream tells them: by the transaction that wrote them, so that nothing
that commits late is passed over. `entry` is the line of the history. For a while there are `body`, the case
after the step, from which its event and its reply are made, and the `key` of the `caller` who asked for it,
with the `digest` of the request."""
_where("uq_steps_key", "key IS NOT NULL", steps, "caller", "key", unique=True)
_where("ix_steps_body", "body IS NOT NULL", steps, "recorded_at")

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
