"""intake's tables: accepted events, for ever; demands and the states of their cases; issued keys."""

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
)

demands = Table(
    "demands",
    metadata,
    Column("id", Identifier, primary_key=True),
    Column("property", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("source", Key, nullable=False),
    Column("event", Key, nullable=False),
    Column("reference", Text),
    Column("accepted_by", Text, nullable=False),
    Column("raised_at", UtcDateTime, nullable=False),
    Column("accepted_at", UtcDateTime, nullable=False),
    Column("asked_at", UtcDateTime, nullable=False),
    Column("opened_at", UtcDateTime),
)
_unopened = demands.c.opened_at.is_(None)
Index("ix_demands_unopened", demands.c.asked_at, postgresql_where=_unopened, sqlite_where=_unopened)

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
