"""intake's tables: accepted events, the states of their demands' cases, issued keys.

A row of `events` is the demand, what is published of it and the memory of its name. How long: `retention.py`.
"""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, Table, Text

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
    Column("data", LargeBinary),
    Column("accepted_at", UtcDateTime, nullable=False),
    Column("accepted_by", Text, nullable=False),
    Column("xid", BigInteger),
    Column("trace", Text),
    Column("republish_at", UtcDateTime),
)
"""`demand` is NULL where the event raises none, `republish_at` also where its case is there: until then the
demand is published again and again. `data`, `xid` and `trace` are NULL once they are erased, `xid` also where
the event was published by other means. `xid` is the transaction that wrote it: see `shared/messaging/outbox`.
"""
_raises_demand = events.c.demand.is_not(None)
_awaits_case = events.c.republish_at.is_not(None)
_is_publishable = events.c.xid.is_not(None)
_is_erased = events.c.data.is_(None)
Index(
    "ix_events_demand",
    events.c.demand,
    unique=True,
    postgresql_where=_raises_demand,
    sqlite_where=_raises_demand,
)
Index(
    "ix_events_republish_at",
    events.c.republish_at,
    postgresql_where=_awaits_case,
    sqlite_where=_awaits_case,
)
Index("ix_events_xid", events.c.xid, postgresql_where=_is_publishable, sqlite_where=_is_publishable)
Index("ix_events_to_erase", events.c.accepted_at, postgresql_where=~_is_erased, sqlite_where=~_is_erased)
Index("ix_events_to_delete", events.c.accepted_at, postgresql_where=_is_erased, sqlite_where=_is_erased)

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
    Index("ix_api_keys_revoked_at", "revoked_at"),
)
