"""intake's tables: accepted events, for ever; the states of their demands' cases; issued keys."""

from sqlalchemy import Boolean, Column, Index, Integer, LargeBinary, Table, Text

from shared.database.types import Identifier, Json, Key, UtcDateTime, metadata_for
from shared.messaging.tables import define_messaging_tables

metadata = metadata_for("intake")
messaging_tables = define_messaging_tables(metadata)

events = Table(
    "events",
    metadata,
    Column("source", Key, primary_key=True),
    Column("id", Key, primary_key=True),
    Column("type", Text, nullable=False),
    Column("property", Text, nullable=False),
    Column("time", UtcDateTime, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("demand", Identifier),
    Column("data", LargeBinary, nullable=False),
    Column("accepted_at", UtcDateTime, nullable=False),
    Column("accepted_by", Text, nullable=False),
    Column("case_awaited_since", UtcDateTime),
)
"""`demand` is NULL where the event raises none, `case_awaited_since` also where its case is there: it is the
time of the demand's last publication."""
_raises_demand = events.c.demand.is_not(None)
_awaits_case = events.c.case_awaited_since.is_not(None)
Index(
    "ix_events_demand",
    events.c.demand,
    unique=True,
    postgresql_where=_raises_demand,
    sqlite_where=_raises_demand,
)
Index(
    "ix_events_case_awaited_since",
    events.c.case_awaited_since,
    postgresql_where=_awaits_case,
    sqlite_where=_awaits_case,
)

case_states = Table(
    "case_states",
    metadata,
    Column("case", Identifier, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("number", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("open", Boolean, nullable=False),
    Column("deadlines", Json, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Identifier, primary_key=True),
    Column("name", Text, nullable=False),
    Column("roles", Json, nullable=False),
    Column("properties", Json, nullable=False),
    Column("person", Text),
    Column("issued_at", UtcDateTime, nullable=False),
    Column("issued_by", Text, nullable=False),
    Column("revoked_at", UtcDateTime),
)
