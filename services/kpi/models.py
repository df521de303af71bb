"""Tables of kpi: the log of facts, the latest of every case, the items that follow from them, and standings.

All text that names something compares by code points; instants are whole microseconds since 1970."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, Table

from shared.database.types import Key, metadata_for
from shared.messaging.tables import define_messaging_tables

metadata = metadata_for("kpi")
messaging_tables = define_messaging_tables(metadata)

facts = Table(
    "facts",
    metadata,
    Column("source", Key, primary_key=True),
    Column("id", Key, primary_key=True),
    Column("property", Key, nullable=False),
    Column("kind", Key, nullable=False),
    Column("thing", Key, nullable=False),
    Column("bill", Key),
    Column("body", LargeBinary, nullable=False),
    Index("ix_facts_thing", "property", "kind", "thing"),
)
"""Every fact, complete: `kind` and `thing` say what it is about, `bill` what a payment is towards."""
Index("ix_facts_bill", facts.c.property, facts.c.bill,
      postgresql_where=facts.c.bill.is_not(None), sqlite_where=facts.c.bill.is_not(None))  # fmt: skip

cases = Table(
    "cases",
    metadata,
    Column("property", Key, primary_key=True),
    Column("case_id", Key, primary_key=True),
    Column("number", Key, nullable=False),
    Column("version", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
"""The highest version of every case."""

items = Table(
    "items",
    metadata,
    Column("property", Key, primary_key=True),
    Column("kind", Key, primary_key=True),
    Column("thing", Key, primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("family", Key, nullable=False),
    Column("counted_at", BigInteger, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("weight", BigInteger, nullable=False),
    Column("good", BigInteger, nullable=False),
    Column("case_id", Key, nullable=False),
    Index("ix_items_counted", "property", "family", "counted_at", "since", "until", "weight", "good"),
)
"""What is summed: `weight` to denominators, `good` to numerators; the index covers a sum."""

standings = Table(
    "standings",
    metadata,
    Column("property", Key, primary_key=True),
    Column("kpi", Key, primary_key=True),
    Column("met", Boolean, nullable=False),
    Column("as_of", BigInteger, nullable=False),
)
"""Whether each target was last seen met in the month's window: a flip is published once, by one copy."""

revisions = Table(
    "revisions",
    metadata,
    Column("property", Key, primary_key=True),
    Column("revision", BigInteger, nullable=False),
)
"""Another number after every change of a property's items, by the transaction that changed them: it alone
tells whether what was counted still holds."""
