"""The tables of messaging in every service's database.

`unsent` names the transactions whose events no broker has confirmed yet: `xid` is PostgreSQL's own number of
the transaction, on SQLite the next one. `outbox` holds events that stand in no table of the service's own.
"""

from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Table, Text
from sqlalchemy.types import TypeEngine

from shared.database.types import Json, Key, UtcDateTime

Position: TypeEngine[int] = BigInteger().with_variant(Integer(), "sqlite")
"""A number that the database gives, ever higher."""


@dataclass(frozen=True)
class MessagingTables:
    """The tables of messaging in one service's schema."""

    unsent: Table
    outbox: Table
    inbox: Table
    dead_letters: Table
    revoked_keys: Table


def define_messaging_tables(metadata: MetaData) -> MessagingTables:
    """Define the tables in `metadata`; every service's models call this once."""
    unsent = Table(
        "unsent",
        metadata,
        Column("xid", Position, primary_key=True),
        Column("events", Integer, nullable=False),
        Column("recorded_at", UtcDateTime, nullable=False),
        Column("available_at", UtcDateTime, nullable=False),
        Column("attempts", Integer, nullable=False),
        sqlite_autoincrement=True,
    )
    outbox = Table(
        "outbox",
        metadata,
        Column("xid", BigInteger, primary_key=True),
        Column("position", BigInteger, primary_key=True),
        Column("type", Text, nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("recorded_at", UtcDateTime, nullable=False),
        Index("ix_outbox_recorded_at", "recorded_at"),
    )
    inbox = Table(
        "inbox",
        metadata,
        Column("consumer", Key, primary_key=True),
        Column("source", Key, primary_key=True),
        Column("id", Key, primary_key=True),
        Column("received_at", UtcDateTime, nullable=False),
        Index("ix_inbox_received_at", "received_at"),
    )
    dead_letters = Table(
        "dead_letters",
        metadata,
        Column("id", Key, primary_key=True),
        Column("queue", Text, nullable=False),
        Column("reason", Text, nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("headers", Json, nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("died_at", UtcDateTime, nullable=False),
        Column("replayed_at", UtcDateTime),
        Index("ix_dead_letters_queue", "queue", "died_at"),
    )
    revoked_keys = Table(
        "revoked_keys",
        metadata,
        Column("key", Key, primary_key=True),
        Column("revoked_at", UtcDateTime, nullable=False),
    )
    return MessagingTables(unsent, outbox, inbox, dead_letters, revoked_keys)
